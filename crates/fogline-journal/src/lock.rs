//! Whether the runner of a folder is alive: a file that it keeps locked while it lives.
//!
//! The lock is `flock(2)`, which the kernel drops with the last descriptor of the open file; a killed runner leaves
//! the file but not the lock.

use crate::{JournalError, RunFolder};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

/// Held by a runner from start to end; dropping it lets go.
#[derive(Debug)]
pub struct RunnerLock {
    _file: File,
}

/// What the lock file says about a folder's runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// It is running under this process id (as its own pid namespace counts).
    Alive(u32),
    /// It has ended, or was killed.
    Gone,
}

impl RunnerLock {
    /// Takes the lock of `folder` for this process.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be written.
    pub fn acquire(folder: &RunFolder) -> Result<Self, JournalError> {
        let path = folder.lock();
        let failed = |e| JournalError::new("lock", &path, e);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => {
                failed(io::Error::new(io::ErrorKind::WouldBlock, "another runner is at work in this folder"))
            }
            TryLockError::Error(e) => failed(e),
        })?;
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

pub(crate) fn look(path: &Path) -> Result<Runner, JournalError> {
    let failed = |e| JournalError::new("read", path, e);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Runner::Gone),
        Err(e) => return Err(failed(e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Runner::Gone),
        Err(TryLockError::Error(e)) => Err(failed(e)),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(failed)?;
            // Locked but not yet written: the runner is between the two steps of taking it.
            Ok(Runner::Alive(text.trim().parse().unwrap_or(0)))
        }
    }
}
