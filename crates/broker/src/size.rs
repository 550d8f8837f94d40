//! Values of the command line: sizes, times, addresses.

use std::str::FromStr;
use std::time::Duration;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor: u64 = match &text[digits.len()..] {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            unit => {
                return Err(format!("unknown unit `{unit}`; give bytes, or a number with KiB, MiB or GiB"));
            }
        };
        let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is not a whole number of bytes"))?;
        let bytes = number.checked_mul(factor).filter(|bytes| (1..=1 << 50).contains(bytes));
        bytes.map(Self).ok_or_else(|| "give at least 1 byte and at most 1048576GiB".to_owned())
    }
}

/// A number of milliseconds, or none for -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Millis(pub(crate) Option<Duration>);

impl FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<i64>() {
            Ok(-1) => Ok(Self(None)),
            Ok(millis) if millis > 0 => Ok(Self(Some(Duration::from_millis(millis.cast_unsigned())))),
            _ => Err("give a whole number of milliseconds from 1, or -1 for no limit".to_owned()),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertise {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for Advertise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not HOST:PORT, as in 10.0.0.2:9092 or [::1]:9092");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.len() > 255 || host.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
    }
}

/// A time: a number with `ms`, `s` or `min`; without a unit it is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "min" => 60.0,
        unit => return Err(format!("unknown unit `{unit}`; give ms, s or min")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("`{digits}` is not a number"))?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(time) if time <= Duration::from_secs(24 * 3600) => Ok(time),
        _ => Err("give a time from 0s to 1440min".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        assert_eq!("4096".parse(), Ok(Size(4096)));
        assert_eq!("64MiB".parse(), Ok(Size(64 << 20)));
        for wrong in ["", "0", "-1", "1.5MiB", "64MB", "99999999999999999999", "1048577GiB", "MiB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_and_addresses_are_checked() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(duration("-1s").is_err() && duration("10d").is_err() && duration("NaNs").is_err());
        assert_eq!("-1".parse(), Ok(Millis(None)));
        assert!("0".parse::<Millis>().is_err());
        let v6 = "[::1]:9092".parse();
        assert_eq!(v6, Ok(Advertise { host: "::1".into(), port: 9092 }));
        for wrong in ["host", ":9092", "host:port", "host:70000", "a b:1"] {
            assert!(wrong.parse::<Advertise>().is_err(), "{wrong}");
        }
    }
}
