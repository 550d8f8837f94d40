//! The wall clock, read in this file only.
#![allow(clippy::disallowed_methods, reason = "this is the crate's named clock")]

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970 (`CLOCK_REALTIME`, as the kernel stamps received packets).
pub(crate) fn unix_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}
