//! One worker: the frames of some partitions, in order, from record to acknowledged window.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use frame::{CameraId, Header};
use rdkafka::Message;
use rdkafka::message::OwnedMessage;
use vision::{Judge, Scores};

use super::engine::{Admission, Engine};
use super::output::{Output, Receipt, Receipts};
use super::window::{Closed, Origin};
use crate::clock;
use crate::kafka;
use crate::tally::Tally;

/// Latency from the record's arrival in the job to the count of its people.
pub(super) const LATENCY: &str = "received-to-counted";

/// Why a record is dropped whose header cannot be read.
const BAD_HEADER: &str = "bad-header";

/// How often a worker without records looks at its watermark and receipts.
const PULSE: Duration = Duration::from_millis(50);

/// What a worker is given.
pub(super) enum Task {
    /// A record of one of its partitions, and when it came.
    Record(Box<OwnedMessage>, u64),
    /// Close all windows: the job has to end.
    CloseAll,
}

/// What a worker tells about itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Status {
    /// Tasks dealt with.
    pub(super) tasks: u64,
    /// Cameras without end marker.
    pub(super) open_cameras: Vec<String>,
    /// Output records without receipt.
    pub(super) outstanding: usize,
    /// How far each partition may be committed.
    pub(super) committable: BTreeMap<i32, i64>,
    /// Windows sent.
    pub(super) windows: u64,
    /// Distances from the truth.
    pub(super) scores: Scores,
}

/// Where a worker leaves its status.
pub(super) type Board = Arc<Mutex<Status>>;

/// An output record without receipt.
struct Outstanding {
    camera: CameraId,
    frames: u64,
    bytes: usize,
    /// Holds the offsets back until the window is safe.
    first: Option<Origin>,
}

/// See the module.
pub(super) struct Worker {
    engine: Engine,
    judge: Judge,
    output: Arc<Output>,
    tally: Tally,
    board: Board,
    epoch: Instant,
    receipts: (Receipts, Receiver<Receipt>),
    outstanding: BTreeMap<u64, Outstanding>,
    /// Windows that Kafka did not take: their records are never committed, so that a restart brings them
    /// again.
    lost: Vec<Origin>,
    sent: u64,
    windows: u64,
    tasks: u64,
}

impl Worker {
    /// A worker that has nothing yet. `epoch` is the zero of the clock its watermarks were made with.
    pub(super) fn new(
        engine: Engine,
        judge: Judge,
        output: Arc<Output>,
        tally: Tally,
        board: Board,
        epoch: Instant,
    ) -> Self {
        Self {
            engine,
            judge,
            output,
            tally,
            board,
            epoch,
            receipts: channel(),
            outstanding: BTreeMap::new(),
            lost: Vec::new(),
            sent: 0,
            windows: 0,
            tasks: 0,
        }
    }

    /// Works until nobody sends any more and every output has its receipt.
    pub(super) fn run(mut self, tasks: &Receiver<Task>) {
        let mut told = Instant::now();
        loop {
            match tasks.recv_timeout(PULSE) {
                Ok(task) => self.take(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let closed = self.engine.advance(self.now_ns());
            self.send(closed);
            self.collect_receipts();
            // The status costs a walk over all windows, so not for every frame.
            if told.elapsed() >= PULSE {
                self.tell();
                told = Instant::now();
            }
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn take(&mut self, task: Task) {
        self.tasks += 1;
        match task {
            Task::Record(message, received_unix_ns) => self.record(&message, received_unix_ns),
            Task::CloseAll => {
                let closed = self.engine.close_all();
                self.send(closed);
            }
        }
    }

    fn record(&mut self, message: &OwnedMessage, received_unix_ns: u64) {
        let origin = Origin { partition: message.partition(), offset: message.offset() };
        let payload = message.payload().unwrap_or_default();
        let Ok(mut header) = kafka::header(message.headers()) else {
            self.engine.passed(origin);
            // The key is the camera's name, if anything is.
            let camera = message.key().and_then(|key| std::str::from_utf8(key).ok()).map(CameraId::new);
            let camera = camera.and_then(Result::ok);
            if let Some(camera) = &camera {
                self.engine.refuse(camera, BAD_HEADER);
            }
            let name = camera.as_ref().map_or(meter::OTHERS, CameraId::as_str);
            return self.note_refused(name, payload.len(), BAD_HEADER);
        };
        let camera = header.camera.clone();
        match self.engine.admit(&header, origin, self.now_ns(), clock::unix_ns()) {
            Admission::New if header.last => self.end(&header),
            Admission::New => match self.judge.count(&mut header, payload) {
                Ok(()) => {
                    self.tally.note(|recorder| recorder.frame_in(camera.as_str(), payload.len()));
                    self.tally.latency_since(LATENCY, received_unix_ns);
                    self.engine.add(&header, origin);
                }
                Err(reason) => {
                    self.engine.refuse(&camera, reason);
                    self.note_refused(camera.as_str(), payload.len(), reason);
                }
            },
            Admission::Duplicate => self.tally.note(|recorder| recorder.duplicate(camera.as_str())),
            // A marker for a camera too many is no frame.
            Admission::Dropped(_) if header.last => {}
            Admission::Dropped(reason) => self.note_refused(camera.as_str(), payload.len(), reason),
        }
    }

    fn note_refused(&self, camera: &str, bytes: usize, reason: &'static str) {
        self.tally.note(|recorder| {
            recorder.frame_in(camera, bytes);
            recorder.dropped(camera, reason);
        });
    }

    /// A camera has ended: its windows go out, then its end record: the header of an end marker, whose sequence is
    /// the number of windows, and the account of its frames.
    fn end(&mut self, marker: &Header) {
        let (closed, end) = self.engine.end(&marker.camera);
        self.send(closed);
        let mut header = Header::new(marker.camera.clone(), end.windows, marker.captured_unix_ns);
        header.last = true;
        let number =
            self.next_number(Outstanding { camera: marker.camera.clone(), frames: 0, bytes: 0, first: None });
        self.output.end(&header, &end, number, &self.receipts.0);
    }

    fn next_number(&mut self, outstanding: Outstanding) -> u64 {
        self.sent += 1;
        self.outstanding.insert(self.sent, outstanding);
        self.sent
    }

    fn send(&mut self, closed: Vec<Closed>) {
        for Closed { window, first } in closed {
            self.windows += 1;
            let number = self.next_number(Outstanding {
                camera: window.camera.clone(),
                frames: window.frames.into(),
                bytes: 0,
                first: Some(first),
            });
            let bytes = self.output.window(&window, number, &self.receipts.0);
            if let Some(outstanding) = self.outstanding.get_mut(&number) {
                outstanding.bytes = bytes;
            }
        }
    }

    fn collect_receipts(&mut self) {
        while let Ok(receipt) = self.receipts.1.try_recv() {
            let Some(done) = self.outstanding.remove(&receipt.number) else { continue };
            let camera = done.camera.as_str();
            if receipt.delivered {
                self.tally.note(|recorder| recorder.frames_out(camera, done.frames, done.bytes));
            } else {
                self.tally.note(|recorder| recorder.dropped_n(camera, "kafka", done.frames));
                self.lost.extend(done.first);
            }
        }
    }

    fn tell(&self) {
        let holds = self.outstanding.values().filter_map(|o| o.first).chain(self.lost.iter().copied());
        let status = Status {
            tasks: self.tasks,
            open_cameras: self.engine.open_cameras(),
            outstanding: self.outstanding.len(),
            committable: self.engine.committable(holds),
            windows: self.windows,
            scores: self.judge.scores().clone(),
        };
        *self.board.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}
