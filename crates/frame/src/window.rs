//! What the job says about one camera and one span of event time.

use serde::{Deserialize, Serialize};

use crate::camera::CameraId;

/// How far the counts of a window were from the truth, over the frames whose truth is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountError {
    /// Frames with a count and a known truth.
    pub frames: u32,
    /// Sum over these frames of |count - truth|, in people; divided by `frames` it is the mean absolute error.
    pub absolute_sum: u64,
    /// Sum over these frames of count - truth, in people; negative when people were missed.
    pub signed_sum: i64,
}

impl CountError {
    /// Takes one frame into account.
    pub fn add(&mut self, people: u32, truth: u32) {
        self.frames = self.frames.saturating_add(1);
        self.absolute_sum = self.absolute_sum.saturating_add(u64::from(people.abs_diff(truth)));
        self.signed_sum = self.signed_sum.saturating_add(i64::from(people) - i64::from(truth));
    }

    /// Mean absolute error in people, or `None` when no truth was known.
    pub fn mean_absolute(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.absolute_sum as f64 / f64::from(self.frames))
    }
}

/// The one record per camera and window on `out-uni-data`. Event time is the intended capture time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The camera.
    pub camera: CameraId,
    /// First nanosecond of the window, since the Unix epoch.
    pub start_unix_ns: u64,
    /// First nanosecond after the window.
    pub end_unix_ns: u64,
    /// Frames that fell into the window and were accepted, whether or not somebody could count on them.
    pub frames: u32,
    /// Of these, frames with a count; `people_mean` and `people_max` are over them.
    #[serde(default)]
    pub counted: u32,
    /// Mean number of people per counted frame; 0 when there is none.
    pub people_mean: f64,
    /// Largest number of people on one counted frame.
    pub people_max: u32,
    /// Frames that came after their window was closed, and were dropped, since the camera's last record.
    pub late: u32,
    /// Who counted.
    pub counter: String,
    /// Intended capture time of the window's first frame.
    pub first_captured_unix_ns: u64,
    /// Intended capture time of the window's last frame; the end-to-end latency is measured from here.
    pub last_captured_unix_ns: u64,
    /// Sequence number of the window's first frame.
    #[serde(default)]
    pub first_sequence: u64,
    /// Sequence number of the window's last frame.
    #[serde(default)]
    pub last_sequence: u64,
    /// Distance from the truth, where the truth is known.
    #[serde(default)]
    pub error: CountError,
    /// Whether the camera's stream has ended, so that no further window of it follows.
    #[serde(default)]
    pub last: bool,
}

/// Why a text is not a window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// Not the JSON of a window; the message names the field or the place in the text.
    #[error("not a window record: {0}")]
    Json(#[from] serde_json::Error),
    /// The window ends before it starts.
    #[error("window of camera {camera} ends at {end_unix_ns}, before it starts at {start_unix_ns}")]
    Backwards {
        /// The camera.
        camera: CameraId,
        /// Start of the window in nanoseconds since the Unix epoch.
        start_unix_ns: u64,
        /// End of the window in nanoseconds since the Unix epoch.
        end_unix_ns: u64,
    },
    /// A mean that is no number; JSON cannot carry it.
    #[error("window of camera {camera}: the mean number of people is not a finite number")]
    Mean {
        /// The camera.
        camera: CameraId,
    },
}

impl Window {
    /// The window as one line of JSON.
    ///
    /// # Errors
    /// When `people_mean` is not finite, which JSON cannot say.
    pub fn to_json(&self) -> Result<String, WindowError> {
        if !self.people_mean.is_finite() {
            return Err(WindowError::Mean { camera: self.camera.clone() });
        }
        Ok(serde_json::to_string(self)?)
    }

    /// Reads a window from JSON; unknown fields are ignored.
    ///
    /// # Errors
    /// When the text is not JSON, a field is missing or of the wrong type, or the window runs backwards.
    pub fn from_json(json: &[u8]) -> Result<Self, WindowError> {
        let window: Self = serde_json::from_slice(json)?;
        if window.end_unix_ns < window.start_unix_ns {
            return Err(WindowError::Backwards {
                camera: window.camera,
                start_unix_ns: window.start_unix_ns,
                end_unix_ns: window.end_unix_ns,
            });
        }
        Ok(window)
    }
}
