//! The crate's one look at the wall clock.
#![allow(clippy::disallowed_methods, reason = "this is the named clock that the lint asks for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Says what time it is: the system's wall clock, or one that a test turns by hand. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    by_hand: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The wall clock of this machine.
    pub fn system() -> Self {
        Self { by_hand: None }
    }

    /// A clock that shows the nanoseconds since the Unix epoch that somebody puts into `unix_ns`.
    pub fn by_hand(unix_ns: Arc<AtomicU64>) -> Self {
        Self { by_hand: Some(unix_ns) }
    }

    /// Nanoseconds since the Unix epoch; 0 when the machine's clock is set to before 1970.
    pub fn unix_ns(&self) -> u64 {
        if let Some(time) = &self.by_hand {
            return time.load(Ordering::Relaxed);
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}
