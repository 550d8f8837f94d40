//! The end of a role that reads a topic: asked for by a signal, come when all has been read, or when time is up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::exit::Failure;
use crate::job::source::Source;

/// Pause between two attempts to learn how much there is to read.
const PAUSE: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Drain {
    stop: Arc<AtomicBool>,
    timeout: Duration,
    since: Option<Instant>,
    ends: Option<BTreeMap<i32, i64>>,
    /// The last attempt to learn the ends, and why it failed.
    failed: Option<(Instant, Failure)>,
}

impl Drain {
    /// Not begun; begins when `stop` is raised and lasts `timeout` at most.
    pub(crate) fn new(stop: Arc<AtomicBool>, timeout: Duration) -> Self {
        Self { stop, timeout, since: None, ends: None, failed: None }
    }

    /// Whether it has begun.
    pub(crate) fn has_begun(&mut self) -> bool {
        if self.since.is_none() && self.stop.load(Ordering::Relaxed) {
            self.since = Some(Instant::now());
        }
        self.since.is_some()
    }

    /// Whether it has begun and all that was there since then has been read. While the brokers cannot be asked how
    /// much that is, they are asked again.
    pub(crate) fn has_read(&mut self, source: &mut Source) -> bool {
        if !self.has_begun() {
            return false;
        }
        let resting = self.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE);
        if self.ends.is_none() && !resting {
            match source.look_for_ends() {
                Ok(ends) => self.ends = Some(ends),
                Err(failure) => self.failed = Some((Instant::now(), failure)),
            }
        }
        self.ends.as_ref().is_some_and(|ends| source.has_reached(ends))
    }

    /// Whether time is up.
    pub(crate) fn is_over(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= self.timeout)
    }

    /// What kept it from knowing how much there is to read, as the end of a sentence.
    pub(crate) fn obstacle(&self) -> String {
        match (&self.ends, &self.failed) {
            (None, Some((_, failure))) => format!("; {failure}"),
            _ => String::new(),
        }
    }
}
