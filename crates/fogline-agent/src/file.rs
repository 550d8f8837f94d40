//! Files on a host.

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a put did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Whether anything is different now: content, mode or existence.
    pub changed: bool,
    /// Size of the file, or of all files of the directory, in bytes.
    pub bytes: u64,
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link (which [`Client::stat`](crate::Client::stat) follows, so only a dangling one).
    Link,
    /// A device, pipe or socket.
    Other,
}

/// A file as `stat` sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Its kind.
    pub kind: FileKind,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its permission bits, at most `0o7777`.
    pub mode: u32,
    /// Last change of its content, seconds since 1970.
    pub modified_unix_s: i64,
}

/// A name in the same directory, so that a rename replaces `path` at once; unique in this process, and the process
/// id is in it.
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{number}.fogline", std::process::id()));
    path.with_file_name(name)
}
