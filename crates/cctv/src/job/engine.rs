//! The job's logic for the partitions of one worker: second deliveries, lateness, windows, ends, and which
//! offsets may be committed. Pure: time is an argument.

use std::collections::{BTreeMap, HashMap};

use frame::{CameraId, Header};

use super::watermark::Watermarks;
use super::window::{Closed, Origin, Windows};
use crate::seen::Seen;

/// Most cameras one worker serves; see the gateway's bound of the same size.
const CAMERAS_MAX: usize = 10_000;

/// How far ahead of the clock a frame may claim to have been taken. Without this bound, one wrong clock would
/// make the frames of all other cameras late.
const AHEAD_NS_MAX: u64 = 60_000_000_000;

/// Whether a frame is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Count it, then call [`Engine::add`].
    New,
    /// It has been here before.
    Duplicate,
    /// It is dropped, for this reason.
    Dropped(&'static str),
}

#[derive(Debug)]
struct Stream {
    seen: Seen,
    ended: bool,
    windows: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Engine {
    watermarks: Watermarks,
    windows: Windows,
    streams: HashMap<CameraId, Stream>,
    next_offsets: BTreeMap<i32, i64>,
}

impl Engine {
    /// An engine without frames.
    pub(super) fn new(watermarks: Watermarks, window_ns: u64) -> Self {
        let windows = Windows::new(window_ns);
        Self { watermarks, windows, streams: HashMap::new(), next_offsets: BTreeMap::new() }
    }

    /// Decides on a frame or end marker. `now_ns` is any clock that does not go back, `now_unix_ns` the time
    /// of day.
    pub(super) fn admit(
        &mut self,
        header: &Header,
        origin: Origin,
        now_ns: u64,
        now_unix_ns: u64,
    ) -> Admission {
        self.passed(origin);
        if header.captured_unix_ns > now_unix_ns.saturating_add(AHEAD_NS_MAX) {
            return Admission::Dropped("future");
        }
        if self.streams.len() >= CAMERAS_MAX && !self.streams.contains_key(&header.camera) {
            return Admission::Dropped("too-many-cameras");
        }
        let new = || Stream { seen: Seen::new(), ended: false, windows: 0 };
        let stream = self.streams.entry(header.camera.clone()).or_insert_with(new);
        if !stream.seen.insert(header.sequence) {
            return Admission::Duplicate;
        }
        if header.last {
            return Admission::New;
        }
        let late = self.windows.is_late(header.captured_unix_ns, self.watermarks.current());
        self.watermarks.observe(origin.partition, header.captured_unix_ns, now_ns);
        if late {
            self.windows.note_late(&header.camera);
            return Admission::Dropped("late");
        }
        Admission::New
    }

    /// A record has been dealt with, whatever it was.
    pub(super) fn passed(&mut self, origin: Origin) {
        let next = self.next_offsets.entry(origin.partition).or_insert(0);
        *next = (*next).max(origin.offset + 1);
    }

    /// Adds an admitted frame to its window.
    pub(super) fn add(&mut self, header: &Header, origin: Origin) {
        self.windows.add(header, origin);
    }

    /// Closes the windows that the watermark has passed at `now_ns`.
    pub(super) fn advance(&mut self, now_ns: u64) -> Vec<Closed> {
        let closed = match self.watermarks.advance(now_ns) {
            Some(watermark) => self.windows.close_until(watermark),
            None => Vec::new(),
        };
        self.count(closed)
    }

    /// A camera's stream has ended: closes its windows; also says how many windows it had in all.
    pub(super) fn end(&mut self, camera: &CameraId) -> (Vec<Closed>, u64) {
        let closed = self.windows.close_camera(camera);
        let closed = self.count(closed);
        let windows = self.streams.get_mut(camera).map_or(0, |stream| {
            stream.ended = true;
            stream.windows
        });
        (closed, windows)
    }

    /// Closes everything, because the job has to end.
    pub(super) fn close_all(&mut self) -> Vec<Closed> {
        let closed = self.windows.close_all();
        self.count(closed)
    }

    fn count(&mut self, closed: Vec<Closed>) -> Vec<Closed> {
        for Closed { window, .. } in &closed {
            if let Some(stream) = self.streams.get_mut(&window.camera) {
                stream.windows += 1;
            }
        }
        closed
    }

    /// Cameras that have not sent their end marker.
    pub(super) fn open_cameras(&self) -> Vec<String> {
        let open = self.streams.iter().filter(|(_, stream)| !stream.ended);
        open.map(|(camera, _)| camera.to_string()).collect()
    }

    /// How far each partition may be committed: up to the first record whose window is still open. `holds`
    /// are first records of windows that are closed but not yet acknowledged.
    pub(super) fn committable(&self, holds: impl Iterator<Item = Origin> + Clone) -> BTreeMap<i32, i64> {
        let limit = |(partition, next): (&i32, &i64)| {
            let held =
                holds.clone().filter(|hold| hold.partition == *partition).map(|hold| hold.offset).min();
            let open = self.windows.first_offset(*partition);
            (*partition, [Some(*next), held, open].into_iter().flatten().min().unwrap_or(*next))
        };
        self.next_offsets.iter().map(limit).collect()
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
