//! What entered a process, what left it, and what became of the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::MeterError;

/// Most cameras that an account tells apart. The rest is counted together under [`OTHERS`], so that
/// invented camera names cannot fill the memory.
const CAMERAS_MAX: usize = 65_536;

/// The name under which cameras beyond the 65,536th are counted together.
pub const OTHERS: &str = "*";

/// The frames of one camera in one process. Always `frames_in = frames_out + sum(dropped)` once all that
/// entered has been dealt with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraAccount {
    /// Frames that entered (for a camera: frames that were due).
    #[serde(rename = "in")]
    pub frames_in: u64,
    /// Frames that left, acknowledged where the receiver acknowledges.
    #[serde(rename = "out")]
    pub frames_out: u64,
    /// Frames that ended here, by reason.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    /// Frames that came again; not part of `frames_in`.
    #[serde(default)]
    pub duplicates: u64,
}

impl CameraAccount {
    /// Frames that ended here, for whatever reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// What entered minus what left or ended here: 0 when every frame is accounted for, positive when frames
    /// vanished, negative when more left than entered.
    pub fn unexplained(&self) -> i64 {
        let explained = self.frames_out.saturating_add(self.dropped_total());
        i64::try_from(i128::from(self.frames_in) - i128::from(explained)).unwrap_or(i64::MAX)
    }
}

/// The account of one process: `<role>-<instance>.account.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// `camera`, `gateway`, `job`, `in-sink` or `out-sink`.
    pub role: String,
    /// Which of them; unique within the experiment.
    pub instance: String,
    /// Whether the process came to its orderly end; until then the figures are those so far.
    pub complete: bool,
    /// Start of the process, nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// End of the process, or the time of this intermediate account, nanoseconds since the Unix epoch.
    pub ended_unix_ns: u64,
    /// CPU time of the process, all threads, in seconds.
    pub cpu_seconds: f64,
    /// Largest resident memory, in KiB.
    pub rss_kib_max: u64,
    /// The tag of the histogram that the CSV's latency columns show; empty when none is measured.
    pub latency_of: String,
    /// The frames, by camera.
    pub cameras: BTreeMap<String, CameraAccount>,
    /// Whatever else the process has to say, by free key.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
}

impl Account {
    /// Reads an account.
    ///
    /// # Errors
    /// When the file cannot be read or is not an account; the message names the file and the field.
    pub fn read(path: &Path) -> Result<Self, MeterError> {
        let text = fs::read(path).map_err(MeterError::io("read", path))?;
        serde_json::from_slice(&text)
            .map_err(|error| MeterError::content(path, error.line(), format!("not an account: {error}")))
    }

    /// The cameras whose frames are not all accounted for, with the number of unexplained frames.
    pub fn unbalanced(&self) -> Vec<(&str, i64)> {
        let difference = self.cameras.iter().map(|(name, camera)| (name.as_str(), camera.unexplained()));
        difference.filter(|(_, frames)| *frames != 0).collect()
    }

    /// The sum over all cameras.
    pub fn total(&self) -> CameraAccount {
        let mut total = CameraAccount::default();
        for camera in self.cameras.values() {
            total.frames_in += camera.frames_in;
            total.frames_out += camera.frames_out;
            total.duplicates += camera.duplicates;
            for (reason, frames) in &camera.dropped {
                *total.dropped.entry(reason.clone()).or_default() += frames;
            }
        }
        total
    }

    /// Replaces the file as a whole, so that a reader sees the old account or the new one and no mixture.
    pub(crate) fn write(&self, path: &Path) -> Result<(), MeterError> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| MeterError::content(path, 0, format!("cannot be written as JSON: {error}")))?;
        text.push(b'\n');
        let next = path.with_extension("json.next");
        fs::write(&next, text).map_err(MeterError::io("write", &next))?;
        fs::rename(&next, path).map_err(MeterError::io("replace", path))
    }

    pub(crate) fn camera(&mut self, name: &str) -> &mut CameraAccount {
        // Two look-ups instead of `entry`, which would need an owned name for every frame.
        let key =
            if self.cameras.contains_key(name) || self.cameras.len() < CAMERAS_MAX { name } else { OTHERS };
        if !self.cameras.contains_key(key) {
            self.cameras.insert(key.to_owned(), CameraAccount::default());
        }
        self.cameras.get_mut(key).expect("the camera was there or has just been added")
    }
}
