//! The folder of a data set: recognised when complete, replaced as a whole otherwise.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST_FILE, Manifest, Shape, TRUTH_FILE};
use super::scratch::Scratch;
use super::tool;
use crate::exit::Failure;

/// Refuses a target that is something else than a data set, since it would be replaced.
///
/// # Errors
/// When `out` is a file, or a folder with other things in it.
pub(super) fn check_target(out: &Path) -> Result<(), Failure> {
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(tool::io_failure("use --out", out)(error)),
    };
    for entry in entries {
        let name = entry.map_err(tool::io_failure("read", out))?.file_name();
        let name = name.to_string_lossy();
        let ours = name == MANIFEST_FILE
            || name.strip_prefix("data-").is_some_and(|number| number.parse::<u32>().is_ok());
        if !ours {
            return Err(Failure::usage(format!(
                "--out {} holds {name:?}, which is no part of a data set; give a folder of its own, or an empty one",
                out.display()
            )));
        }
    }
    Ok(())
}

/// The manifest of the data set in `out` when all its files are there with the right size; otherwise the
/// reason for building it.
pub(super) fn complete(out: &Path, shape: Shape, sha256: &str) -> Result<Manifest, String> {
    if !out.exists() {
        return Err("it is not there yet".to_owned());
    }
    let manifest = Manifest::read(out)?;
    manifest.check(shape, sha256)?;
    for stream in &manifest.streams {
        let folder = out.join(&stream.name);
        for frame in &stream.frames {
            let file = folder.join(&frame.file);
            match fs::metadata(&file) {
                Ok(metadata) if metadata.len() == frame.bytes => {}
                _ => return Err(format!("{}/{} is missing or cut", stream.name, frame.file)),
            }
        }
        if !folder.join(TRUTH_FILE).is_file() {
            return Err(format!("{}/{TRUTH_FILE} is missing", stream.name));
        }
    }
    Ok(manifest)
}

/// A data set that is being built, beside its target so that it can take its place by renaming. It is
/// removed when it is dropped before that.
pub(super) struct Building {
    folder: Scratch,
}

impl Building {
    /// Starts a folder beside `out`.
    ///
    /// # Errors
    /// When the parent folder of `out` cannot be made or written.
    pub(super) fn beside(out: &Path) -> Result<Self, Failure> {
        Ok(Self { folder: Scratch::new(&parent_of(out)?, "dataset")? })
    }

    /// Where it is being built.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the finished data set into its place. When another process was quicker, theirs stays.
    ///
    /// # Errors
    /// When the target cannot be replaced.
    pub(super) fn move_to(self, out: &Path, shape: Shape, sha256: &str) -> Result<(), Failure> {
        if complete(out, shape, sha256).is_ok() {
            return Ok(());
        }
        let old = Scratch::new(&parent_of(out)?, "dataset-old")?;
        match fs::rename(out, old.path().join("old")) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(tool::io_failure("replace", out)(error)),
        }
        match self.folder.rename_to(out) {
            Ok(()) => Ok(()),
            Err(_) if complete(out, shape, sha256).is_ok() => Ok(()),
            Err(error) => Err(tool::io_failure("create", out)(error)),
        }
    }
}

fn parent_of(out: &Path) -> Result<PathBuf, Failure> {
    let out = std::path::absolute(out).map_err(tool::io_failure("find", out))?;
    match out.parent() {
        Some(parent) => Ok(parent.to_owned()),
        None => Err(Failure::usage(format!("--out {} cannot be a data set", out.display()))),
    }
}
