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
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || ",;/".contains(c)) {
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

/// The Kafka brokers of one cluster, as many as are known: a client that reaches one of them learns the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brokers(Vec<Endpoint>);

impl FromStr for Brokers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut brokers: Vec<Endpoint> = Vec::new();
        for part in text.split(',') {
            let broker: Endpoint = part.trim().parse().map_err(|reason| match text.contains(',') {
                true => format!("{reason} (in the list {text:?})"),
                false => reason,
            })?;
            if brokers.contains(&broker) {
                return Err(format!("{broker} is in the list {text:?} twice"));
            }
            brokers.push(broker);
        }
        Ok(Self(brokers))
    }
}

impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(place, broker)| {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{broker}")
        })
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
    fn brokers_are_a_list_without_gaps_and_repetitions() {
        let brokers: Brokers = "kafka-1:9092, kafka-2:9092".parse().unwrap();
        assert_eq!(brokers.to_string(), "kafka-1:9092,kafka-2:9092");
        assert_eq!("kafka:9092".parse::<Brokers>().unwrap().to_string(), "kafka:9092");
        for (bad, named) in [
            ("", "HOST:PORT"),
            ("a:1,", "in the list"),
            ("a:1,b", "\"b\""),
            ("a:1,a:1", "twice"),
            ("a:1;b:2", "HOST:PORT"),
        ] {
            let reason = bad.parse::<Brokers>().unwrap_err();
            assert!(reason.contains(named), "{bad:?}: {reason}");
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
