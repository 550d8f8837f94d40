//! What ran, where, from what, and how it went.

use crate::{FileDigest, JournalError, Machine, RunFolder, Verdict, write_json};
use link::Bounds;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;

/// `fogline/manifest.json`: enough to say later what this run was, and to do it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Number of this file's format; 1.
    pub format: u32,
    /// Versions by name: `fogline`, and what else took part.
    pub versions: BTreeMap<String, String>,
    /// The command line, word by word.
    pub command_line: Vec<String>,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's files with their checksums.
    pub scenario_files: Vec<FileDigest>,
    /// Which run of a repetition, from 1.
    pub repeat: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Seconds between launch and finalize.
    pub duration_s: u64,
    /// TCP congestion control on the hosts.
    pub congestion: String,
    /// How well the emulated network had to keep its word.
    #[serde(default)]
    pub bounds: Bounds,
    /// How packets were to travel, where somebody chose: `tap`, `packet`, `kernel`.
    #[serde(default)]
    pub data_path: Option<String>,
    /// Threads of the emulator; 0 in folders of versions that did not write it.
    #[serde(default)]
    pub workers: usize,
    /// Which clock stamped frames and results, in words.
    pub clock: String,
    /// The machine.
    pub machine: Machine,
    /// When the run began: RFC 3339, local time with its offset.
    pub started: String,
    /// When the run began, in nanoseconds since 1970-01-01T00:00:00Z.
    pub started_unix_ns: u64,
    /// When the run ended, in nanoseconds since 1970-01-01T00:00:00Z; absent while it lasts or when it was killed.
    pub ended_unix_ns: Option<u64>,
    /// How it went; absent while it lasts or when it was killed.
    pub verdict: Option<Verdict>,
    /// The runner's exit code.
    pub exit_code: Option<u8>,
    /// Why, one sentence each.
    pub reasons: Vec<String>,
    /// Other facts worth keeping, by name.
    pub facts: BTreeMap<String, serde_json::Value>,
}

impl Manifest {
    /// The format that this version writes.
    pub const FORMAT: u32 = 1;

    /// Writes it to its place in `folder`, replacing an earlier state at once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), JournalError> {
        write_json(&folder.manifest(), self)
    }

    /// Reads it from `folder`.
    ///
    /// # Errors
    /// When the file is missing or broken, or a newer version wrote it.
    pub fn read(folder: &RunFolder) -> Result<Self, JournalError> {
        let path = folder.manifest();
        let bytes = fs::read(&path).map_err(|e| JournalError::new("read", &path, e))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|e| JournalError::broken(&path, e))?;
        if manifest.format > Self::FORMAT {
            let what = format_args!(
                "format {} is newer than {}, which is known here",
                manifest.format,
                Self::FORMAT
            );
            return Err(JournalError::broken(&path, what));
        }
        Ok(manifest)
    }
}
