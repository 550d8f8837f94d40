//! The job's logic for the partitions of one worker: second deliveries, lateness, windows, ends, the account of
//! each camera, and which offsets may be committed. Pure: time is an argument.

use std::collections::{BTreeMap, HashMap};

use frame::{CameraEnd, CameraId, Header};
use meter::CameraAccount;
use serde::{Deserialize, Serialize};

use super::state::{CameraState, PartitionState};
use super::watermark::Watermarks;
use super::window::{Closed, Origin, Windows};
use crate::seen::Seen;

/// Most cameras one worker serves; see the gateway's bound of the same size.
const CAMERAS_MAX: usize = 10_000;

/// How far ahead of the clock a frame may claim to have been taken. Without this bound, one wrong clock would
/// make the frames of all other cameras late.
const AHEAD_NS_MAX: u64 = 60_000_000_000;

/// Why a frame is dropped whose window has been closed.
const LATE: &str = "late";

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

/// What is known about a camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stream {
    /// The partition its records come from.
    partition: i32,
    seen: Seen,
    /// A record of it could be read, so that its end marker may be expected.
    heard: bool,
    ended: bool,
    windows: u64,
    /// Windows that end here or earlier have been closed, some of them perhaps by an end marker.
    closed_until_unix_ns: u64,
    account: CameraAccount,
    /// Since [`Engine::changes`] was last asked.
    #[serde(skip)]
    changed: bool,
}

impl Stream {
    /// The partition its records come from.
    pub(super) fn partition(&self) -> i32 {
        self.partition
    }

    /// What became of its frames.
    pub(super) fn account(&self) -> &CameraAccount {
        &self.account
    }

    fn new(partition: i32) -> Self {
        Self {
            partition,
            seen: Seen::new(),
            heard: false,
            ended: false,
            windows: 0,
            closed_until_unix_ns: 0,
            account: CameraAccount::default(),
            changed: true,
        }
    }
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
        let Some(stream) = stream(&mut self.streams, &header.camera, origin.partition) else {
            return Admission::Dropped("too-many-cameras");
        };
        stream.heard = true;
        if !stream.seen.insert(header.sequence) {
            stream.account.duplicates += 1;
            return Admission::Duplicate;
        }
        if header.last {
            return Admission::New;
        }
        if header.captured_unix_ns > now_unix_ns.saturating_add(AHEAD_NS_MAX) {
            drop_one(&mut stream.account, "future");
            return Admission::Dropped("future");
        }
        let closed = self.watermarks.current().max(Some(stream.closed_until_unix_ns));
        let late = self.windows.is_late(header.captured_unix_ns, closed);
        self.watermarks.observe(origin.partition, header.captured_unix_ns, now_ns);
        if late {
            drop_one(&mut stream.account, LATE);
            self.windows.note_late(&header.camera);
            return Admission::Dropped(LATE);
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
        if let Some(stream) = self.streams.get_mut(&header.camera) {
            stream.account.frames_in += 1;
        }
        self.windows.add(header, origin);
    }

    /// A frame of a camera is in no window, because its header or picture could not be read.
    pub(super) fn refuse(&mut self, camera: &CameraId, origin: Origin, reason: &'static str) {
        self.passed(origin);
        if let Some(stream) = stream(&mut self.streams, camera, origin.partition) {
            drop_one(&mut stream.account, reason);
        }
    }

    /// Closes the windows that the watermark has passed at `now_ns`.
    pub(super) fn advance(&mut self, now_ns: u64) -> Vec<Closed> {
        let closed = match self.watermarks.advance(now_ns) {
            Some(watermark) => self.windows.close_until(watermark),
            None => Vec::new(),
        };
        self.count(closed)
    }

    /// A camera's stream has ended: closes its windows, and says what became of its frames.
    pub(super) fn end(&mut self, camera: &CameraId) -> (Vec<Closed>, CameraEnd) {
        let closed = self.windows.close_camera(camera);
        let closed = self.count(closed);
        let mut end = CameraEnd {
            camera: camera.clone(),
            windows: 0,
            frames_in: 0,
            frames_out: 0,
            duplicates: 0,
            dropped: BTreeMap::new(),
        };
        if let Some(stream) = self.streams.get_mut(camera) {
            stream.changed = true;
            stream.ended = true;
            end.windows = stream.windows;
            end.frames_in = stream.account.frames_in;
            end.frames_out = stream.account.frames_out;
            end.duplicates = stream.account.duplicates;
            end.dropped.clone_from(&stream.account.dropped);
        }
        (closed, end)
    }

