//! What the roles share of Kafka: client options, headers of records, waiting for a topic.

use std::time::{Duration, Instant};

use frame::{Header, HeaderError};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header as RecordHeader, Headers, OwnedHeaders};

use crate::exit::Failure;
use crate::options::Endpoint;

/// Largest record anybody produces or takes, in bytes.
const RECORD_BYTES_MAX: &str = "2097152";

/// How long one question to the broker may take before it is asked again.
const QUESTION: Duration = Duration::from_secs(2);

/// Options of any client.
pub(crate) fn client(broker: &Endpoint, name: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.to_string())
        .set("client.id", name)
        .set("message.max.bytes", RECORD_BYTES_MAX)
        .set("broker.address.family", "v4")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.nagle.disable", "true")
        .set("log.connection.close", "false");
    config
}

/// Options of a producer that loses nothing, duplicates nothing, and puts a camera into the partition in
/// which Java's default partitioner would put it.
pub(crate) fn producer(broker: &Endpoint, name: &str, batch_bytes: u32, linger: Duration) -> ClientConfig {
    let mut config = client(broker, name);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("batch.size", batch_bytes.to_string())
        .set("linger.ms", linger.as_millis().to_string())
        .set("queue.buffering.max.kbytes", "262144")
        .set("queue.buffering.max.messages", "100000")
        .set("message.timeout.ms", "120000")
        .set("compression.type", "none");
    config
}

/// Options of a consumer that assigns its partitions itself.
pub(crate) fn consumer(broker: &Endpoint, name: &str, group: &str) -> ClientConfig {
    let mut config = client(broker, name);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.message.max.bytes", RECORD_BYTES_MAX)
        .set("queued.max.messages.kbytes", "65536")
        .set("check.crcs", "true")
        .set("allow.auto.create.topics", "false");
    config
}

/// The header as the headers of a record.
pub(crate) fn headers(header: &Header) -> OwnedHeaders {
    header.to_pairs().iter().fold(OwnedHeaders::new_with_capacity(9), |headers, (key, value)| {
        headers.insert(RecordHeader { key, value: Some(value.as_str()) })
    })
}

/// Reads a header from the headers of a record.
pub(crate) fn header(headers: Option<&impl Headers>) -> Result<Header, HeaderError> {
    let pairs = headers.into_iter().flat_map(Headers::iter);
    Header::from_pairs(pairs.map(|pair| (pair.key, pair.value.unwrap_or_default())))
}

/// How many partitions `topic` has; `None` when the broker does not know it.
///
/// # Errors
/// When the broker does not answer.
pub(crate) fn partitions(client: &BaseConsumer, topic: &str) -> Result<Option<i32>, String> {
    let metadata = client.fetch_metadata(Some(topic), QUESTION).map_err(|error| error.to_string())?;
    let found = metadata.topics().iter().find(|known| known.name() == topic);
    let usable = found.filter(|known| known.error().is_none() && !known.partitions().is_empty());
    Ok(usable.and_then(|known| i32::try_from(known.partitions().len()).ok()))
}

/// Waits until the broker knows `topic`, and says how many partitions it has.
///
/// # Errors
/// When `timeout` passes first; the message tells a broker that is down from a topic that is missing.
pub(crate) fn await_topic(
    client: &BaseConsumer,
    broker: &Endpoint,
    topic: &str,
    timeout: Duration,
) -> Result<i32, Failure> {
    let deadline = Instant::now() + timeout;
    loop {
        let answer = partitions(client, topic);
        if let Ok(Some(count)) = answer {
            return Ok(count);
        }
        if Instant::now() >= deadline {
            return Err(Failure::unreachable(match answer {
                Err(error) => format!(
                    "the Kafka broker at {broker} did not answer within {timeout:?} ({error}); is it running?"
                ),
                Ok(_) => format!(
                    "the Kafka broker at {broker} has no topic {topic:?}; create it with \
                     `cctv topic create --kafka {broker} --partitions 32 {topic}`"
                ),
            }));
        }
        // librdkafka answers at once while it has no connection, so pace the questions.
        client.poll(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frame::{CameraId, Counted};

    #[test]
    fn a_header_survives_the_record() {
        let mut sent = Header::new(CameraId::new("c-1").unwrap(), 9, 5);
        sent.people = Some(Counted { people: 4, counter: "motion".into() });
        sent.last = true;
        assert_eq!(header(Some(&headers(&sent))).unwrap(), sent);
        assert!(header(None::<&OwnedHeaders>).is_err());
    }
}
