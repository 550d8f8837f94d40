//! One worker: the frames of some partitions, in order, from record to acknowledged window.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use frame::{CameraId, Header};
use rdkafka::Message;
use rdkafka::message::OwnedMessage;
use vision::{Judge, Scores};

use super::engine::{Admission, Engine};
use super::outlet::Outlet;
use super::record::Record;
use super::state::{PartitionState, State};
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
    /// Hand over all that has changed since the last barrier.
    Barrier,
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
    /// Windows closed, those of earlier processes included where the job remembers.
    pub(super) windows: u64,
    /// Distances from the truth.
    pub(super) scores: Scores,
    /// A result that could not be written down, and is in no record.
    pub(super) error: Option<String>,
}

/// Where a worker leaves its status.
pub(super) type Board = Arc<Mutex<Status>>;

/// What a worker hands over at a barrier: all that has changed since the one before.
pub(super) struct Handover {
    /// Results.
    pub(super) records: Vec<Record>,
    /// The state of its cameras and partitions.
    pub(super) state: State,
    /// Distances from the truth, since the job started.
    pub(super) scores: Scores,
}

/// See the module.
pub(super) struct Worker {
    engine: Engine,
    judge: Judge,
    outlet: Outlet,
    tally: Tally,
    board: Board,
    epoch: Instant,
    error: Option<String>,
    /// As they were last handed over.
    positions: BTreeMap<i32, PartitionState>,
    tasks: u64,
}

impl Worker {
    /// A worker with this engine. `epoch` is the zero of the clock its watermarks were made with.
    pub(super) fn new(
        engine: Engine,
        judge: Judge,
        outlet: Outlet,
        tally: Tally,
        board: Board,
        epoch: Instant,
    ) -> Self {
        let positions = engine.positions();
        Self { engine, judge, outlet, tally, board, epoch, error: None, positions, tasks: 0 }
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
            if let Outlet::Direct(direct) = &mut self.outlet {
                direct.collect_receipts();
            }
            // The status costs a walk over all windows, so not for every frame.
            if told.elapsed() >= PULSE {
                self.tell();
                told = Instant::now();
            }
        }
        self.tell();
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
            Task::Barrier => self.hand_over(),
        }
    }

    fn hand_over(&mut self) {
        let Outlet::Held(held) = &mut self.outlet else { return };
        let positions = self.engine.positions();
        let moved = positions.iter().filter(|(number, state)| self.positions.get(number) != Some(state));
        let mut state = State::default();
        state.partitions = moved.map(|(number, state)| (*number, state.clone())).collect();
        state.cameras =
            self.engine.changes().into_iter().map(|camera| (camera.camera.clone(), camera)).collect();
        self.positions = positions;
        // A job that is gone needs it no more.
        let records = held.take();
        let _ = held.handovers.send(Handover { records, state, scores: self.judge.scores().clone() });
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
                self.engine.refuse(camera, origin, BAD_HEADER);
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
                    self.engine.refuse(&camera, origin, reason);
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

    /// A camera has ended: its windows go out, then its end record.
    fn end(&mut self, marker: &Header) {
        let (closed, end) = self.engine.end(&marker.camera);
        self.send(closed);
        self.let_out(Record::end(&end, marker.captured_unix_ns), None);
    }

    fn send(&mut self, closed: Vec<Closed>) {
        for Closed { window, first } in closed {
            self.let_out(Record::window(&window), Some(first));
        }
    }

    fn let_out(&mut self, record: Result<Record, String>, first: Option<Origin>) {
        match record {
            Ok(record) => self.outlet.send(record, first),
            Err(error) => self.error = Some(error),
        }
    }

    fn tell(&self) {
        let committable = match &self.outlet {
            Outlet::Direct(direct) => self.engine.committable(direct.holds()),
            Outlet::Held(_) => BTreeMap::new(),
        };
        let status = Status {
            tasks: self.tasks,
            open_cameras: self.engine.open_cameras(),
            outstanding: self.outlet.outstanding(),
            committable,
            windows: self.engine.windows(),
            scores: self.judge.scores().clone(),
            error: self.error.clone(),
        };
        *self.board.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }
}
