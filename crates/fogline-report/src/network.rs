//! The network as asked and as measured, and how well the emulator kept its word during the run.

use crate::ReportError;
use fogline_journal::{Event, NetworkMeasured, NetworkVerdict, RunFolder, read_events};
use serde::Deserialize;
use std::fs;

/// What the run folder says of the network.
#[derive(Debug, Default)]
pub(crate) struct NetworkView {
    /// One line per rule and direction.
    pub(crate) measured: Vec<NetworkMeasured>,
    /// Whether the emulator kept its word, by its own account.
    pub(crate) verdict: Option<NetworkVerdict>,
    /// The emulator's own account, if there was one.
    pub(crate) emulator: Option<Emulator>,
}

/// The part of `fogline/network.json` that the report shows.
#[derive(Debug, Deserialize)]
pub(crate) struct Emulator {
    /// How packets travelled.
    pub(crate) data_path: String,
    /// Offloads in use.
    pub(crate) offload: String,
    /// Scheduling of the worker.
    pub(crate) scheduling: String,
    /// Seed of the losses.
    pub(crate) seed: u64,
    /// CPU time of the worker, seconds.
    pub(crate) cpu_s: f64,
    /// Time of the run, seconds.
    pub(crate) elapsed_s: f64,
    /// Lateness.
    pub(crate) lateness: Lateness,
    /// Links.
    pub(crate) links: Vec<Link>,
}

/// How late packets left, nanoseconds.
#[derive(Debug, Deserialize)]
pub(crate) struct Lateness {
    pub(crate) count: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
}

/// Packets of one link.
#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    pub(crate) entered: Tally,
    pub(crate) lost: Tally,
    pub(crate) queue_dropped: Tally,
}

/// A number of packets.
#[derive(Debug, Deserialize)]
pub(crate) struct Tally {
    pub(crate) packets: u64,
}

impl NetworkView {
    /// Reads the measurements from the events and the emulator's account from its file.
    pub(crate) fn read(folder: &RunFolder) -> Result<Self, ReportError> {
        let mut measured = Vec::new();
        if folder.events().is_file() {
            for record in read_events(folder)?.records {
                if let Event::NetworkMeasured(rule) = record.event {
                    measured.push(rule);
                }
            }
        }
        let path = folder.network();
        let emulator = match fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| ReportError::Content {
                path: path.clone(),
                reason: format!("not an account of the network: {error}"),
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(ReportError::read(&path)(error)),
        };
        Ok(Self { measured, verdict: NetworkVerdict::read(folder)?, emulator })
    }

    /// Why the network forbids trust.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let off = self.measured.iter().filter(|rule| !rule.agrees);
        let off = off.map(|rule| {
            format!(
                "the network rule {} ({} to {}) does not measure as asked",
                rule.rule, rule.source, rule.destination
            )
        });
        let broken = self.verdict.iter().flat_map(|verdict| &verdict.violations);
        off.chain(broken.map(|violation| format!("the emulated network did not keep its word: {violation}")))
            .collect()
    }
}
