//! Why a report cannot be built.

use std::io;
use std::path::{Path, PathBuf};

/// Why a report cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A metric file is missing or broken.
    #[error(transparent)]
    Meter(#[from] meter::MeterError),
    /// A file of the run folder is missing, broken, or cannot be written.
    #[error(transparent)]
    Journal(#[from] fogline_journal::JournalError),
    /// A folder or file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{path}: {reason}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl ReportError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}
