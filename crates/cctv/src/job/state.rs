//! What a job must remember to go on where it was, as records of a compacted topic: the newest record of a key counts.
//!
//! Keys are `job`, `figures`, `partition/NUMBER` and `camera/NAME`; values are JSON with a version.

use std::collections::BTreeMap;

use frame::CameraId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Figures;
use super::engine::Stream;
use super::spec::JobSpec;
use super::window::Open;

/// Version of the records; a job refuses those of another.
const VERSION: u32 = 1;

const JOB: &str = "job";
const FIGURES: &str = "figures";
const PARTITION: &str = "partition/";
const CAMERA: &str = "camera/";

/// What there is about one camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CameraState {
    /// The camera.
    pub(super) camera: CameraId,
    /// What has been seen of it.
    pub(super) stream: Stream,
    /// Late frames since its last window.
    pub(super) late: u32,
    /// Its open windows, by their start.
    pub(super) open: BTreeMap<u64, Open>,
}

/// What there is about one partition of the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionState {
    /// The first record that has not been dealt with.
    pub(super) next_offset: i64,
    /// The newest event time.
    pub(super) newest_unix_ns: Option<u64>,
    /// The watermark of the worker it belonged to.
    pub(super) watermark_unix_ns: Option<u64>,
}

/// What must be the same for a job to go on from the state of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    input_topic: String,
    partitions: i32,
    window_ms: u64,
}

impl Identity {
    /// That of a job whose input has so many partitions.
    pub(super) fn new(spec: &JobSpec, partitions: i32) -> Self {
        Self { input_topic: spec.input_topic.clone(), partitions, window_ms: spec.window_ms }
    }

    /// How a job differs from the one that wrote this.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        if self.input_topic != now.input_topic {
            return Some(format!("its input was topic {:?}, not {:?}", self.input_topic, now.input_topic));
        }
        if self.partitions != now.partitions {
            return Some(format!("its input had {} partitions, not {}", self.partitions, now.partitions));
        }
        (self.window_ms != now.window_ms)
            .then(|| format!("its windows were {} ms long, not {}", self.window_ms, now.window_ms))
    }
}

/// All that a job remembers, or a part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    /// Who wrote it; `None` when nobody has.
    pub(super) identity: Option<Identity>,
    /// How far the counts were from the truth: sums by name. Empty says nothing.
    pub(super) figures: Figures,
    /// By number.
    pub(super) partitions: BTreeMap<i32, PartitionState>,
    /// By name.
    pub(super) cameras: BTreeMap<CameraId, CameraState>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    state: T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl State {
    /// As records: key and value.
    ///
    /// # Errors
    /// When a value has no form as JSON, which none has.
    pub(super) fn records(&self) -> Result<Vec<(String, Vec<u8>)>, serde_json::Error> {
        let mut records = Vec::with_capacity(2 + self.partitions.len() + self.cameras.len());
        if let Some(identity) = &self.identity {
            records.push((JOB.to_owned(), encode(identity)?));
        }
        if !self.figures.is_empty() {
            records.push((FIGURES.to_owned(), encode(&self.figures)?));
        }
        for (number, state) in &self.partitions {
            records.push((format!("{PARTITION}{number}"), encode(state)?));
        }
        for (camera, state) in &self.cameras {
            records.push((format!("{CAMERA}{camera}"), encode(state)?));
        }
        Ok(records)
    }

    /// Takes one record, which replaces an earlier one of the same key.
    ///
    /// # Errors
    /// Says what is wrong with the record.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let key = std::str::from_utf8(key).map_err(|_| "a key is not UTF-8 text".to_owned())?;
        if key == JOB {
            self.identity = Some(decode(key, value)?);
        } else if key == FIGURES {
            self.figures = decode(key, value)?;
        } else if let Some(number) = key.strip_prefix(PARTITION) {
            let number = number.parse().map_err(|_| format!("key {key:?} names no partition"))?;
            self.partitions.insert(number, decode(key, value)?);
        } else if key.starts_with(CAMERA) {
            let state: CameraState = decode(key, value)?;
            self.cameras.insert(state.camera.clone(), state);
        } else {
            return Err(format!("key {key:?} is none of a job's state"));
        }
        Ok(())
    }
}

fn encode(state: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Versioned { version: VERSION, state })
}

fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, String> {
    let broken = |error: serde_json::Error| format!("the state of {key:?} cannot be read: {error}");
    let Version { version } = serde_json::from_slice(value).map_err(broken)?;
    if version != VERSION {
        return Err(format!(
            "the state of {key:?} has version {version}; this program knows version {VERSION}"
        ));
    }
    let versioned: Versioned<T> = serde_json::from_slice(value).map_err(broken)?;
    Ok(versioned.state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_job_of_this_version_wrote_is_refused_by_name() {
        for (key, value, named) in [
            ("camera/c", r#"{"version":2,"state":{}}"#, "version 2"),
            ("partition/0", r#"{"version":1,"state":{"next_offset":"1"}}"#, "partition/0"),
            ("partition/zero", "{}", "partition/zero"),
            ("job", "", "job"),
            ("offsets", "{}", "offsets"),
        ] {
            let reason = State::default().take(key.as_bytes(), value.as_bytes()).unwrap_err();
            assert!(reason.contains(named), "{key}: {reason}");
        }
    }

    #[test]
    fn another_job_does_not_go_on_from_the_state() {
        let was = Identity { input_topic: "in".into(), partitions: 32, window_ms: 1000 };
        assert_eq!(was.difference(&was), None);
        for (now, named) in [
            (Identity { input_topic: "on".into(), ..was.clone() }, "\"on\""),
            (Identity { partitions: 16, ..was.clone() }, "16"),
            (Identity { window_ms: 500, ..was.clone() }, "500"),
        ] {
            assert!(was.difference(&now).unwrap().contains(named), "{now:?}");
        }
    }
}
