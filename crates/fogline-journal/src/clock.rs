//! The crate's clock: Unix time and the name of a second in the folder's name.

use jiff::{Timestamp, tz::TimeZone};

/// Where the time comes from: the machine, or a fixed instant in tests.
#[derive(Clone, Debug)]
pub struct Clock {
    fixed_unix_ns: Option<u64>,
    zone: TimeZone,
}

impl Clock {
    /// The machine's clock and time zone.
    pub fn system() -> Self {
        Self { fixed_unix_ns: None, zone: TimeZone::system() }
    }

    /// A clock that stands still at `unix_ns`, in UTC.
    pub fn fixed(unix_ns: u64) -> Self {
        Self { fixed_unix_ns: Some(unix_ns), zone: TimeZone::UTC }
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub fn unix_ns(&self) -> u64 {
        let now = || u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
        self.fixed_unix_ns.unwrap_or_else(now)
    }

    /// The current second as `YYYYMMDD-HHMMSS` in local time: the name E2Clab gives a run folder.
    pub fn second_name(&self) -> String {
        self.zoned().strftime("%Y%m%d-%H%M%S").to_string()
    }

    /// The current time with its offset, as RFC 3339 writes it.
    pub fn rfc3339(&self) -> String {
        self.zoned().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    fn zoned(&self) -> jiff::ZonedDateTime {
        let instant = Timestamp::from_nanosecond(i128::from(self.unix_ns())).unwrap_or(Timestamp::UNIX_EPOCH);
        instant.to_zoned_datetime(self.zone.clone())
    }
}