    /// Closes everything, because the job has to end.
    pub(super) fn close_all(&mut self) -> Vec<Closed> {
        let closed = self.windows.close_all();
        self.count(closed)
    }

    fn count(&mut self, closed: Vec<Closed>) -> Vec<Closed> {
        for Closed { window, .. } in &closed {
            if let Some(stream) = self.streams.get_mut(&window.camera) {
                stream.changed = true;
                stream.windows += 1;
                stream.account.frames_out += u64::from(window.frames);
                stream.closed_until_unix_ns = stream.closed_until_unix_ns.max(window.end_unix_ns);
            }
        }
        closed
    }

    /// Cameras that have not sent their end marker.
    pub(super) fn open_cameras(&self) -> Vec<String> {
        let open = self.streams.iter().filter(|(_, stream)| stream.heard && !stream.ended);
        open.map(|(camera, _)| camera.to_string()).collect()
    }

    /// Windows closed so far.
    pub(super) fn windows(&self) -> u64 {
        self.streams.values().map(|stream| stream.windows).sum()
    }

    /// The cameras about which anything has changed since this was last asked.
    pub(super) fn changes(&mut self) -> Vec<CameraState> {
        let changed = |camera: &CameraId| self.streams.get(camera).is_some_and(|stream| stream.changed);
        let mut open = self.windows.open_of(changed);
        let windows = &self.windows;
        let state = |(camera, stream): (&CameraId, &mut Stream)| {
            stream.changed = false;
            CameraState {
                camera: camera.clone(),
                stream: stream.clone(),
                late: windows.late_of(camera),
                open: open.remove(camera).unwrap_or_default(),
            }
        };
        self.streams.iter_mut().filter(|(_, stream)| stream.changed).map(state).collect()
    }

    /// How far each partition has been read, and what its watermark was made from.
    pub(super) fn positions(&self) -> BTreeMap<i32, PartitionState> {
        let state = |(partition, next_offset): (&i32, &i64)| {
            let newest_unix_ns = self.watermarks.newest(*partition);
            let watermark_unix_ns = self.watermarks.current();
            (*partition, PartitionState { next_offset: *next_offset, newest_unix_ns, watermark_unix_ns })
        };
        self.next_offsets.iter().map(state).collect()
    }

    /// Goes on where an earlier process was.
    pub(super) fn restore(
        &mut self,
        cameras: Vec<CameraState>,
        partitions: &BTreeMap<i32, PartitionState>,
        now_ns: u64,
    ) {
        for CameraState { camera, stream, late, open } in cameras {
            self.windows.restore(&camera, open, late);
            self.streams.insert(camera, stream);
        }
        let newest = partitions.iter().filter_map(|(number, state)| Some((*number, state.newest_unix_ns?)));
        // Partitions may have been grouped otherwise before; the least of their watermarks makes nothing late that
        // was not late already.
        let reached = partitions.values().map(|state| state.watermark_unix_ns).min().flatten();
        self.watermarks.restore(&newest.collect(), reached, now_ns);
        self.next_offsets.extend(partitions.iter().map(|(number, state)| (*number, state.next_offset)));
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

/// The stream of a camera, new where it is not known, in order to change it; `None` when there are too many.
fn stream<'a>(
    streams: &'a mut HashMap<CameraId, Stream>,
    camera: &CameraId,
    partition: i32,
) -> Option<&'a mut Stream> {
    if streams.len() >= CAMERAS_MAX && !streams.contains_key(camera) {
        return None;
    }
    let stream = streams.entry(camera.clone()).or_insert_with(|| Stream::new(partition));
    stream.changed = true;
    Some(stream)
}

/// A frame came in and went no further.
fn drop_one(account: &mut CameraAccount, reason: &'static str) {
    account.frames_in += 1;
    *account.dropped.entry(reason.to_owned()).or_default() += 1;
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
