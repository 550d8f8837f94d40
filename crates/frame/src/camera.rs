//! The name of a camera, and the MQTT topic that carries its name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The MQTT topic filter that matches the frames of every camera.
pub const TOPIC_FILTER: &str = "cameras/+/frames";

/// Longest name of a camera, in bytes.
const LENGTH_MAX: usize = 64;

/// The name of a camera: 1 to 64 characters of `A-Za-z0-9._-`.
///
/// It is a level of an MQTT topic and the key of a Kafka record, hence the small alphabet. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CameraId(Arc<str>);

/// Why a text is not the name of a camera.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CameraIdError {
    /// The text is empty.
    #[error("a camera's name is empty; write 1 to 64 characters of A-Z a-z 0-9 . _ -")]
    Empty,
    /// The text is longer than 64 bytes.
    #[error("a camera's name has {length} bytes; at most 64 are allowed")]
    TooLong {
        /// Length of the refused text in bytes.
        length: usize,
    },
    /// The text holds a character outside the alphabet.
    #[error("camera name {name:?} holds {character:?}; only A-Z a-z 0-9 . _ - are allowed")]
    Character {
        /// The refused text.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}

impl CameraId {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// When the text is empty, longer than 64 bytes, or uses a character outside `A-Za-z0-9._-`.
    pub fn new(name: &str) -> Result<Self, CameraIdError> {
        if name.is_empty() {
            return Err(CameraIdError::Empty);
        }
        if name.len() > LENGTH_MAX {
            return Err(CameraIdError::TooLong { length: name.len() });
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match name.chars().find(|c| !allowed(*c)) {
            Some(character) => Err(CameraIdError::Character { name: name.to_owned(), character }),
            None => Ok(Self(name.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CameraId {
    type Err = CameraIdError;

    fn from_str(name: &str) -> Result<Self, CameraIdError> {
        Self::new(name)
    }
}

impl TryFrom<String> for CameraId {
    type Error = CameraIdError;

    fn try_from(name: String) -> Result<Self, CameraIdError> {
        Self::new(&name)
    }
}

impl From<CameraId> for String {
    fn from(camera: CameraId) -> Self {
        camera.0.as_ref().to_owned()
    }
}

impl AsRef<str> for CameraId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The MQTT topic of a camera's frames: `cameras/<id>/frames`.
pub fn topic(camera: &CameraId) -> String {
    format!("cameras/{camera}/frames")
}

/// The camera whose frames travel on `topic`, or `None` when it is not a topic of frames.
pub fn camera_of_topic(topic: &str) -> Option<CameraId> {
    let name = topic.strip_prefix("cameras/")?.strip_suffix("/frames")?;
    CameraId::new(name).ok()
}
