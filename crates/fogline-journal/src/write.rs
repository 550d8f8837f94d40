//! Writing files of the run folder, with errors that say what to do.

use serde::Serialize;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file or folder of the run could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
pub struct JournalError {
    /// What was tried, as a verb: `write`, `create`, `read`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system answered.
    #[source]
    pub source: io::Error,
}

impl JournalError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_path_buf(), source }
    }

    pub(crate) fn broken(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::new("read", path, io::Error::new(io::ErrorKind::InvalidData, what.to_string()))
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (free some space there, or keep the scenario on another disk)"
        }
        io::ErrorKind::PermissionDenied => {
            " (the run folder is made inside the scenario folder; make that one writable for you)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            " (the scenario folder is on a read-only file system; copy the scenario to a writable place)"
        }
        _ => "",
    }
}

/// Replaces `path` by `bytes` at once: a reader sees the old file or the new one, never half of one.
///
/// # Errors
/// When the folder cannot be made or the file cannot be written in full.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| JournalError::new("create", parent, e))?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let written = fs::File::create(&beside).and_then(|mut file| file.write_all(bytes));
    let moved = written.and_then(|()| fs::rename(&beside, path));
    moved.map_err(|e| {
        // The half-written neighbour is of no use to anyone; its own removal may fail for the same cause.
        let _ = fs::remove_file(&beside);
        JournalError::new("write", path, e)
    })
}

/// Writes `value` to `path` as indented JSON with a final newline, at once as [`write_file`] does.
///
/// # Errors
/// As [`write_file`]; also when the value has a map whose keys are not strings.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), JournalError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| JournalError::new("write", path, io::Error::other(e)))?;
    bytes.push(b'\n');
    write_file(path, &bytes)
}
