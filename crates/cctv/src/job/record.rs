//! A record of the output topic: a window, or the end of a camera.

use frame::{CameraEnd, CameraId, Header, Window};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;

use crate::kafka;

/// What a record takes in memory beside its payload, in bytes, roughly.
const OVERHEAD: usize = 256;

/// A record on its way out.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Its key.
    pub(super) camera: CameraId,
    /// Frames it speaks of.
    pub(super) frames: u64,
    /// What it says, as JSON.
    pub(super) payload: Vec<u8>,
    headers: Option<OwnedHeaders>,
    time_ms: i64,
}

impl Record {
    /// A window.
    ///
    /// # Errors
    /// When it has no form as JSON.
    pub(super) fn window(window: &Window) -> Result<Self, String> {
        Ok(Self {
            camera: window.camera.clone(),
            frames: window.frames.into(),
            payload: window.to_json().map_err(|error| error.to_string())?.into_bytes(),
            headers: None,
            time_ms: milliseconds(window.end_unix_ns),
        })
    }

    /// The end of a camera: the header of an end marker, whose sequence is the number of windows, and the account.
    ///
    /// # Errors
    /// When it has no form as JSON.
    pub(super) fn end(end: &CameraEnd, captured_unix_ns: u64) -> Result<Self, String> {
        let mut header = Header::new(end.camera.clone(), end.windows, captured_unix_ns);
        header.last = true;
        Ok(Self {
            camera: end.camera.clone(),
            frames: 0,
            payload: end.to_json().map_err(|error| error.to_string())?.into_bytes(),
            headers: Some(kafka::headers(&header)),
            time_ms: milliseconds(captured_unix_ns),
        })
    }

    /// Bytes that it takes in memory, roughly.
    pub(super) fn memory(&self) -> usize {
        self.payload.len() + OVERHEAD
    }

    /// In the form that a producer takes.
    pub(super) fn to<'a, O: IntoOpaque>(&'a self, topic: &'a str, opaque: O) -> BaseRecord<'a, str, [u8], O> {
        let record = BaseRecord::with_opaque_to(topic, opaque)
            .key(self.camera.as_str())
            .payload(self.payload.as_slice())
            .timestamp(self.time_ms);
        match &self.headers {
            Some(headers) => record.headers(headers.clone()),
            None => record,
        }
    }
}

fn milliseconds(unix_ns: u64) -> i64 {
    i64::try_from(unix_ns / 1_000_000).unwrap_or(i64::MAX)
}
