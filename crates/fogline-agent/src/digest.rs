//! Checksums of file contents.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};

/// SHA-256 of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// The checksum of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads a stream to its end; its length and its checksum.
    pub(crate) fn of_stream(stream: impl Read) -> io::Result<(u64, Self)> {
        Hasher::default().finish_stream(stream)
    }
}

/// A checksum in the making.
#[derive(Default)]
pub(crate) struct Hasher {
    bytes: u64,
    state: Sha256,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.state.update(bytes);
    }

    pub(crate) fn finish(self) -> (u64, Digest) {
        (self.bytes, Digest(self.state.finalize().into()))
    }

    /// Adds a stream, read to its end.
    pub(crate) fn finish_stream(mut self, mut stream: impl Read) -> io::Result<(u64, Digest)> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(self.finish()),
                Ok(count) => self.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
