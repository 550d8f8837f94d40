//! How far a job is, from the offsets it has committed and the transactions it has open.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::exit::Failure;
use crate::kafka;
use crate::options::Brokers;

/// How long one question to the brokers may take.
const QUESTION: Duration = Duration::from_secs(5);

/// Asks how far a job is.
pub(super) struct Progress {
    /// Sees what is committed.
    committed: BaseConsumer,
    /// Sees what has been written.
    written: BaseConsumer,
    input: (String, i32),
    output: (String, i32),
}

impl Progress {
    /// Waits for the input and the output topic of the job of a group.
    pub(super) fn open(
        brokers: &Brokers,
        name: &str,
        group: &str,
        [input, output]: [&str; 2],
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let make = |isolation: &str| {
            kafka::consumer(brokers, name, group)
                .set("isolation.level", isolation)
                .create()
                .map_err(|error| Failure::failed(format!("cannot make a Kafka client: {error}")))
        };
        let committed: BaseConsumer = make("read_committed")?;
        let written = make("read_uncommitted")?;
        let topic = |name: &str| {
            let topic = kafka::await_topic(&committed, brokers, name, timeout)?;
            Ok::<_, Failure>((name.to_owned(), topic.partitions))
        };
        let (input, output) = (topic(input)?, topic(output)?);
        Ok(Self { committed, written, input, output })
    }

    /// What the job has still to do, as part of a sentence; `None` when it has done all there is.
    pub(super) fn shortfall(&self) -> Option<String> {
        match self.unread() {
            Err(error) => Some(format!("the brokers do not say how far the job is ({error})")),
            Ok(0) => match self.open_transactions() {
                Err(error) => Some(format!("the brokers do not say whether a transaction is open ({error})")),
                Ok(0) => None,
                Ok(partitions) => {
                    Some(format!("a transaction is open on {partitions} partitions of {:?}", self.output.0))
                }
            },
            Ok(records) => Some(format!("the job has not committed {records} records of {:?}", self.input.0)),
        }
    }

    /// Records of the input that the group has not committed.
    fn unread(&self) -> Result<i64, KafkaError> {
        let (topic, partitions) = &self.input;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, partitions - 1);
        let mut unread = 0;
        for element in self.committed.committed_offsets(asked, QUESTION)?.elements() {
            let (start, end) = self.committed.fetch_watermarks(topic, element.partition(), QUESTION)?;
            let next = match element.offset() {
                Offset::Offset(offset) => offset.max(start),
                _ => start,
            };
            unread += (end - next).max(0);
        }
        Ok(unread)
    }

    /// Partitions of the output on which something has been written and neither committed nor aborted.
    fn open_transactions(&self) -> Result<usize, KafkaError> {
        let (topic, partitions) = &self.output;
        let mut open = 0;
        for partition in 0..*partitions {
            let (_, written) = self.written.fetch_watermarks(topic, partition, QUESTION)?;
            let (_, stable) = self.committed.fetch_watermarks(topic, partition, QUESTION)?;
            open += usize::from(stable < written);
        }
        Ok(open)
    }
}
