//! Files to a host and back.

use super::Client;
use super::connection::Pending;
use crate::digest::{Digest, Hasher};
use crate::error::{AgentError, Context as _, Failure};
use crate::file::{FileStat, Put, temporary_beside};
use crate::limits::{CALL_DEADLINE, CHUNK_BYTES, CHUNKS_UNDER_WAY};
use crate::message::{Mode, Reply, Request};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Deepest directory that is put.
const DEPTH_MAX: usize = 64;

impl Client {
    /// Puts a local file onto the host, atomically, making parent directories as needed. A file with the same content
    /// is left alone. Without `mode` an existing file keeps its permission bits and a new one gets the source's.
    ///
    /// # Errors
    /// When the source cannot be read, the host cannot write (the message has the path and the system's words), the
    /// source changed on the way, or the agent is gone.
    pub fn put_file(&self, source: &Path, destination: &Path, mode: Option<u32>) -> Result<Put, AgentError> {
        let mut file = File::open(source).at("read", source).map_err(local)?;
        let metadata = file.metadata().at("read", source).map_err(local)?;
        if metadata.is_dir() {
            let failure = Failure {
                path: Some(source.to_owned()),
                ..Failure::new("put", "it is a directory, not a file")
            };
            return Err(local(failure));
        }
        let mode = mode.map_or(Mode::IfNew(metadata.permissions().mode() & 0o777), Mode::Exactly);
        if metadata.len() <= CHUNK_BYTES as u64 {
            let mut bytes = Vec::new();
            (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut bytes).at("read", source).map_err(local)?;
            return self.wait_put(self.send_small(bytes, destination, mode)?);
        }
        self.put_large(source, &mut file, destination, mode)
    }

    /// Puts bytes into a file on the host, as [`Client::put_file`] does. A new file without `mode` gets `0o644`.
    ///
    /// # Errors
    /// As [`Client::put_file`].
    pub fn put_bytes(&self, bytes: &[u8], destination: &Path, mode: Option<u32>) -> Result<Put, AgentError> {
        let mode = mode.map_or(Mode::IfNew(0o644), Mode::Exactly);
        if bytes.len() <= CHUNK_BYTES {
            return self.wait_put(self.send_small(bytes.to_vec(), destination, mode)?);
        }
        let digest = Digest::of(bytes);
        self.put_chunks(
            &mut &bytes[..],
            Path::new("the bytes"),
            bytes.len() as u64,
            digest,
            destination,
            mode,
        )
    }

    /// Puts a directory with all it holds (files, directories, symbolic links as links; permission bits kept). With
    /// `contents_only` what `source` holds comes into `destination`, else `destination` gets a directory of the
    /// source's name. Nothing is removed there.
    ///
    /// # Errors
    /// As [`Client::put_file`]; what was put before the error stays.
    pub fn put_directory(
        &self,
        source: &Path,
        destination: &Path,
        contents_only: bool,
    ) -> Result<Put, AgentError> {
        let whole = source.canonicalize().at("read", source).map_err(local)?;
        let root = match whole.file_name() {
            Some(name) if !contents_only => destination.join(name),
            _ => destination.to_owned(),
        };
        let mut total = Put::default();
        let mut under_way = VecDeque::new();
        let mut directories = vec![(whole, root, 0)];
        while let Some((from, to, depth)) = directories.pop() {
            let mode = fs::metadata(&from).at("read", &from).map_err(local)?.permissions().mode() & 0o777;
            let request = Request::MakeDirectory { path: to.clone(), mode: Some(mode) };
            self.add_put(&mut under_way, self.send(&request, Vec::new(), CALL_DEADLINE)?, &mut total)?;
            for path in sorted_entries(&from).map_err(local)? {
                let to = to.join(path.file_name().unwrap_or_default());
                let kind = fs::symlink_metadata(&path).at("read", &path).map_err(local)?;
                if kind.is_dir() && depth < DEPTH_MAX {
                    directories.push((path, to, depth + 1));
                } else if let Some(pending) = self.send_entry(&path, &kind, &to, &mut total)? {
                    self.add_put(&mut under_way, pending, &mut total)?;
                }
            }
        }
        for pending in under_way {
            merge(&mut total, self.wait_put(pending)?);
        }
        Ok(total)
    }

