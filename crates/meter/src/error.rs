//! What can go wrong with a metric file, always with the file's name.

use std::io;
use std::path::{Path, PathBuf};

/// Why a metric file was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum MeterError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The content is not what this file should hold.
    #[error("{path}, line {line}: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Line number, from 1; 0 when the file as a whole is meant.
        line: usize,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A role or an instance that cannot be part of a file name.
    #[error("{what} {name:?} cannot be part of a file name; use 1 to 64 characters of A-Z a-z 0-9 . _ -")]
    Name {
        /// `role` or `instance`.
        what: &'static str,
        /// The refused text.
        name: String,
    },
}

impl MeterError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn content(path: &Path, line: usize, reason: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), line, reason: reason.into() }
    }
}
