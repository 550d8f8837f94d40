//! A partition as the requests see it: its log behind a lock, and who waits for new records.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::batch::BatchHeader;
use crate::clock;
use crate::event::{Event, EventSink};
use crate::log::{AppendError, Appended, PartitionLog, Policy};
use crate::sync::{Waiter, lock};

/// Writes must have worked for this long before an outage counts as over: on a full disk small batches still fit.
const CALM_MS: i64 = 5000;

/// One partition of a topic.
#[derive(Debug)]
pub(crate) struct Partition {
    log: Mutex<PartitionLog>,
    waiting: Mutex<Vec<Weak<Waiter>>>,
    /// When a write failed last, 0 while all is well; so that an outage is told once, not per batch.
    failed_ms: AtomicI64,
    events: EventSink,
}

impl Partition {
    pub(crate) fn open(dir: &Path, producers_max: usize, events: &EventSink) -> io::Result<Self> {
        let log = PartitionLog::open(dir, producers_max, events, clock::wall_ms())?;
        Ok(Self {
            log: Mutex::new(log),
            waiting: Mutex::new(Vec::new()),
            failed_ms: AtomicI64::new(0),
            events: events.clone(),
        })
    }

    /// The log, for reading.
    pub(crate) fn log(&self) -> MutexGuard<'_, PartitionLog> {
        lock(&self.log)
    }

    /// Stores a validated batch, lets retention follow and wakes who waits.
    pub(crate) fn append(
        &self,
        bytes: &[u8],
        header: &BatchHeader,
        append_time: bool,
        policy: &Policy,
    ) -> Result<(Appended, i64), AppendError> {
        let now_ms = clock::wall_ms();
        let stamp = append_time.then_some(now_ms);
        let mut log = self.log();
        let appended = log.append(bytes, header, stamp, policy, now_ms);
        let retained = if appended.is_ok() { log.retain(policy, now_ms) } else { Ok(()) };
        let (start, dir) = (log.start_offset(), log.dir().to_owned());
        drop(log);
        match (&appended, &retained) {
            (Err(AppendError::Storage(error)), _) | (_, Err(error)) => self.storage_failed(&dir, error),
            (Ok(_), Ok(())) => self.storage_works(&dir),
            (Err(AppendError::Sequence(_) | AppendError::Closed), Ok(())) => {}
        }
        if appended.is_ok() {
            self.wake();
        }
        appended.map(|appended| (appended, start))
    }

    /// Deletes what is too old or too much.
    pub(crate) fn retain(&self, policy: &Policy) {
        let mut log = self.log();
        if let Err(error) = log.retain(policy, clock::wall_ms()) {
            let dir = log.dir().to_owned();
            drop(log);
            self.storage_failed(&dir, &error);
        }
    }

    fn storage_failed(&self, dir: &Path, error: &io::Error) {
        if self.failed_ms.swap(clock::wall_ms(), Ordering::Relaxed) == 0 {
            self.events.tell(&Event::StorageFailed { path: dir.to_owned(), why: error.to_string() });
        }
    }

    fn storage_works(&self, dir: &Path) {
        let failed_ms = self.failed_ms.load(Ordering::Relaxed);
        if failed_ms != 0 && clock::wall_ms().saturating_sub(failed_ms) > CALM_MS {
            self.failed_ms.store(0, Ordering::Relaxed);
            self.events.tell(&Event::StorageRecovered { path: dir.to_owned() });
        }
    }

    /// Raises `waiter` at the next append. Each waiter is kept once, so the list is as long as the connections.
    pub(crate) fn watch(&self, waiter: &Arc<Waiter>) {
        let mut waiting = lock(&self.waiting);
        let this = Arc::as_ptr(waiter);
        let mut found = false;
        waiting.retain(|other| {
            found |= std::ptr::eq(other.as_ptr(), this);
            other.strong_count() > 0
        });
        if !found {
            waiting.push(Arc::downgrade(waiter));
        }
    }

    /// Ends the partition: nothing is written any more, and who waits finds the topic gone.
    pub(crate) fn close(&self) {
        self.log().close();
        self.wake();
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        for waiter in waiting.iter().filter_map(Weak::upgrade) {
            waiter.raise();
        }
    }
}
