//! Delay, rate, percentage and size as E2Clab writes them (`50ms`, `150mbit`, `5%`), typed.
//!
//! Parsing never panics; a refused text comes back as a [`ParseError`] that says what would be right.
//! Internally a delay is whole nanoseconds, a rate whole bits per second, a percentage parts per billion, a
//! size whole bytes, so that every value can be compared, hashed and printed without rounding surprises.

mod parse;
mod text;

pub use parse::ParseError;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A one-way delay in nanoseconds. Written `50ms`, `200us`, `1.5s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delay {
    nanos: u64,
}

impl Delay {
    /// No delay at all.
    pub const ZERO: Self = Self { nanos: 0 };

    /// A delay of `nanos` nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// A delay of `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self { nanos: millis * 1_000_000 }
    }

    /// The delay in nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.nanos
    }

    /// The delay in milliseconds, fractions kept.
    pub fn millis_f64(self) -> f64 {
        self.nanos as f64 / 1e6
    }

    /// The same delay as a [`Duration`].
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

impl FromStr for Delay {
    type Err = ParseError;

    /// Parses a number followed by `ns`, `us`, `ms` or `s`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let units = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
        parse::scaled(text, "delay", &units, "50ms").map(|nanos| Self { nanos })
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        parse::print_scaled(
            f,
            self.nanos,
            &[("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)],
        )
    }
}

/// A transmission rate in bits per second. Written `150mbit`, `1gbit`, `64kbit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    bits_per_s: u64,
}

impl Rate {
    /// A rate of `bits_per_s` bits per second; `None` for zero, which no link can have.
    pub const fn from_bits_per_s(bits_per_s: u64) -> Option<Self> {
        if bits_per_s == 0 { None } else { Some(Self { bits_per_s }) }
    }

    /// The rate in bits per second, never zero.
    pub const fn bits_per_s(self) -> u64 {
        self.bits_per_s
    }

    /// How long `bytes` bytes occupy the link, in nanoseconds, rounded up.
    pub const fn nanos_for(self, bytes: u64) -> u64 {
        let bits_nanos = bytes as u128 * 8 * 1_000_000_000;
        bits_nanos.div_ceil(self.bits_per_s as u128) as u64
    }

    /// How many whole bytes fit into `nanos` nanoseconds at this rate.
    pub const fn bytes_in(self, nanos: u64) -> u64 {
        (self.bits_per_s as u128 * nanos as u128 / 8 / 1_000_000_000) as u64
    }
}

impl FromStr for Rate {
    type Err = ParseError;

    /// Parses a number followed by `bit`, `kbit`, `mbit` or `gbit` (powers of 1,000, as `tc` means them).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
        let bits = parse::scaled(text, "rate", &units, "150mbit")?;
        Self::from_bits_per_s(bits)
            .ok_or_else(|| ParseError::new("rate", text, "a rate above zero, for example 150mbit"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];
        parse::print_scaled(f, self.bits_per_s, &scale)
    }
}

/// A share of packets, such as those that a link loses, in parts per billion. Written `2%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    per_billion: u32,
}

impl Percent {
    /// None at all.
    pub const NONE: Self = Self { per_billion: 0 };

    /// A share of `fraction` (0 to 1); `None` outside that range or when not a number.
    pub fn from_fraction(fraction: f64) -> Option<Self> {
        (0.0..=1.0).contains(&fraction).then(|| Self { per_billion: (fraction * 1e9).round() as u32 })
    }

    /// The share as a fraction from 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.per_billion) / 1e9
    }

    /// The share in parts per billion, at most 1,000,000,000.
    pub const fn per_billion(self) -> u32 {
        self.per_billion
    }

    /// The share lost over both ways of a link that loses `self` each way.
    pub fn round_trip(self) -> f64 {
        1.0 - (1.0 - self.fraction()).powi(2)
    }
}

impl FromStr for Percent {
    type Err = ParseError;

    /// Parses a percentage, `0%` to `100%`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let per_billion = parse::scaled(text, "percentage", &[("%", 1e7)], "2%")?;
        u32::try_from(per_billion)
            .ok()
            .filter(|value| *value <= 1_000_000_000)
            .map(|per_billion| Self { per_billion })
            .ok_or_else(|| ParseError::new("percentage", text, "a percentage from 0% to 100%"))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.per_billion) / 1e7)
    }
}

/// A size in bytes. Written `64mib`, `200kb`, `1514` (plain bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    bytes: u64,
}

impl Size {
    /// A size of `bytes` bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

impl FromStr for Size {
    type Err = ParseError;

    /// Parses a number with an optional unit: `b`, `kb`, `mb`, `gb` (1,000) or `kib`, `mib`, `gib` (1,024).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (kib, mib, gib) = (1024.0, 1_048_576.0, 1_073_741_824.0);
        let units = [
            ("kib", kib),
            ("mib", mib),
            ("gib", gib),
            ("kb", 1e3),
            ("mb", 1e6),
            ("gb", 1e9),
            ("b", 1.0),
            ("", 1.0),
        ];
        parse::scaled(text, "size", &units, "64mib").map(|bytes| Self { bytes })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        parse::print_scaled(f, self.bytes, &[("gib", 1 << 30), ("mib", 1 << 20), ("kib", 1 << 10), ("b", 1)])
    }
}
