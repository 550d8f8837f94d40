//! What the job says about a camera whose stream has ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::camera::CameraId;

/// The payload of a camera's end record on `out-uni-data`, one JSON object: the job's account of the camera's frames,
/// kept with the job's state, so that it stays right when the job is killed and goes on from where it was.
///
/// The record's key is the camera's name, its headers are those of the end marker (`last` is true, `sequence` is the
/// number of windows). Always `frames_in = frames_out + sum(dropped)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CameraEnd {
    /// The camera.
    pub camera: CameraId,
    /// Windows that were written for it.
    pub windows: u64,
    /// Frames read, second deliveries left out.
    pub frames_in: u64,
    /// Frames that are in a window.
    pub frames_out: u64,
    /// Frames that came again.
    pub duplicates: u64,
    /// Frames that are in no window, by reason: `late`, `corrupt`, `bad-header`, `future`.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
}

impl CameraEnd {
    /// The account as one line of JSON.
    ///
    /// # Errors
    /// None that are known; the JSON library's interface has one.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Reads an account from JSON; unknown fields are ignored.
    ///
    /// # Errors
    /// When the text is not such an account.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}
