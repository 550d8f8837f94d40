//! Waiting for a condition until a deadline.

use crate::Failure;
use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What one look came to.
pub(crate) enum Look<T> {
    /// It is there.
    Found(T),
    /// Not yet, and what there is instead.
    NotYet(String),
}

/// Looks again and again until something is found, the look fails for good, or `patience` is over. Each look learns how
/// much time is left.
///
/// # Errors
/// What the look fails with; [`Failure::Late`], which begins with `what`, when the time is over.
pub(crate) fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut(Duration) -> Result<Look<T>, Failure>,
) -> Result<T, Failure> {
    let begin = Instant::now();
    loop {
        let left = patience.saturating_sub(begin.elapsed());
        let last = match look(left)? {
            Look::Found(found) => return Ok(found),
            Look::NotYet(instead) => instead,
        };
        let left = patience.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(Failure::Late { what: what.to_owned(), waited: patience, last });
        }
        thread::park_timeout(PAUSE.min(left));
    }
}
