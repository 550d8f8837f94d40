//! The header of a frame, and its form as text pairs.

use crate::camera::{CameraId, CameraIdError};

const CAMERA: &str = "camera";
const SEQUENCE: &str = "sequence";
const CAPTURED: &str = "captured_unix_ns";
const RECEIVED_FOG: &str = "received_fog_unix_ns";
const PEOPLE: &str = "people";
const COUNTER: &str = "counter";
const TRUTH: &str = "truth";
const GATED: &str = "gated";
const LAST: &str = "last";

/// Longest accepted value of any pair, in bytes; what is longer is refused before it is looked at.
const VALUE_BYTES_MAX: usize = 256;

/// How many people a counter saw on a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The number of people.
    pub people: u32,
    /// The name of the counter that says so, for instance `motion`.
    pub counter: String,
}

/// What is known about a frame beside its picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which camera took it.
    pub camera: CameraId,
    /// Position in the camera's stream, from 0 and without gaps.
    pub sequence: u64,
    /// When the frame was **meant** to be taken (its slot in the camera's schedule), nanoseconds since the
    /// Unix epoch. A late camera therefore shows as latency and not as a missing sample.
    pub captured_unix_ns: u64,
    /// When the gateway received it, nanoseconds since the Unix epoch.
    pub received_fog_unix_ns: Option<u64>,
    /// The count, when somebody already counted the people on it.
    pub people: Option<Counted>,
    /// The true number of people, where the data set knows it. For measurement only: no counter looks at it.
    pub truth: Option<u32>,
    /// Whether the picture shows moving parts only, everything else being flat grey.
    pub gated: bool,
    /// Whether this is the camera's end-of-stream record: no payload, and the sequence number after that of
    /// its last frame.
    pub last: bool,
}

/// Why a set of pairs is not the header of a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A pair that every frame has is not there.
    #[error("header field `{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The same key is there twice, so that it is unclear which value counts.
    #[error("header field `{key}` is there twice")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// A value is not UTF-8 text of at most 256 bytes.
    #[error("header field `{key}` is not UTF-8 text of at most 256 bytes")]
    Text {
        /// The key.
        key: &'static str,
    },
    /// A value is text, but not of the expected form.
    #[error("header field `{key}` is {value:?}; expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The refused text.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The camera's name is not one.
    #[error("header field `camera`: {0}")]
    Camera(#[from] CameraIdError),
}

impl Header {
    /// The header of a frame that has just been taken.
    pub fn new(camera: CameraId, sequence: u64, captured_unix_ns: u64) -> Self {
        Self {
            camera,
            sequence,
            captured_unix_ns,
            received_fog_unix_ns: None,
            people: None,
            truth: None,
            gated: false,
            last: false,
        }
    }

    /// The header as pairs of key and text. A field that is absent or false has no pair.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::with_capacity(9);
        pairs.push((CAMERA, self.camera.to_string()));
        pairs.push((SEQUENCE, self.sequence.to_string()));
        pairs.push((CAPTURED, self.captured_unix_ns.to_string()));
        if let Some(received) = self.received_fog_unix_ns {
            pairs.push((RECEIVED_FOG, received.to_string()));
        }
        if let Some(counted) = &self.people {
            pairs.push((PEOPLE, counted.people.to_string()));
            pairs.push((COUNTER, counted.counter.clone()));
        }
        if let Some(truth) = self.truth {
            pairs.push((TRUTH, truth.to_string()));
        }
        if self.gated {
            pairs.push((GATED, "true".to_owned()));
        }
        if self.last {
            pairs.push((LAST, "true".to_owned()));
        }
        pairs
    }

    /// Reads a header from pairs in any order; keys of others are ignored.
    ///
    /// # Errors
    /// Names the first key that is missing, broken, or there twice.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, HeaderError> {
        let mut fields = Fields::default();
        for (key, value) in pairs {
            fields.take(key, value)?;
        }
        fields.header()
    }
}

/// The keys a header may have, in the order of [`Fields::values`].
const KEYS: [&str; 9] = [CAMERA, SEQUENCE, CAPTURED, RECEIVED_FOG, PEOPLE, COUNTER, TRUTH, GATED, LAST];

/// The texts found so far, one per key.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<&'a str>; KEYS.len()],
}

impl<'a> Fields<'a> {
    fn take(&mut self, key: &str, value: &'a [u8]) -> Result<(), HeaderError> {
        let Some(index) = KEYS.iter().position(|known| *known == key) else {
            return Ok(());
        };
        let key = KEYS[index];
        if self.values[index].is_some() {
            return Err(HeaderError::Twice { key });
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(HeaderError::Text { key });
        }
        let text = std::str::from_utf8(value).map_err(|_| HeaderError::Text { key })?;
        self.values[index] = Some(text);
        Ok(())
    }

    fn get(&self, key: &'static str) -> Option<&'a str> {
        KEYS.iter().position(|known| *known == key).and_then(|index| self.values[index])
    }

    fn required(&self, key: &'static str) -> Result<&'a str, HeaderError> {
        self.get(key).ok_or(HeaderError::Missing { key })
    }

    fn number<N: std::str::FromStr>(
        key: &'static str,
        text: &str,
        expected: &'static str,
    ) -> Result<N, HeaderError> {
        // `parse` also takes a leading plus sign, which no writer of ours produces.
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.ok_or_else(|| HeaderError::Value { key, value: text.to_owned(), expected })
    }

    fn flag(&self, key: &'static str) -> Result<bool, HeaderError> {
        match self.get(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(HeaderError::Value { key, value: other.to_owned(), expected: "`true` or `false`" })
            }
        }
    }

    fn counted(&self) -> Result<Option<Counted>, HeaderError> {
        match (self.get(PEOPLE), self.get(COUNTER)) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(HeaderError::Missing { key: PEOPLE }),
            (Some(_), None) => Err(HeaderError::Missing { key: COUNTER }),
            (Some(_), Some("")) => Err(HeaderError::Value {
                key: COUNTER,
                value: String::new(),
                expected: "the name of a counter",
            }),
            (Some(people), Some(counter)) => Ok(Some(Counted {
                people: Self::number(PEOPLE, people, "a number of people")?,
                counter: counter.to_owned(),
            })),
        }
    }

    fn header(&self) -> Result<Header, HeaderError> {
        let time = "nanoseconds since the Unix epoch";
        let received = self.get(RECEIVED_FOG).map(|text| Self::number(RECEIVED_FOG, text, time));
        let truth = self.get(TRUTH).map(|text| Self::number(TRUTH, text, "a number of people"));
        Ok(Header {
            camera: CameraId::new(self.required(CAMERA)?)?,
            sequence: Self::number(SEQUENCE, self.required(SEQUENCE)?, "a whole number")?,
            captured_unix_ns: Self::number(CAPTURED, self.required(CAPTURED)?, time)?,
            received_fog_unix_ns: received.transpose()?,
            people: self.counted()?,
            truth: truth.transpose()?,
            gated: self.flag(GATED)?,
            last: self.flag(LAST)?,
        })
    }
}
