//! A recorder that several threads of a role write into.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meter::{Account, Clock, Recorder};

use crate::clock;
use crate::exit::Failure;

/// The fact that lists cameras whose streams had not ended when the role had to.
pub(crate) const UNDRAINED: &str = "undrained";

/// A shared recorder. Cloning is cheap; the lock is held for counting only, never while waiting.
#[derive(Clone)]
pub(crate) struct Tally {
    recorder: Arc<Mutex<Option<Recorder>>>,
}

impl Tally {
    /// Creates the metric files of this process; `tag` names what the CSV's latency columns show.
    pub(crate) fn create(metrics: &Path, role: &str, instance: &str, tag: &str) -> Result<Self, Failure> {
        let mut recorder = Recorder::create(metrics, role, instance, Clock::system())
            .map_err(|error| Failure::failed(error.to_string()))?;
        recorder.latency_of(tag);
        Ok(Self { recorder: Arc::new(Mutex::new(Some(recorder))) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Recorder>> {
        // A panic elsewhere cannot leave counters half written; the account is still worth having.
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something. What comes after [`Tally::finish`] is lost on purpose: the account is closed.
    pub(crate) fn note(&self, count: impl FnOnce(&mut Recorder)) {
        if let Some(recorder) = self.lock().as_mut() {
            count(recorder);
        }
    }

    /// Records one latency, from `then_unix_ns` to now.
    pub(crate) fn latency_since(&self, tag: &str, then_unix_ns: u64) {
        let latency: Duration = clock::elapsed(then_unix_ns, clock::unix_ns());
        self.note(|recorder| recorder.latency(tag, latency));
    }

    /// Writes the seconds that have passed; called about once per second.
    pub(crate) fn tick(&self) -> Result<(), Failure> {
        match self.lock().as_mut() {
            Some(recorder) => {
                recorder.tick(clock::unix_ns()).map_err(|error| Failure::failed(error.to_string()))
            }
            None => Ok(()),
        }
    }

    /// Closes the account: frames still under way are dropped under `leftover`, so that it balances.
    pub(crate) fn finish(&self, leftover: &str) -> Result<Account, Failure> {
        let Some(mut recorder) = self.lock().take() else {
            return Err(Failure::failed("the account has been closed already"));
        };
        let open: Vec<(String, u64)> = recorder
            .account()
            .unbalanced()
            .into_iter()
            .filter_map(|(camera, frames)| Some((camera.to_owned(), u64::try_from(frames).ok()?)))
            .collect();
        for (camera, frames) in open {
            recorder.dropped_n(&camera, leftover, frames);
        }
        recorder.finish().map_err(|error| Failure::failed(error.to_string()))
    }
}
