//! What the records of an output topic say about the job that wrote them. No socket, no clock.

use std::collections::BTreeMap;

use frame::{CameraEnd, CameraId, Window};
use meter::CameraAccount;
use rdkafka::Message;
use rdkafka::message::OwnedMessage;

use crate::clock::elapsed;
use crate::kafka;
use crate::seen::Seen;
use crate::tally::Tally;

/// From the end of a window's span of event time until the window could be read.
pub(super) const LATENCY: &str = "window-end-to-readable";

/// Most cameras that are told apart; records of further ones are counted and otherwise ignored.
const CAMERAS_MAX: usize = 10_000;

struct Stream {
    seen: Seen,
    windows: u64,
    frames: u64,
    end: Option<CameraEnd>,
}

/// All cameras of a job.
pub(super) struct Streams {
    /// The end of each partition when this started.
    ready_at: BTreeMap<i32, i64>,
    tally: Tally,
    streams: BTreeMap<CameraId, Stream>,
    windows: u64,
    unreadable: u64,
}

impl Streams {
    /// None yet, of a topic whose partitions have these ends.
    pub(super) fn new(ready_at: BTreeMap<i32, i64>, tally: Tally) -> Self {
        Self { ready_at, tally, streams: BTreeMap::new(), windows: 0, unreadable: 0 }
    }

    /// Takes one record.
    pub(super) fn take(&mut self, message: &OwnedMessage, now_unix_ns: u64) {
        let payload = message.payload().unwrap_or_default();
        let is_end = kafka::header(message.headers()).is_ok_and(|header| header.last);
        let taken = if is_end {
            CameraEnd::from_json(payload).is_ok_and(|end| self.end(end))
        } else {
            let ready = self.ready_at.get(&message.partition());
            let fresh = ready.is_none_or(|ready| message.offset() >= *ready);
            Window::from_json(payload)
                .is_ok_and(|window| self.window(&window, payload.len(), fresh.then_some(now_unix_ns)))
        };
        if !taken {
            self.unreadable += 1;
            self.tally.note(|recorder| recorder.fact("unreadable_records", self.unreadable));
        }
    }

    fn stream(&mut self, camera: &CameraId) -> Option<&mut Stream> {
        if self.streams.len() >= CAMERAS_MAX && !self.streams.contains_key(camera) {
            return None;
        }
        let new = || Stream { seen: Seen::new(), windows: 0, frames: 0, end: None };
        Some(self.streams.entry(camera.clone()).or_insert_with(new))
    }

    fn end(&mut self, end: CameraEnd) -> bool {
        let Some(stream) = self.stream(&end.camera) else { return false };
        let account = CameraAccount {
            frames_in: end.frames_in,
            frames_out: end.frames_out,
            dropped: end.dropped.clone(),
            duplicates: end.duplicates,
        };
        let camera = end.camera.clone();
        stream.end = Some(end);
        self.tally.note(|recorder| recorder.restore(camera.as_str(), account));
        true
    }

    /// `now_unix_ns` is absent for a window that was there before this.
    fn window(&mut self, window: &Window, bytes: usize, now_unix_ns: Option<u64>) -> bool {
        // Windows of one job are equally long, so this numbers them.
        let number = window.start_unix_ns / (window.end_unix_ns - window.start_unix_ns).max(1);
        let Some(stream) = self.stream(&window.camera) else { return false };
        if !stream.seen.insert(number) {
            // A job that promises at-least-once has been restarted.
            return true;
        }
        stream.windows += 1;
        stream.frames += u64::from(window.frames);
        self.windows += 1;
        let camera = window.camera.as_str();
        self.tally.note(|recorder| {
            let late = u64::from(window.late);
            recorder.frames_in(camera, u64::from(window.frames) + late, bytes);
            recorder.frames_out(camera, window.frames.into(), bytes);
            recorder.dropped_n(camera, "late", late);
            if let Some(now) = now_unix_ns {
                recorder.latency(LATENCY, elapsed(window.end_unix_ns, now));
            }
        });
        true
    }

    /// Windows read, second ones left out.
    pub(super) fn windows(&self) -> u64 {
        self.windows
    }

    /// Cameras without end record.
    pub(super) fn open_cameras(&self) -> Vec<String> {
        let open = self.streams.iter().filter(|(_, stream)| stream.end.is_none());
        open.map(|(camera, _)| camera.to_string()).collect()
    }

    /// Cameras whose windows do not hold the frames that their end record speaks of.
    pub(super) fn mismatched(&self) -> Vec<String> {
        let differs = |stream: &Stream| {
            stream
                .end
                .as_ref()
                .is_some_and(|end| (end.windows, end.frames_out) != (stream.windows, stream.frames))
        };
        let differing = self.streams.iter().filter(|(_, stream)| differs(stream));
        differing.map(|(camera, _)| camera.to_string()).collect()
    }
}
