//! Files of the host. Nothing is kept between requests: a piece names its file, so that pieces may come in any order
//! and an agent that dies leaves at most a temporary file.

use crate::digest::{Digest, Hasher};
use crate::error::{Context as _, Failure};
use crate::file::{FileKind, FileStat, Put, temporary_beside};
use crate::limits::CHUNK_BYTES;
use crate::message::Mode;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Puts a small file whole.
pub(super) fn put(destination: &Path, mode: Mode, digest: Digest, content: &[u8]) -> Result<Put, Failure> {
    if Digest::of(content) != digest {
        return Err(corrupt("put", destination));
    }
    if let Some(put) = same(destination, mode, content.len() as u64, digest)? {
        return Ok(put);
    }
    let mode = mode_for(destination, mode);
    let temporary = create_beside(destination)?;
    let written = fs::write(&temporary, content)
        .at("write", destination)
        .and_then(|()| settle(&temporary, destination, mode));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| Put { changed: true, bytes: content.len() as u64 })
}

/// Begins a file that comes in pieces: `Ok(Err(put))` when the host has it already.
pub(super) fn put_open(
    destination: &Path,
    mode: Mode,
    bytes: u64,
    digest: Digest,
) -> Result<Result<PathBuf, Put>, Failure> {
    match same(destination, mode, bytes, digest)? {
        Some(put) => Ok(Err(put)),
        None => create_beside(destination).map(Ok),
    }
}

/// Writes one piece.
pub(super) fn put_chunk(temporary: &Path, offset: u64, content: &[u8]) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).open(temporary).at("open", temporary)?;
    file.write_all_at(content, offset).at("write", temporary)
}

/// Ends a file that came in pieces.
pub(super) fn put_commit(
    temporary: &Path,
    destination: &Path,
    mode: Mode,
    bytes: u64,
    digest: Digest,
) -> Result<Put, Failure> {
    if digest_of(temporary, bytes)? != Some(digest) {
        return Err(corrupt("put", destination));
    }
    settle(temporary, destination, mode_for(destination, mode))?;
    Ok(Put { changed: true, bytes })
}

/// Gives up a file that came in pieces.
pub(super) fn put_abort(temporary: &Path) -> Result<(), Failure> {
    fs::remove_file(temporary).at("remove", temporary)
}

/// Makes a symbolic link, in place of whatever file is there.
pub(super) fn link(target: &Path, destination: &Path) -> Result<Put, Failure> {
    if fs::read_link(destination).is_ok_and(|existing| existing == target) {
        return Ok(Put { changed: false, bytes: 0 });
    }
    make_parents(destination)?;
    let temporary = temporary_beside(destination);
    symlink(target, &temporary).at("link", destination)?;
    let renamed = fs::rename(&temporary, destination).at("link", destination);
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed.map(|()| Put { changed: true, bytes: 0 })
}

