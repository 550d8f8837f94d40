//! The crate's only reader of the wall clock.
#![allow(clippy::disallowed_methods, reason = "this file is the crate's named clock")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, as Kafka's timestamps count them.
pub(crate) fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A monotonic clock in milliseconds since it was started; groups take their time from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticker {
    start: Instant,
}

impl Ticker {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the start.
    pub(crate) fn now_ms(self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
