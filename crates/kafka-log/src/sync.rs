//! Waiting: locks that survive a panicked thread, and a signal that fetches wait on.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Locks `mutex`. A thread that panicked while holding it has not left data half-written that the next
/// holder would not detect: every update of the log is published last.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits on `condvar` until it is notified or `timeout` has passed.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
) -> MutexGuard<'a, T> {
    condvar.wait_timeout(guard, timeout).unwrap_or_else(PoisonError::into_inner).0
}

/// What one connection waits on for new records; partitions raise it.
#[derive(Debug, Default)]
pub(crate) struct Waiter {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Waiter {
    /// Forgets earlier signals; call before looking for what is waited for.
    pub(crate) fn reset(&self) {
        *lock(&self.raised) = false;
    }

    pub(crate) fn raise(&self) {
        *lock(&self.raised) = true;
        self.changed.notify_all();
    }

    /// Waits until raised or `deadline`; whether it was raised.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let mut raised = lock(&self.raised);
        while !*raised {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            raised = wait(&self.changed, raised, left);
        }
        true
    }
}

/// A bound on bytes held at once; who wants more waits.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Mutex<usize>,
    returned: Condvar,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: Mutex::new(bytes), returned: Condvar::new() }
    }

    /// Takes `bytes`, waiting up to `timeout` for others to return theirs.
    pub(crate) fn take(&self, bytes: usize, timeout: Duration) -> Option<Share<'_>> {
        let deadline = Instant::now() + timeout;
        let mut left = lock(&self.left);
        while *left < bytes {
            let wait_for = deadline.saturating_duration_since(Instant::now());
            if wait_for.is_zero() {
                return None;
            }
            left = wait(&self.returned, left, wait_for);
        }
        *left -= bytes;
        Some(Share { budget: self, bytes })
    }
}

/// Bytes taken from a [`Budget`], returned when dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *lock(&self.budget.left) += self.bytes;
        self.budget.returned.notify_all();
    }
}
