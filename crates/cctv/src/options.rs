//! Values of command-line options that several roles share.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A broker's `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Host name or address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not HOST:PORT; for example 127.0.0.1:1883");
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(refused());
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Reads a span of time such as `60s` or `250ms`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    text.parse::<units::Delay>().map(units::Delay::duration).map_err(|error| error.to_string())
}

/// Reads a frame rate: above 0, at most 1000.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(fps) if fps > 0.0 && fps <= 1000.0 => Ok(fps),
        _ => Err(format!("{text:?} is not a frame rate; give frames per second above 0 and up to 1000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_need_a_host_and_a_port() {
        let endpoint: Endpoint = "fog-1:1883".parse().unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.port), ("fog-1", 1883));
        for bad in ["", "fog", ":1883", "fog:", "fog:0", "fog:70000", "a b:1"] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("2.5"), Ok(2.5));
        for bad in ["0", "-1", "NaN", "inf", "1001", "fast"] {
            assert!(rate(bad).is_err(), "{bad:?} was taken");
        }
    }
}
