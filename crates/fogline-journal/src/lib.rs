//! The run folder: names of its files, events, manifest, validation files.
//!
//! One run of an experiment leaves one folder, `<scenario>/<YYYYMMDD-HHMMSS>/`, whose names are E2Clab's, so that
//! existing scripts find their files. [`RunFolder`] knows every name in it; no other crate spells one.
//!
//! - [`Journal`] appends [`Event`]s to `fogline/events.jsonl`, one JSON line each, and hands them to listeners: the
//!   progress display knows events, not the runner. [`read_events`] reads them back.
//! - [`Manifest`] says what ran where: versions, seed, machine, scenario files with their checksums, verdict.
//! - [`write_services`], [`append_play`] and [`write_network_validation`] write E2Clab's validation files.
//! - [`RunnerLock`] tells whether a folder's runner is still alive.
//!
//! The journal is append-only while a run lasts, and a report can be rebuilt from the folder alone.

mod clock;
mod digest;
mod event;
mod journal;
mod layout;
mod lock;
mod machine;
mod manifest;
mod network;
mod validate;
mod write;
mod yaml;

pub use clock::Clock;
pub use digest::{FileDigest, digest_files};
pub use event::{
    Event, HostUp, JobEnded, JobStarted, Record, RunEnded, RunPhase, RunStarted, TaskEnded, TaskStarted,
    Verdict,
};
pub use journal::{Events, Journal, Listener, read_events};
pub use layout::RunFolder;
pub use lock::{Runner, RunnerLock};
pub use machine::Machine;
pub use manifest::Manifest;
pub use network::{
    ChangedBy, LateBound, NetworkChanged, NetworkMeasured, NetworkPlan, NetworkRule, NetworkVerdict,
    ScheduledChange, Turn,
};
pub use validate::{Play, append_play, read_network_validation, write_network_validation, write_services};
pub use write::{JournalError, write_file, write_json};
pub use yaml::to_yaml;