/// The beginning of a file to get, with the size and the checksum of what it holds now.
pub(super) fn get(path: &Path) -> Result<(u64, Digest, Vec<u8>), Failure> {
    let mut file = File::open(path).at("read", path)?;
    let metadata = file.metadata().at("read", path)?;
    if metadata.is_dir() {
        return Err(Failure::at("read", path, &io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let mut first = Vec::new();
    (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut first).at("read", path)?;
    let mut hasher = Hasher::default();
    hasher.update(&first);
    let rest = metadata.len().saturating_sub(first.len() as u64);
    let (bytes, digest) = hasher.finish_stream(file.take(rest)).at("read", path)?;
    Ok((bytes, digest, first))
}

/// One piece of a file, shorter where the file ends.
pub(super) fn get_chunk(path: &Path, offset: u64, bytes: u64) -> Result<Vec<u8>, Failure> {
    let file = File::open(path).at("read", path)?;
    let mut chunk = vec![0; bytes.min(CHUNK_BYTES as u64) as usize];
    let mut filled = 0;
    while filled < chunk.len() {
        match file.read_at(&mut chunk[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::at("read", path, &error)),
        }
    }
    chunk.truncate(filled);
    Ok(chunk)
}

/// What `stat` says; `None` when there is nothing.
pub(super) fn stat(path: &Path) -> Result<Option<FileStat>, Failure> {
    let found = fs::metadata(path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => fs::symlink_metadata(path),
        _ => Err(error),
    });
    let metadata = match found {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Failure::at("stat", path, &error)),
    };
    let kind = match metadata.file_type() {
        kind if kind.is_file() => FileKind::File,
        kind if kind.is_dir() => FileKind::Directory,
        kind if kind.is_symlink() => FileKind::Link,
        _ => FileKind::Other,
    };
    let mode = metadata.mode() & 0o7777;
    Ok(Some(FileStat { kind, bytes: metadata.len(), mode, modified_unix_s: metadata.mtime() }))
}

/// Makes a directory and its parents.
pub(super) fn make_directory(path: &Path, mode: Option<u32>) -> Result<Put, Failure> {
    let existing = fs::metadata(path).ok().filter(fs::Metadata::is_dir);
    if existing.is_none() {
        make_whole(path)?;
    }
    let wrong = mode.filter(|mode| existing.as_ref().is_none_or(|it| it.mode() & 0o7777 != *mode));
    if let Some(mode) = wrong {
        fs::set_permissions(path, Permissions::from_mode(mode)).at("set the mode of", path)?;
    }
    Ok(Put { changed: existing.is_none() || wrong.is_some(), bytes: 0 })
}

/// Removes a file or a whole directory.
pub(super) fn remove(path: &Path) -> Result<Put, Failure> {
    if path.parent().is_none() {
        return Err(Failure { path: Some(path.to_owned()), ..Failure::new("remove", "it is the root") });
    }
    let removed = fs::symlink_metadata(path).and_then(|metadata| match metadata.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    });
    match removed {
        Ok(()) => Ok(Put { changed: true, bytes: 0 }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Put { changed: false, bytes: 0 }),
        Err(error) => Err(Failure::at("remove", path, &error)),
    }
}

/// The put of a file that is there already with this content; its mode is set if need be.
fn same(destination: &Path, mode: Mode, bytes: u64, digest: Digest) -> Result<Option<Put>, Failure> {
    let Ok(metadata) = fs::metadata(destination) else { return Ok(None) };
    if metadata.is_dir() {
        let error = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(Failure::at("put", destination, &error));
    }
    if !metadata.is_file() || metadata.len() != bytes || digest_of(destination, bytes)? != Some(digest) {
        return Ok(None);
    }
    let mode = match mode {
        Mode::Exactly(mode) if metadata.mode() & 0o7777 != mode => mode,
        _ => return Ok(Some(Put { changed: false, bytes })),
    };
    fs::set_permissions(destination, Permissions::from_mode(mode)).at("set the mode of", destination)?;
    Ok(Some(Put { changed: true, bytes }))
}

/// The permission bits that a file about to be replaced shall have.
fn mode_for(destination: &Path, mode: Mode) -> u32 {
    match mode {
        Mode::Exactly(mode) => mode,
        Mode::IfNew(mode) => fs::metadata(destination).map_or(mode, |existing| existing.mode() & 0o7777),
    }
}

/// The checksum of a file of exactly `bytes` bytes.
fn digest_of(path: &Path, bytes: u64) -> Result<Option<Digest>, Failure> {
    let file = File::open(path).at("read", path)?;
    let (read, digest) = Digest::of_stream(file).at("read", path)?;
    Ok((read == bytes).then_some(digest))
}

/// Creates an empty file beside `destination`, with parents.
fn create_beside(destination: &Path) -> Result<PathBuf, Failure> {
    make_parents(destination)?;
    let temporary = temporary_beside(destination);
    File::create(&temporary).at("create", destination)?;
    Ok(temporary)
}

fn make_parents(destination: &Path) -> Result<(), Failure> {
    match destination.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => make_whole(parent),
        None => Ok(()),
    }
}

/// Makes a directory with its parents. That something else is there already is told as what it is.
fn make_whole(path: &Path) -> Result<(), Failure> {
    let made = fs::create_dir_all(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::from_raw_os_error(libc::ENOTDIR),
        _ => error,
    });
    made.at("make directory", path)
}

fn settle(temporary: &Path, destination: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(temporary, Permissions::from_mode(mode)).at("set the mode of", destination)?;
    fs::rename(temporary, destination).at("rename into place", destination)
}

fn corrupt(action: &str, path: &Path) -> Failure {
    let message = "its checksum is wrong: the source changed on the way";
    Failure { path: Some(path.to_owned()), ..Failure::new(action, message) }
}
