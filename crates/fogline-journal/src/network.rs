//! What the run folder says of the network: as planned, as measured, as changed, and how the emulator kept its word.

use crate::{JournalError, RunFolder, write_json};
use fogline_plan::{Plan, PlannedChange, Rule};
use link::{Bounds, Congestion, Profile, Schedule, Share};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A network rule was measured between two hosts, one way. Details are in `network-validate/`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkMeasured {
    /// The rule's name.
    pub rule: String,
    /// Sending host.
    pub source: String,
    /// Receiving host.
    pub destination: String,
    /// One-way delay asked for, in milliseconds.
    pub delay_ms_asked: f64,
    /// One-way delay measured, in milliseconds.
    pub delay_ms: Option<f64>,
    /// Rate asked for, in bits per second; absent when unlimited.
    pub rate_bits_per_s_asked: Option<u64>,
    /// Rate measured, in bits per second.
    pub rate_bits_per_s: Option<u64>,
    /// Loss asked for, as a fraction.
    pub loss_asked: f64,
    /// Loss measured, as a fraction.
    pub loss: Option<f64>,
    /// Spread of the delay asked for, in milliseconds; absent when none was.
    #[serde(default)]
    pub jitter_ms_asked: Option<f64>,
    /// Spread of the delay measured, in milliseconds.
    #[serde(default)]
    pub jitter_ms: Option<f64>,
    /// Largest IP packet that came through, in bytes.
    #[serde(default)]
    pub mtu: Option<u64>,
    /// Whether the measurement agrees with what was asked.
    pub agrees: bool,
}

/// The network became another one, by the schedule or by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkChanged {
    /// Who did it.
    pub by: ChangedBy,
    /// Seconds since the launch was done; absent before that.
    pub at_s: Option<f64>,
    /// Which way it went.
    pub turn: Turn,
    /// What changes where: `fog <-> edge: delay 100ms, loss 2%`.
    pub what: String,
    /// How many links it concerns.
    pub links: usize,
}

/// Who changed the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedBy {
    /// The changes of the network file.
    Timeline,
    /// Somebody, by `fogline network`.
    Hand,
    /// The runner, when the time of all changes is over.
    Runner,
}

impl ChangedBy {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeline => "timeline",
            Self::Hand => "hand",
            Self::Runner => "runner",
        }
    }
}

/// Which way a change went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It ends.
    Ends,
    /// It comes into force.
    Begins,
}

/// `fogline/network-plan.json`: the network as planned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkPlan {
    /// The rules, one per direction.
    pub rules: Vec<NetworkRule>,
    /// What was scheduled, with the links of each change.
    pub changes: Vec<ScheduledChange>,
}

/// A rule as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkRule {
    /// The rule's name.
    pub name: String,
    /// Source selector as written.
    pub source: String,
    /// Destination selector as written.
    pub destination: String,
    /// Whether it is the mirrored half of a symmetric rule.
    pub mirrored: bool,
    /// What it asks for.
    pub profile: Profile,
    /// Who shares its rate.
    pub share: Share,
    /// TCP congestion control on its links, where it is not the run's.
    pub congestion: Option<Congestion>,
    /// Seed of its links' randomness, where it is not the run's.
    pub seed: Option<u64>,
    /// The links that it has, as positions in the emulator's account.
    pub links: Vec<usize>,
}

/// A scheduled change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduledChange {
    /// What the user will recognise it by.
    pub label: String,
    /// When.
    pub schedule: Schedule,
    /// The links that it concerns, as positions in the emulator's account.
    pub links: Vec<usize>,
}

/// `fogline/network-verdict.json`: whether the emulator kept its word during the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkVerdict {
    /// What could go wrong at most.
    pub bounds: Bounds,
    /// What the first of them comes to, by the delay of links.
    pub late: Vec<LateBound>,
    /// Where the emulator exceeded a bound, a sentence each; empty when it kept its word.
    pub violations: Vec<String>,
}

/// How late packets of links of one delay may leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateBound {
    /// The delay that these links were given at the start, nanoseconds.
    pub delay_ns: u64,
    /// The most that the 99th percentile of their lateness may be, nanoseconds.
    pub bound_ns: u64,
}

impl NetworkPlan {
    /// The network of `plan`.
    pub fn of(plan: &Plan) -> Self {
        let rule = |rule: &Rule| NetworkRule {
            name: rule.name.clone(),
            source: rule.source.clone(),
            destination: rule.destination.clone(),
            mirrored: rule.mirrored,
            profile: rule.profile,
            share: rule.share,
            congestion: rule.congestion,
            seed: rule.seed,
            links: rule.links.clone(),
        };
        let change = |planned: &PlannedChange| ScheduledChange {
            label: planned.label.clone(),
            schedule: planned.change.schedule,
            links: planned.change.links.clone(),
        };
        Self {
            rules: plan.rules.iter().map(rule).collect(),
            changes: plan.changes.iter().map(change).collect(),
        }
    }

    /// Writes it to its place in `folder`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), JournalError> {
        write_json(&folder.network_plan(), self)
    }

    /// Reads it from `folder`; `None` where there is none, as in folders of early versions.
    ///
    /// # Errors
    /// When the file cannot be read or is broken.
    pub fn read(folder: &RunFolder) -> Result<Option<Self>, JournalError> {
        read_json(&folder.network_plan())
    }
}

impl NetworkVerdict {
    /// Writes it to its place in `folder`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<(), JournalError> {
        write_json(&folder.network_verdict(), self)
    }

    /// Reads it from `folder`; `None` where there is none: the run ended before its network could be judged.
    ///
    /// # Errors
    /// When the file cannot be read or is broken.
    pub fn read(folder: &RunFolder) -> Result<Option<Self>, JournalError> {
        read_json(&folder.network_verdict())
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, JournalError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| JournalError::broken(path, e)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(JournalError::new("read", path, e)),
    }
}
