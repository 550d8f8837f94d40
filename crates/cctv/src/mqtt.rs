//! What camera and gateway share of MQTT 5: connection options, headers as user properties.

use std::time::Duration;

use frame::{Header, HeaderError};
use rumqttc::NetworkOptions;
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, PublishProperties};

use crate::options::Endpoint;

/// Largest MQTT packet either side takes, in bytes; a frame's JPEG must leave room for its header.
pub(crate) const PACKET_BYTES_MAX: u32 = 2 * 1024 * 1024;

/// Largest JPEG a camera sends, in bytes.
pub(crate) const JPEG_BYTES_MAX: u64 = 1024 * 1024;

/// First and longest pause between two attempts to reach the broker.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(3200));

/// Options that camera and gateway set alike.
pub(crate) fn options(client: &str, broker: &Endpoint, keep_alive: Duration) -> MqttOptions {
    let mut options = MqttOptions::new(client, &broker.host, broker.port);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    let mut properties = ConnectProperties::new();
    properties.max_packet_size = Some(PACKET_BYTES_MAX);
    options
        .set_keep_alive(keep_alive)
        .set_network_options(network)
        .set_connect_properties(properties)
        .set_connection_timeout(5)
        .set_pending_throttle(Duration::ZERO);
    options
}

/// The header as the properties of a publication.
pub(crate) fn properties(header: &Header) -> PublishProperties {
    let user_properties = header.to_pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    PublishProperties { user_properties, ..PublishProperties::default() }
}

/// Reads a header from the properties of a publication.
pub(crate) fn header(properties: Option<&PublishProperties>) -> Result<Header, HeaderError> {
    let pairs = properties.map(|p| p.user_properties.as_slice()).unwrap_or_default();
    Header::from_pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_bytes())))
}

/// Growing pauses between attempts to reconnect; `seed` spreads many clients of one broker.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    seed: u64,
}

impl Backoff {
    /// A backoff at its beginning.
    pub(crate) fn new(seed: u64) -> Self {
        Self { next: BACKOFF.0, seed }
    }

    /// How long to pause before the next attempt.
    pub(crate) fn pause(&mut self) -> Duration {
        let spread = self.next / 4 * u32::try_from(self.seed % 4).unwrap_or(0) / 4;
        let pause = self.next + spread;
        self.next = (self.next * 2).min(BACKOFF.1);
        self.seed = self.seed.rotate_right(2);
        pause
    }

    /// The connection stands: the next loss starts from the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.next = BACKOFF.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frame::CameraId;

    #[test]
    fn a_header_survives_the_properties() {
        let mut sent = Header::new(CameraId::new("edge.1-2").unwrap(), 7, 1_700_000_000_000_000_001);
        sent.truth = Some(3);
        assert_eq!(header(Some(&properties(&sent))).unwrap(), sent);
        assert!(header(None).is_err());
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut backoff = Backoff::new(11);
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause()).collect();
        assert!(pauses[0] >= BACKOFF.0 && pauses[0] < BACKOFF.0 * 2);
        assert!(pauses.iter().all(|p| *p <= BACKOFF.1 * 2), "{pauses:?}");
        backoff.reset();
        assert!(backoff.pause() < BACKOFF.0 * 2);
    }
}
