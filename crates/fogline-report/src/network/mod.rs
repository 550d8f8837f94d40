//! The network as asked and as measured, how it changed, and how well the emulator kept its word during the run.

mod account;
mod changes;

pub(crate) use account::{Account, Packets};
pub(crate) use changes::{Changes, Stretch};

use crate::ReportError;
use fogline_journal::{Event, NetworkMeasured, NetworkPlan, NetworkVerdict, RunFolder, read_events};
use std::fs;

/// What the run folder says of the network.
#[derive(Debug, Default)]
pub(crate) struct NetworkView {
    /// The rules as planned, if they were written down.
    pub(crate) plan: Option<NetworkPlan>,
    /// One line per rule and direction.
    pub(crate) measured: Vec<NetworkMeasured>,
    /// How it changed during the run.
    pub(crate) changes: Changes,
    /// Whether the emulator kept its word, by its own account.
    pub(crate) verdict: Option<NetworkVerdict>,
    /// The emulator's own account, if there was one.
    pub(crate) account: Option<Account>,
}

impl NetworkView {
    /// Reads measurements and changes from the events, and all else from files of its own.
    pub(crate) fn read(folder: &RunFolder) -> Result<Self, ReportError> {
        let records = if folder.events().is_file() { read_events(folder)?.records } else { Vec::new() };
        let changes = Changes::read(&records);
        let measured = records.into_iter().filter_map(|record| match record.event {
            Event::NetworkMeasured(rule) => Some(rule),
            _ => None,
        });
        let path = folder.network();
        let account = match fs::read(&path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| ReportError::Content {
                path: path.clone(),
                reason: format!("not an account of the network: {error}"),
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(ReportError::read(&path)(error)),
        };
        Ok(Self {
            plan: NetworkPlan::read(folder)?,
            measured: measured.collect(),
            changes,
            verdict: NetworkVerdict::read(folder)?,
            account,
        })
    }

    /// Why the network makes the run invalid.
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
