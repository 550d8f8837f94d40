//! What a role says on standard error while it waits for somebody else.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Least time between two notices.
const PACE: Duration = Duration::from_secs(10);

/// Says things, but not more often than every ten seconds.
#[derive(Debug)]
pub(crate) struct Notice {
    name: String,
    said: Mutex<Option<Instant>>,
}

impl Notice {
    /// In the name of a role.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), said: Mutex::new(None) }
    }

    /// Says it, unless something has been said a moment ago.
    pub(crate) fn say(&self, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|at| at.elapsed() >= PACE) {
            *said = Some(Instant::now());
            // With standard error closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "cctv {}: {what}", self.name);
        }
    }
}
