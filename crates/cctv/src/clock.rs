//! The only place of this crate that looks at the clock or pauses a thread.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch.
#[allow(clippy::disallowed_methods, reason = "this is the crate's named clock")]
pub(crate) fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Rests between two looks at something that cannot be waited for: a file of another process. The caller
/// holds the condition and the deadline.
#[allow(clippy::disallowed_methods, reason = "every caller polls a condition under a deadline")]
pub(crate) fn rest(pause: Duration) {
    std::thread::sleep(pause);
}

/// How long ago `then_unix_ns` was at `now_unix_ns`; zero when it is still to come.
pub(crate) fn elapsed(then_unix_ns: u64, now_unix_ns: u64) -> Duration {
    Duration::from_nanos(now_unix_ns.saturating_sub(then_unix_ns))
}
