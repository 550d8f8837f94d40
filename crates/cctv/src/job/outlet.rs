//! Where a worker's results go: straight to Kafka, or into the next transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use frame::CameraId;

use super::output::{Output, Receipt, Receipts};
use super::record::Record;
use super::window::Origin;
use crate::tally::Tally;

/// See the module.
pub(super) enum Outlet {
    /// At least once.
    Direct(Direct),
    /// Exactly once.
    Held(Held),
}

/// Results go out at once. Offsets follow when they are acknowledged.
pub(super) struct Direct {
    output: Arc<Output>,
    tally: Tally,
    receipts: (Receipts, Receiver<Receipt>),
    outstanding: BTreeMap<u64, Outstanding>,
    /// Windows that Kafka did not take: their records are never committed, so that a restart brings them
    /// again.
    lost: Vec<Origin>,
    sent: u64,
}

/// An output record without receipt.
struct Outstanding {
    camera: CameraId,
    frames: u64,
    bytes: usize,
    /// Holds the offsets back until the window is safe.
    first: Option<Origin>,
}

impl Direct {
    /// An outlet into this producer.
    pub(super) fn new(output: Arc<Output>, tally: Tally) -> Self {
        let (receipts, outstanding) = (channel(), BTreeMap::new());
        Self { output, tally, receipts, outstanding, lost: Vec::new(), sent: 0 }
    }

    fn send(&mut self, record: &Record, first: Option<Origin>) {
        self.sent += 1;
        let bytes = record.payload.len();
        let outstanding = Outstanding { camera: record.camera.clone(), frames: record.frames, bytes, first };
        self.outstanding.insert(self.sent, outstanding);
        self.output.send(record, self.sent, &self.receipts.0);
    }

    /// Counts what Kafka has taken since the last look.
    pub(super) fn collect_receipts(&mut self) {
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

    /// First records of windows that are not safe in Kafka.
    pub(super) fn holds(&self) -> impl Iterator<Item = Origin> + Clone + '_ {
        self.outstanding.values().filter_map(|outstanding| outstanding.first).chain(self.lost.iter().copied())
    }
}

/// Results wait for the next barrier. How many may wait is bounded by whoever looks at the level: the job brings the
/// barrier forward, and stops reading.
pub(super) struct Held {
    records: Vec<Record>,
    /// Bytes held by all workers.
    level: Arc<AtomicUsize>,
    /// Where they are handed over.
    pub(super) handovers: Sender<super::worker::Handover>,
}

impl Held {
    /// An outlet without results; `level` is shared by all workers.
    pub(super) fn new(level: Arc<AtomicUsize>, handovers: Sender<super::worker::Handover>) -> Self {
        Self { records: Vec::new(), level, handovers }
    }

    /// What has gathered.
    pub(super) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }
}

impl Outlet {
    /// Lets one record out; `first` is the first record of the input that went into it.
    pub(super) fn send(&mut self, record: Record, first: Option<Origin>) {
        match self {
            Self::Direct(direct) => direct.send(&record, first),
            Self::Held(held) => {
                held.level.fetch_add(record.memory(), Ordering::Relaxed);
                held.records.push(record);
            }
        }
    }

    /// Records that are under way to Kafka without receipt.
    pub(super) fn outstanding(&self) -> usize {
        match self {
            Self::Direct(direct) => direct.outstanding.len(),
            Self::Held(_) => 0,
        }
    }
}
