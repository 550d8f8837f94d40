//! What can go wrong between the runner and a host.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a call had no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AgentError {
    /// The agent is gone, or speaks something else than this protocol.
    #[error("{host}: the agent is gone: {reason}")]
    Lost {
        /// The host's name.
        host: String,
        /// How the connection ended.
        reason: String,
    },
    /// No answer came in time. The agent may still be working on the request.
    #[error("{host}: no answer to {call} within {after:?}")]
    Deadline {
        /// The host's name.
        host: String,
        /// What was asked.
        call: String,
        /// How long the client waited.
        after: Duration,
    },
    /// The agent tried and failed, or refused.
    #[error("{host}: {failure}")]
    Refused {
        /// The host's name.
        host: String,
        /// What failed there.
        failure: Failure,
    },
    /// The runner's own side failed (a local file, an unusable argument).
    #[error("{failure}")]
    Local {
        /// What failed here.
        failure: Failure,
    },
}

/// One failed step: what was tried, on which path, and the system's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was tried: `write`, `start`, `put`.
    pub action: String,
    /// The file concerned.
    pub path: Option<PathBuf>,
    /// The system's error number.
    pub errno: Option<i32>,
    /// The cause in words.
    pub message: String,
}

impl Failure {
    /// A failure without a system error behind it.
    pub(crate) fn new(action: &str, message: impl Into<String>) -> Self {
        Self { action: action.to_owned(), path: None, errno: None, message: message.into() }
    }

    /// A system error without a path.
    pub(crate) fn system(action: &str, error: &io::Error) -> Self {
        Self {
            action: action.to_owned(),
            path: None,
            errno: error.raw_os_error(),
            message: error.to_string(),
        }
    }

    /// A system error on `path`.
    pub(crate) fn at(action: &str, path: &Path, error: &io::Error) -> Self {
        Self { path: Some(path.to_owned()), ..Self::system(action, error) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "cannot {} {}: {}", self.action, path.display(), self.message),
            None => write!(f, "cannot {}: {}", self.action, self.message),
        }
    }
}

/// Puts action and path onto a system error.
pub(crate) trait Context<T> {
    /// Names the action and the path that failed.
    fn at(self, action: &str, path: &Path) -> Result<T, Failure>;
    /// Names the action that failed.
    fn during(self, action: &str) -> Result<T, Failure>;
}

impl<T> Context<T> for io::Result<T> {
    fn at(self, action: &str, path: &Path) -> Result<T, Failure> {
        self.map_err(|error| Failure::at(action, path, &error))
    }

    fn during(self, action: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::system(action, &error))
    }
}
