//! The topic in which a job keeps its state, and reading it back.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::source::Source;
use super::state::{Identity, State};
use crate::exit::Failure;
use crate::kafka::{self, Topic};
use crate::options::Brokers;
use crate::topic;

/// How long the brokers may say nothing while the state is read.
const SILENCE: Duration = Duration::from_secs(60);

/// Options of the topic: only the newest record of a key is kept, and the cleaner comes round before much has gathered.
const OPTIONS: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.bytes", "16777216"), ("min.cleanable.dirty.ratio", "0.1")];

/// Name of the topic of a group.
pub(super) fn topic_of(group: &str) -> String {
    format!("{group}-state")
}

/// Makes the topic where it is missing, replicated as the input is. It has one partition: it is read as a whole, and
/// every partition that a transaction writes to costs a marker.
pub(super) fn ensure(brokers: &Brokers, name: &str, input: Topic, timeout: Duration) -> Result<(), Failure> {
    let wanted = Topic { partitions: 1, replication: input.replication };
    let mut options = OPTIONS.to_vec();
    if wanted.replication >= 3 {
        options.push(("min.insync.replicas", "2"));
    }
    topic::ensure(brokers, &[name.to_owned()], wanted, &options, timeout)
}

/// Reads the state that the last committed transaction left. Nobody may be writing any more.
///
/// # Errors
/// When the brokers fall silent, or a record is none of a job's state.
pub(super) fn read(brokers: &Brokers, client: &str, name: &str) -> Result<State, Failure> {
    let failed = |error: KafkaError| {
        Failure::unreachable(format!("cannot read the job's state from {name:?} at {brokers}: {error}"))
    };
    let consumer: BaseConsumer = kafka::consumer(brokers, client, client)
        .set("enable.partition.eof", "true")
        .create()
        .map_err(failed)?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(name, 0, Offset::Beginning).map_err(failed)?;
    consumer.assign(&assignment).map_err(failed)?;
    let mut state = State::default();
    let mut heard = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                state.take(key, value).map_err(|reason| {
                    Failure::failed(format!(
                        "topic {name:?} at {brokers}, offset {}: {reason}; delete the topic to start without state, or \
                         give the job another `group_id`",
                        message.offset()
                    ))
                })?;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(state),
            Some(Err(error)) if heard.elapsed() >= SILENCE => return Err(failed(error)),
            None if heard.elapsed() >= SILENCE => {
                return Err(Failure::unreachable(format!(
                    "Kafka at {brokers} has said nothing for {SILENCE:?} while the job's state was read from {name:?}"
                )));
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// Checks that a job may go on from a state: it is the same job, and nobody has moved the group's offsets meanwhile.
pub(super) fn check(state: &State, now: &Identity, source: &Source, group: &str) -> Result<(), Failure> {
    let refused = |why: String| {
        let topic = topic_of(group);
        Failure::failed(format!(
            "the job cannot go on from the state in {topic:?}: {why}; give it another `group_id`, or delete the topic \
             and the group's offsets"
        ))
    };
    let Some(identity) = &state.identity else { return Ok(()) };
    if let Some(difference) = identity.difference(now) {
        return Err(refused(difference));
    }
    for (partition, known) in &state.partitions {
        let committed = source.committed().get(partition).copied();
        if committed != Some(known.next_offset) {
            let committed = committed.map_or("nowhere".to_owned(), |offset| format!("at {offset}"));
            return Err(refused(format!(
                "it was written at offset {} of partition {partition}, and group {group:?} is {committed}",
                known.next_offset
            )));
        }
    }
    Ok(())
}
