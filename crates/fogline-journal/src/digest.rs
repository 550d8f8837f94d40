//! Checksums of the files that an experiment was made of.

use crate::JournalError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file with its size and checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Path below the folder it was looked for in.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// Sizes and checksums of the files `names` below `folder`.
///
/// # Errors
/// When one cannot be read.
pub fn digest_files(folder: &Path, names: &[&str]) -> Result<Vec<FileDigest>, JournalError> {
    names.iter().map(|name| digest_file(folder, name)).collect()
}

fn digest_file(folder: &Path, name: &str) -> Result<FileDigest, JournalError> {
    let path = folder.join(name);
    let failed = |e| JournalError::new("read", &path, e);
    let mut file = File::open(&path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut block = vec![0; 1 << 16];
    loop {
        let got = file.read(&mut block).map_err(failed)?;
        if got == 0 {
            break;
        }
        hash.update(&block[..got]);
        bytes += got as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(FileDigest { name: name.to_owned(), bytes, sha256 })
}
