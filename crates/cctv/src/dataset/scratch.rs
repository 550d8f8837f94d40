//! Folders that live only while something is being made.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::tool;
use crate::exit::Failure;

/// A folder `.<purpose>-<process id>` that is removed with its content when this value is dropped.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder in `parent`, which is made too when it is not there. What a killed process of the same
    /// purpose left there is removed.
    ///
    /// # Errors
    /// When `parent` cannot be made or written.
    pub(super) fn new(parent: &Path, purpose: &str) -> Result<Self, Failure> {
        fs::create_dir_all(parent).map_err(tool::io_failure("create", parent))?;
        let prefix = format!(".{purpose}-");
        remove_orphans(parent, &prefix);
        let path = parent.join(format!("{prefix}{}", std::process::id()));
        fs::DirBuilder::new().mode(0o755).create(&path).map_err(tool::io_failure("create", &path))?;
        // The mode above is cut by the umask; other users of the machine may read a data set.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(tool::io_failure("open up", &path))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the folder to `target`, which must not be there or be empty.
    ///
    /// # Errors
    /// When the system refuses; the folder is then removed.
    pub(super) fn rename_to(self, target: &Path) -> io::Result<()> {
        // What `drop` then finds is nothing, which is fine with it.
        fs::rename(&self.path, target)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may have been moved away, and there is nobody to tell if removing fails.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove_orphans(parent: &Path, prefix: &str) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            // Another process may be removing it too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
