//! Tumbling windows of event time, one set per camera. Pure.

use std::collections::{BTreeMap, HashMap};

use frame::{CameraId, CountError, Header, Window};
use serde::{Deserialize, Serialize};

/// Where a record stood in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// A window that is over, and the first record that went into it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closed {
    pub(super) window: Window,
    pub(super) first: Origin,
}

/// A window that still takes frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    frames: u32,
    counted: u32,
    people: u64,
    people_max: u32,
    counter: String,
    captured: (u64, u64),
    sequence: (u64, u64),
    error: CountError,
    first: Origin,
}

impl Open {
    fn new(header: &Header, origin: Origin) -> Self {
        Self {
            frames: 0,
            counted: 0,
            people: 0,
            people_max: 0,
            counter: String::new(),
            captured: (header.captured_unix_ns, header.captured_unix_ns),
            sequence: (header.sequence, header.sequence),
            error: CountError::default(),
            first: origin,
        }
    }

    fn add(&mut self, header: &Header, origin: Origin) {
        self.frames += 1;
        self.captured = spread(self.captured, header.captured_unix_ns);
        self.sequence = spread(self.sequence, header.sequence);
        if origin.offset < self.first.offset {
            self.first = origin;
        }
        let Some(counted) = &header.people else { return };
        self.counted += 1;
        self.people += u64::from(counted.people);
        self.people_max = self.people_max.max(counted.people);
        // Several counters in one window happen when placements change; the name then says so, in stable
        // order.
        if !self.counter.split('+').any(|name| name == counted.counter) {
            let mut names: Vec<&str> = self.counter.split('+').filter(|name| !name.is_empty()).collect();
            names.push(&counted.counter);
            names.sort_unstable();
            self.counter = names.join("+");
        }
        if let Some(truth) = header.truth {
            self.error.add(counted.people, truth);
        }
    }

    fn close(self, camera: CameraId, start_unix_ns: u64, end_unix_ns: u64, late: u32) -> Closed {
        let mean = if self.counted == 0 { 0.0 } else { self.people as f64 / f64::from(self.counted) };
        let window = Window {
            camera,
            start_unix_ns,
            end_unix_ns,
            frames: self.frames,
            counted: self.counted,
            people_mean: mean,
            people_max: self.people_max,
            late,
            counter: if self.counter.is_empty() { "none".to_owned() } else { self.counter },
            first_captured_unix_ns: self.captured.0,
            last_captured_unix_ns: self.captured.1,
            first_sequence: self.sequence.0,
            last_sequence: self.sequence.1,
            error: self.error,
            last: false,
        };
        Closed { window, first: self.first }
    }
}

fn spread((low, high): (u64, u64), value: u64) -> (u64, u64) {
    (low.min(value), high.max(value))
}

/// The open windows of all cameras of one worker.
#[derive(Debug)]
pub(super) struct Windows {
    length_ns: u64,
    /// By start, so that what the watermark has passed comes first.
    open: BTreeMap<(u64, CameraId), Open>,
    /// Late frames since the camera's last closed window.
    late: HashMap<CameraId, u32>,
}

impl Windows {
    /// No windows yet; each will be `length_ns` long and start at a multiple of that.
    pub(super) fn new(length_ns: u64) -> Self {
        Self { length_ns, open: BTreeMap::new(), late: HashMap::new() }
    }

    fn start_of(&self, captured_unix_ns: u64) -> u64 {
        captured_unix_ns - captured_unix_ns % self.length_ns
    }

    /// Whether the window of this time is closed at `watermark`.
    pub(super) fn is_late(&self, captured_unix_ns: u64, watermark: Option<u64>) -> bool {
        let end = self.start_of(captured_unix_ns).saturating_add(self.length_ns);
        watermark.is_some_and(|watermark| end <= watermark)
    }

    /// Notes a frame that came too late for its window.
    pub(super) fn note_late(&mut self, camera: &CameraId) {
        *self.late.entry(camera.clone()).or_default() += 1;
    }

    /// Adds a frame to its window.
    pub(super) fn add(&mut self, header: &Header, origin: Origin) {
        let start = self.start_of(header.captured_unix_ns);
        let key = (start, header.camera.clone());
        self.open.entry(key).or_insert_with(|| Open::new(header, origin)).add(header, origin);
    }

    /// Closes what ends at or before `watermark`, in order of time.
    pub(super) fn close_until(&mut self, watermark: u64) -> Vec<Closed> {
        let mut closed = Vec::new();
        while let Some(entry) = self.open.first_entry() {
            if entry.key().0.saturating_add(self.length_ns) > watermark {
                break;
            }
            let ((start, camera), open) = entry.remove_entry();
            closed.push(self.close(start, camera, open));
        }
        closed
    }

    /// Closes all windows of one camera, in order of time; the last one says that it is the last.
    pub(super) fn close_camera(&mut self, camera: &CameraId) -> Vec<Closed> {
        let keys: Vec<_> = self.open.keys().filter(|(_, of)| of == camera).cloned().collect();
        let mut closed = Vec::new();
        for key in keys {
            if let Some(open) = self.open.remove(&key) {
                closed.push(self.close(key.0, key.1, open));
            }
        }
        if let Some(last) = closed.last_mut() {
            last.window.last = true;
        }
        closed
    }

    /// Closes everything.
    pub(super) fn close_all(&mut self) -> Vec<Closed> {
        self.close_until(u64::MAX)
    }

    fn close(&mut self, start: u64, camera: CameraId, open: Open) -> Closed {
        let late = self.late.remove(&camera).unwrap_or(0);
        open.close(camera, start, start.saturating_add(self.length_ns), late)
    }

    /// The open windows of the cameras that are wanted, by their start.
    pub(super) fn open_of(
        &self,
        wanted: impl Fn(&CameraId) -> bool,
    ) -> BTreeMap<CameraId, BTreeMap<u64, Open>> {
        let mut found = BTreeMap::<CameraId, BTreeMap<u64, Open>>::new();
        for ((start, camera), open) in self.open.iter().filter(|((_, camera), _)| wanted(camera)) {
            found.entry(camera.clone()).or_default().insert(*start, open.clone());
        }
        found
    }

    /// Late frames of a camera since its last closed window.
    pub(super) fn late_of(&self, camera: &CameraId) -> u32 {
        self.late.get(camera).copied().unwrap_or(0)
    }

    /// Puts a camera's windows and late frames back.
    pub(super) fn restore(&mut self, camera: &CameraId, open: BTreeMap<u64, Open>, late: u32) {
        self.open.extend(open.into_iter().map(|(start, open)| ((start, camera.clone()), open)));
        if late > 0 {
            self.late.insert(camera.clone(), late);
        }
    }

    /// The first record of `partition` that an open window has taken.
    pub(super) fn first_offset(&self, partition: i32) -> Option<i64> {
        self.open
            .values()
            .filter(|open| open.first.partition == partition)
            .map(|open| open.first.offset)
            .min()
    }
}
