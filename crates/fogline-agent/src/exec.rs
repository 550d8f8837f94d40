//! Commands that are run to their end.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A command to run on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments; the program is looked up in `PATH` when it has no `/`.
    pub argv: Vec<String>,
    /// Variables added to the agent's own environment; the last of equal names wins.
    pub environment: Vec<(String, String)>,
    /// Working directory, the agent's own when absent.
    pub directory: Option<PathBuf>,
    /// What the command reads, at most [`STDIN_BYTES_MAX`](crate::limits::STDIN_BYTES_MAX).
    #[serde(skip)]
    pub stdin: Vec<u8>,
    /// Time the command may take, from the moment it is asked for; then its process group is ended (`SIGTERM`,
    /// and `SIGKILL` after [`END_GRACE`](crate::limits::END_GRACE)).
    pub timeout: Duration,
}

impl ExecRequest {
    /// A request with the agent's own environment and directory, no input, and 60 seconds.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            directory: None,
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It did not end in its time and was killed.
    TimedOut,
}

impl Exit {
    /// The return code as a shell would say it: 128 + n for signal n, 124 for a time-out (as `timeout(1)`).
    pub const fn rc(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
            Self::TimedOut => 124,
        }
    }

    /// Whether the command succeeded.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

/// What a command left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecResult {
    /// How it ended.
    pub exit: Exit,
    /// The beginning of its standard output.
    pub stdout: Vec<u8>,
    /// The beginning of its standard error.
    pub stderr: Vec<u8>,
    /// Whether one of the two was longer than [`CAPTURE_BYTES_MAX`](crate::limits::CAPTURE_BYTES_MAX).
    pub truncated: bool,
    /// How long it ran.
    pub elapsed: Duration,
}
