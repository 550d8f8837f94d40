//! Stopping from outside, and waiting that can be stopped.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Set once, from a signal handler's thread, to stop what is being done. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

/// The work was stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped from outside")]
pub struct Cancelled;

impl Cancel {
    /// Not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops everything that looks at it, and wakes everything that waits on it.
    pub fn set(&self) {
        let (flag, wake) = &*self.inner;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        *self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error once it is set.
    ///
    /// # Errors
    /// [`Cancelled`] when it is set.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_set() { Err(Cancelled) } else { Ok(()) }
    }

    /// Waits until `time` has passed.
    ///
    /// # Errors
    /// [`Cancelled`] as soon as it is set.
    pub fn wait(&self, time: Duration) -> Result<(), Cancelled> {
        let (flag, wake) = &*self.inner;
        let deadline = Instant::now() + time;
        let mut set = flag.lock().unwrap_or_else(PoisonError::into_inner);
        while !*set {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            (set, _) = wake.wait_timeout(set, left).unwrap_or_else(PoisonError::into_inner);
        }
        Err(Cancelled)
    }
}
