//! The one table of exit codes, and the failure that carries one.

use std::fmt;

/// Why the process ends with something other than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something went wrong; the message says what.
    Failed = 1,
    /// The options make no sense (clap uses the same code).
    Usage = 2,
    /// A deadline passed before everything was delivered and accounted for.
    Incomplete = 3,
    /// A broker could not be reached, or does not have what was asked for.
    Unreachable = 4,
}

/// The table as `--help` shows it.
pub(crate) const TABLE: &str = "Exit codes:
  0  done; every frame is accounted for
  1  failed; the message names the culprit
  2  wrong options
  3  incomplete: a deadline passed first (drain, stop, wait, acknowledgements)
  4  a broker is unreachable or lacks the topic";

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What went wrong, naming the culprit and what would be right.
    pub(crate) message: String,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }

    /// The options make no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// A deadline passed first.
    pub(crate) fn incomplete(message: impl Into<String>) -> Self {
        Self { exit: Exit::Incomplete, message: message.into() }
    }

    /// A broker could not be reached.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { exit: Exit::Unreachable, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The names, or the first few of them.
pub(crate) fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}