    /// Gets a file from the host, atomically, making parent directories as needed; its size in bytes. What is appended
    /// to the file meanwhile is not fetched.
    ///
    /// # Errors
    /// When the file cannot be read, was rewritten while it was read, the destination cannot be written, or the agent
    /// is gone.
    pub fn get_file(&self, source: &Path, destination: &Path) -> Result<u64, AgentError> {
        let request = Request::Get { path: source.to_owned() };
        let (bytes, digest, first) = match self.call(&request, Vec::new(), CALL_DEADLINE)? {
            (Reply::Got { bytes, digest }, first) => (bytes, digest, first),
            (other, _) => return Err(self.unexpected(&other)),
        };
        if let Some(parent) = destination.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).at("make directory", parent).map_err(local)?;
        }
        let temporary = temporary_beside(destination);
        let result = self.get_into(source, &temporary, bytes, digest, &first).and_then(|()| {
            fs::rename(&temporary, destination).at("rename into place", destination).map_err(local)
        });
        if result.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        result.map(|()| bytes)
    }

    /// A file's kind, size and mode; `None` when there is no such file.
    ///
    /// # Errors
    /// When the host cannot say (no right to search the directory), or the agent is gone.
    pub fn stat(&self, path: &Path) -> Result<Option<FileStat>, AgentError> {
        match self.call(&Request::Stat { path: path.to_owned() }, Vec::new(), CALL_DEADLINE)? {
            (Reply::Stat(stat), _) => Ok(stat),
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// Makes a directory and its parents; whether anything changed. With `mode` also an existing one gets it.
    ///
    /// # Errors
    /// When the host cannot make it, or the agent is gone.
    pub fn make_directory(&self, path: &Path, mode: Option<u32>) -> Result<bool, AgentError> {
        let request = Request::MakeDirectory { path: path.to_owned(), mode };
        Ok(self.wait_put(self.send(&request, Vec::new(), CALL_DEADLINE)?)?.changed)
    }

    /// Removes a file, or a directory with all it holds; whether there was one.
    ///
    /// # Errors
    /// When the host cannot remove it, or the agent is gone.
    pub fn remove(&self, path: &Path) -> Result<bool, AgentError> {
        let request = Request::Remove { path: path.to_owned() };
        Ok(self.wait_put(self.send(&request, Vec::new(), CALL_DEADLINE)?)?.changed)
    }

    /// Sends what is no directory; large files are put at once, and then there is nothing to wait for.
    fn send_entry(
        &self,
        path: &Path,
        metadata: &fs::Metadata,
        destination: &Path,
        total: &mut Put,
    ) -> Result<Option<Pending>, AgentError> {
        if metadata.is_symlink() {
            let target = fs::read_link(path).at("read", path).map_err(local)?;
            let request = Request::Link { target, destination: destination.to_owned() };
            return self.send(&request, Vec::new(), CALL_DEADLINE).map(Some);
        }
        let mode = metadata.permissions().mode() & 0o777;
        if !metadata.is_file() {
            let message = "it is neither a file, a directory nor a symbolic link, or lies too deep";
            return Err(local(Failure { path: Some(path.to_owned()), ..Failure::new("put", message) }));
        }
        if metadata.len() > CHUNK_BYTES as u64 {
            merge(total, self.put_file(path, destination, Some(mode))?);
            return Ok(None);
        }
        let bytes = fs::read(path).at("read", path).map_err(local)?;
        self.send_small(bytes, destination, Mode::Exactly(mode)).map(Some)
    }

    fn send_small(&self, bytes: Vec<u8>, destination: &Path, mode: Mode) -> Result<Pending, AgentError> {
        let digest = Digest::of(&bytes);
        self.send(&Request::Put { destination: destination.to_owned(), mode, digest }, bytes, CALL_DEADLINE)
    }

    fn wait_put(&self, pending: Pending) -> Result<Put, AgentError> {
        match pending.wait()? {
            (Reply::Put(put), _) => Ok(put),
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// Adds a request to those under way, waiting for the oldest when there are enough.
    fn add_put(
        &self,
        under_way: &mut VecDeque<Pending>,
        pending: Pending,
        total: &mut Put,
    ) -> Result<(), AgentError> {
        under_way.push_back(pending);
        if under_way.len() > CHUNKS_UNDER_WAY
            && let Some(oldest) = under_way.pop_front()
        {
            merge(total, self.wait_put(oldest)?);
        }
        Ok(())
    }

    fn put_large(
        &self,
        source: &Path,
        file: &mut File,
        destination: &Path,
        mode: Mode,
    ) -> Result<Put, AgentError> {
        let (bytes, digest) = Digest::of_stream(file).at("read", source).map_err(local)?;
        let mut again = File::open(source).at("read", source).map_err(local)?;
        self.put_chunks(&mut again, source, bytes, digest, destination, mode)
    }

    fn put_chunks(
        &self,
        content: &mut impl Read,
        source: &Path,
        bytes: u64,
        digest: Digest,
        destination: &Path,
        mode: Mode,
    ) -> Result<Put, AgentError> {
        let request = Request::PutOpen { destination: destination.to_owned(), mode, bytes, digest };
        let temporary = match self.call(&request, Vec::new(), CALL_DEADLINE)? {
            (Reply::Put(put), _) => return Ok(put),
            (Reply::Opened { temporary }, _) => temporary,
            (other, _) => return Err(self.unexpected(&other)),
        };
        let sent = self.send_chunks(content, source, bytes, &temporary).and_then(|()| {
            let destination = destination.to_owned();
            let request =
                Request::PutCommit { temporary: temporary.clone(), destination, mode, bytes, digest };
            self.wait_put(self.send(&request, Vec::new(), CALL_DEADLINE)?)
        });
        if sent.is_err() {
            // The first error is the one to report.
            let _ = self.done(&Request::PutAbort { temporary }, Vec::new(), CALL_DEADLINE);
        }
        sent
    }

    fn send_chunks(
        &self,
        content: &mut impl Read,
        source: &Path,
        bytes: u64,
        temporary: &Path,
    ) -> Result<(), AgentError> {
        let mut under_way: VecDeque<Pending> = VecDeque::new();
        let mut offset = 0;
        while offset < bytes {
            let due = (bytes - offset).min(CHUNK_BYTES as u64);
            let mut chunk = Vec::with_capacity(due as usize);
            content.by_ref().take(due).read_to_end(&mut chunk).at("read", source).map_err(local)?;
            if chunk.is_empty() {
                // The file shrank; the checksum at the end says so.
                break;
            }
            let request = Request::PutChunk { temporary: temporary.to_owned(), offset };
            offset += chunk.len() as u64;
            under_way.push_back(self.send(&request, chunk, CALL_DEADLINE)?);
            if under_way.len() > CHUNKS_UNDER_WAY
                && let Some(oldest) = under_way.pop_front()
            {
                oldest.wait()?;
            }
        }
        under_way.into_iter().try_for_each(|pending| pending.wait().map(|_| ()))
    }

    fn get_into(
        &self,
        source: &Path,
        temporary: &Path,
        bytes: u64,
        digest: Digest,
        first: &[u8],
    ) -> Result<(), AgentError> {
        let mut file = File::create(temporary).at("create", temporary).map_err(local)?;
        let mut hasher = Hasher::default();
        let mut keep = |chunk: &[u8]| {
            hasher.update(chunk);
            file.write_all(chunk).at("write", temporary).map_err(local)
        };
        keep(first)?;
        let mut under_way: VecDeque<Pending> = VecDeque::new();
        let mut offset = first.len() as u64;
        loop {
            while offset < bytes && under_way.len() < CHUNKS_UNDER_WAY {
                let due = (bytes - offset).min(CHUNK_BYTES as u64);
                let request = Request::GetChunk { path: source.to_owned(), offset, bytes: due };
                under_way.push_back(self.send(&request, Vec::new(), CALL_DEADLINE)?);
                offset += due;
            }
            let Some(oldest) = under_way.pop_front() else { break };
            keep(&oldest.wait()?.1)?;
        }
        if hasher.finish() == (bytes, digest) {
            return Ok(());
        }
        let message = "its content changed while it was read";
        let failure = Failure { path: Some(source.to_owned()), ..Failure::new("get", message) };
        Err(AgentError::Refused { host: self.host().to_owned(), failure })
    }
}

fn local(failure: Failure) -> AgentError {
    AgentError::Local { failure }
}

fn merge(total: &mut Put, one: Put) {
    total.changed |= one.changed;
    total.bytes += one.bytes;
}

fn sorted_entries(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut paths = fs::read_dir(directory)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
        })
        .at("read", directory)?;
    paths.sort();
    Ok(paths)
}
