//! What the roles share of Kafka: client options, headers of records, waiting for a topic.

use std::time::{Duration, Instant};

use frame::{Header, HeaderError};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header as RecordHeader, Headers, OwnedHeaders};

use crate::exit::Failure;
use crate::options::Brokers;

/// Largest record anybody produces or takes, in bytes.
const RECORD_BYTES_MAX: &str = "2097152";

/// How long one question to the broker may take before it is asked again.
const QUESTION: Duration = Duration::from_secs(2);

/// Options of any client.
pub(crate) fn client(brokers: &Brokers, name: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers.to_string())
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
pub(crate) fn producer(brokers: &Brokers, name: &str, batch_bytes: u32, linger: Duration) -> ClientConfig {
    let mut config = client(brokers, name);
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

/// Options of a consumer that assigns its partitions itself, and sees nothing of transactions that are open or were aborted.
pub(crate) fn consumer(brokers: &Brokers, name: &str, group: &str) -> ClientConfig {
    let mut config = client(brokers, name);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
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

/// What the brokers say about a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    /// How many partitions it has.
    pub(crate) partitions: i32,
    /// On how many brokers each partition lies.
    pub(crate) replication: i32,
}

/// Looks a topic up; `None` when the brokers do not know it.
///
/// # Errors
/// When no broker answers, or a partition has no leader yet.
pub(crate) fn topic(client: &BaseConsumer, name: &str) -> Result<Option<Topic>, String> {
    let metadata = client.fetch_metadata(Some(name), QUESTION).map_err(|error| error.to_string())?;
    let found = metadata.topics().iter().find(|known| known.name() == name);
    let Some(known) = found.filter(|known| known.error().is_none() && !known.partitions().is_empty()) else {
        return Ok(None);
    };
    if let Some(partition) = known.partitions().iter().find(|partition| partition.leader() < 0) {
        return Err(format!("partition {} of {name:?} has no leader", partition.id()));
    }
    let replicas = known.partitions().iter().map(|partition| partition.replicas().len()).min();
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    Ok(Some(Topic { partitions: count(known.partitions().len()), replication: count(replicas.unwrap_or(0)) }))
}

/// Waits until the brokers know a topic and each of its partitions has a leader.
///
/// # Errors
/// When `timeout` passes first; the message tells brokers that are down from a topic that is missing.
pub(crate) fn await_topic(
    client: &BaseConsumer,
    brokers: &Brokers,
    name: &str,
    timeout: Duration,
) -> Result<Topic, Failure> {
    let deadline = Instant::now() + timeout;
    loop {
        let answer = topic(client, name);
        if let Ok(Some(topic)) = answer {
            return Ok(topic);
        }
        if Instant::now() >= deadline {
            return Err(Failure::unreachable(match answer {
                Err(error) => format!(
                    "Kafka at {brokers} gave no use of topic {name:?} within {timeout:?} ({error}); is it running?"
                ),
                Ok(_) => format!(
                    "Kafka at {brokers} has no topic {name:?}; create it with \
                     `cctv topic create --kafka {brokers} --partitions 32 {name}`"
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
