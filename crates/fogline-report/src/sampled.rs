//! Folders of samples: a CSV file for each host or cluster, named by it.

use crate::ReportError;
use std::fs;
use std::path::{Path, PathBuf};

/// The CSV files of a folder by name; none when it is missing.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(ReportError::read(folder))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    Ok(paths)
}

/// Whom a file tells of: its name without the extension.
pub(crate) fn subject(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
