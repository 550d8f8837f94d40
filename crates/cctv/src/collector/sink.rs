//! What a collector makes of a record. No socket, no clock.

use std::collections::BTreeMap;

use frame::{CameraId, Window};
use rdkafka::message::Headers;
use serde_json::Value;

use super::As;
use crate::clock::elapsed;
use crate::kafka;
use crate::seen;
use crate::tally::Tally;

/// From the gateway's reception until the collector sees the frame in the cloud.
pub(super) const FOG_TO_CLOUD: &str = "fog-to-cloud";
/// From the intended capture until the collector sees the frame in the cloud.
pub(super) const CAPTURE_TO_CLOUD: &str = "capture-to-cloud";
/// From the intended capture of a window's last frame until the collector sees the window.
pub(super) const END_TO_END: &str = "end-to-end";

/// Most cameras that are told apart; records of further ones are dropped.
const CAMERAS_MAX: usize = 10_000;

/// A record as it was read.
pub(super) struct Seen<'a> {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) key: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) at_unix_ns: u64,
}

struct Stream {
    seen: seen::Seen,
    ended: bool,
    windows: u64,
}

/// The state of a collector.
pub(super) struct Sink {
    role: As,
    /// The end of each partition when the collector was ready.
    ready_at: BTreeMap<i32, i64>,
    tally: Tally,
    streams: BTreeMap<CameraId, Stream>,
    before_ready: u64,
    windows: u64,
    late: u64,
}

impl Sink {
    /// A collector that was ready when its partitions had these ends.
    pub(super) fn new(role: As, ready_at: BTreeMap<i32, i64>, tally: Tally) -> Self {
        Self { role, ready_at, tally, streams: BTreeMap::new(), before_ready: 0, windows: 0, late: 0 }
    }

    /// Takes one record.
    pub(super) fn take(&mut self, record: &Seen<'_>, headers: Option<&impl Headers>) {
        let fresh = self.ready_at.get(&record.partition).is_none_or(|ready| record.offset >= *ready);
        if !fresh {
            self.before_ready += 1;
        }
        match (self.role, kafka::header(headers)) {
            (_, Ok(header)) if header.last => {
                if let Some(stream) = self.stream(&header.camera) {
                    stream.ended = true;
                }
            }
            (As::InSink, Ok(header)) => self.frame(record, &header, fresh),
            (As::InSink, Err(_)) => self.refuse(record, "bad-header"),
            (As::OutSink, _) => match Window::from_json(record.payload) {
                Ok(window) => self.window(record, &window, fresh),
                Err(_) => self.refuse(record, "bad-window"),
            },
        }
    }

    fn stream(&mut self, camera: &CameraId) -> Option<&mut Stream> {
        if self.streams.len() >= CAMERAS_MAX && !self.streams.contains_key(camera) {
            return None;
        }
        let new = || Stream { seen: seen::Seen::new(), ended: false, windows: 0 };
        Some(self.streams.entry(camera.clone()).or_insert_with(new))
    }

    fn frame(&mut self, record: &Seen<'_>, header: &frame::Header, fresh: bool) {
        let camera = header.camera.as_str();
        let Some(stream) = self.stream(&header.camera) else {
            return self.refuse(record, "too-many-cameras");
        };
        let new = stream.seen.insert(header.sequence);
        self.tally.note(|recorder| {
            if !new {
                return recorder.duplicate(camera);
            }
            recorder.frame_in(camera, record.payload.len());
            recorder.frame_out(camera, record.payload.len());
            if fresh {
                if let Some(received) = header.received_fog_unix_ns {
                    recorder.latency(FOG_TO_CLOUD, elapsed(received, record.at_unix_ns));
                }
                recorder.latency(CAPTURE_TO_CLOUD, elapsed(header.captured_unix_ns, record.at_unix_ns));
            }
        });
    }

    fn window(&mut self, record: &Seen<'_>, window: &Window, fresh: bool) {
        let camera = window.camera.as_str();
        // Windows of one job are equally long, so this numbers them.
        let number = window.start_unix_ns / (window.end_unix_ns - window.start_unix_ns).max(1);
        let Some(stream) = self.stream(&window.camera) else {
            return self.refuse(record, "too-many-cameras");
        };
        if !stream.seen.insert(number) {
            return self.tally.note(|recorder| recorder.duplicate(camera));
        }
        stream.windows += 1;
        self.windows += 1;
        self.late += u64::from(window.late);
        self.tally.note(|recorder| {
            recorder.frames_in(camera, window.frames.into(), record.payload.len());
            recorder.frames_out(camera, window.frames.into(), record.payload.len());
            if fresh {
                recorder.latency(END_TO_END, elapsed(window.last_captured_unix_ns, record.at_unix_ns));
            }
        });
    }

    fn refuse(&self, record: &Seen<'_>, reason: &'static str) {
        let name = std::str::from_utf8(record.key).ok().and_then(|key| CameraId::new(key).ok());
        let camera = name.as_ref().map_or(meter::OTHERS, CameraId::as_str);
        self.tally.note(|recorder| {
            recorder.frame_in(camera, record.payload.len());
            recorder.dropped(camera, reason);
        });
    }

    /// Cameras that have not ended.
    pub(super) fn open_cameras(&self) -> Vec<String> {
        let open = self.streams.iter().filter(|(_, stream)| !stream.ended);
        open.map(|(camera, _)| camera.to_string()).collect()
    }

    /// Puts what is no frame count into the account.
    pub(super) fn note_facts(&self) {
        self.tally.note(|recorder| {
            recorder.fact("before_ready", self.before_ready);
            if self.role == As::OutSink {
                let windows =
                    self.streams.iter().map(|(camera, s)| (camera.to_string(), Value::from(s.windows)));
                recorder.fact("windows", self.windows);
                recorder.fact("late_frames", self.late);
                recorder.fact("windows_per_camera", Value::Object(windows.collect()));
            }
        });
    }
}
