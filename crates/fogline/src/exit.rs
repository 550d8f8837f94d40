//! The one table of exit codes.

use std::process::ExitCode;

/// How the program ends. Scripts may rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done, and the results can be trusted.
    Success,
    /// Something that should not happen: a bug, a full disk under the run folder, a lost agent.
    Internal,
    /// The command line, or the scenario, is wrong; nothing was started.
    Invalid,
    /// This machine lacks a right or a device; the message names it.
    Testbed,
    /// A service or a task failed.
    Task,
    /// The run went through, but its results are not to be trusted: the network is not the one asked for,
    /// results are missing, or the frames do not add up.
    Untrusted,
    /// Ctrl-C or SIGTERM; everything was released.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Internal => 1,
            Self::Invalid => 2,
            Self::Testbed => 3,
            Self::Task => 4,
            Self::Untrusted => 5,
            Self::Interrupted => 130,
        }
    }

    /// The table as `--help` shows it.
    pub(crate) const TABLE: &'static str = "\
Exit codes:
  0    done, and the results can be trusted
  1    internal error: a bug, a full disk, a lost agent
  2    wrong command line or scenario; nothing was started
  3    this machine lacks a right or a device (the message names it)
  4    a service or a task failed
  5    the run ended, but do not trust it: network off, results missing, frames unexplained
  130  interrupted; everything was released";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
