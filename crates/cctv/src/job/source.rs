//! From the input topic into the job: partitions assigned by number, from the committed offsets on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::exit::Failure;
use crate::kafka;
use crate::options::Brokers;

/// How long one question to the broker may take.
const QUESTION: Duration = Duration::from_secs(5);

/// A consumer with all partitions of one topic.
pub(crate) struct Source {
    consumer: BaseConsumer,
    topic: String,
    next: BTreeMap<i32, i64>,
    committed: BTreeMap<i32, i64>,
    /// Partitions that had nothing more to read when they were last asked.
    at_end: BTreeSet<i32>,
}

impl Source {
    /// Waits for `topic` and takes all its partitions: from the group's committed offsets, or, without them
    /// or with `from_start`, from the earliest record.
    pub(crate) fn open(
        brokers: &Brokers,
        name: &str,
        group: &str,
        topic: &str,
        from_start: bool,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let consumer: BaseConsumer = kafka::consumer(brokers, name, group)
            .set("enable.partition.eof", "true")
            .create()
            .map_err(|error| Failure::failed(format!("cannot make a Kafka consumer: {error}")))?;
        let partitions = kafka::await_topic(&consumer, brokers, topic, timeout)?.partitions;
        let mut source = Self {
            consumer,
            topic: topic.to_owned(),
            next: BTreeMap::new(),
            committed: BTreeMap::new(),
            at_end: BTreeSet::new(),
        };
        let failed = |error: KafkaError| {
            Failure::unreachable(format!("cannot take the partitions of {topic:?} at {brokers}: {error}"))
        };
        if !from_start {
            source.committed = source.read_committed(partitions).map_err(failed)?;
        }
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            let (earliest, _) =
                source.consumer.fetch_watermarks(topic, partition, QUESTION).map_err(failed)?;
            let offset = source.committed.get(&partition).copied().unwrap_or(0).max(earliest);
            source.next.insert(partition, offset);
            assignment.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(failed)?;
        }
        source.consumer.assign(&assignment).map_err(failed)?;
        Ok(source)
    }

    fn read_committed(&self, partitions: i32) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.topic, 0, partitions - 1);
        let answer = self.consumer.committed_offsets(asked, QUESTION * 3)?;
        let offsets = answer.elements().into_iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        });
        Ok(offsets.collect())
    }

    /// The partitions.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> + '_ {
        self.next.keys().copied()
    }

    /// The next record, if one comes within `patience`.
    ///
    /// # Errors
    /// When the client can do no more; passing troubles are retried inside it.
    pub(crate) fn poll(&mut self, patience: Duration) -> Result<Option<OwnedMessage>, Failure> {
        match self.consumer.poll(patience) {
            None => Ok(None),
            Some(Ok(message)) => {
                self.at_end.remove(&message.partition());
                self.next.insert(message.partition(), message.offset() + 1);
                Ok(Some(message.detach()))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.at_end.insert(partition);
                Ok(None)
            }
            Some(Err(error)) if is_passing(&error) => Ok(None),
            Some(Err(error)) => {
                Err(Failure::unreachable(format!("cannot read the topic {:?}: {error}", self.topic)))
            }
        }
    }

    /// One past the newest record of each partition, as the broker says now; 0 where nothing is left to read,
    /// be it that retention has taken it.
    pub(crate) fn ends(&self) -> Result<BTreeMap<i32, i64>, Failure> {
        let end = |partition| {
            let (start, end) =
                self.consumer.fetch_watermarks(&self.topic, partition, QUESTION).map_err(|error| {
                    Failure::unreachable(format!("cannot ask for the end of {:?}: {error}", self.topic))
                })?;
            Ok((partition, if start < end { end } else { 0 }))
        };
        self.partitions().map(end).collect()
    }

    /// Like [`Source::ends`], and looks anew at every partition whose end is still ahead: the markers that end a
    /// transaction take an offset each and are never handed out, so whether a partition has been read is known from
    /// the brokers' saying that nothing follows, and they must have been asked after the ends were known.
    ///
    /// # Errors
    /// When the brokers do not answer; then this may be called again.
    pub(crate) fn look_for_ends(&mut self) -> Result<BTreeMap<i32, i64>, Failure> {
        let ends = self.ends()?;
        self.at_end.clear();
        for (partition, next) in &self.next {
            if ends.get(partition).is_some_and(|end| end > next) {
                self.consumer.seek(&self.topic, *partition, Offset::Offset(*next), QUESTION).map_err(
                    |error| Failure::unreachable(format!("cannot read {:?}: {error}", self.topic)),
                )?;
            }
        }
        Ok(ends)
    }

    /// Whether every partition has been read up to the ends that were last looked for.
    pub(crate) fn has_reached(&self, ends: &BTreeMap<i32, i64>) -> bool {
        ends.iter().all(|(partition, end)| {
            self.at_end.contains(partition) || self.next.get(partition).is_some_and(|next| next >= end)
        })
    }

    /// The group's membership, which offsets within a transaction are sent with.
    pub(crate) fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }

    /// The committed offsets from which reading began.
    pub(crate) fn committed(&self) -> &BTreeMap<i32, i64> {
        &self.committed
    }

    /// Commits what has moved since the last commit.
    ///
    /// # Errors
    /// When the broker refuses.
    pub(crate) fn commit(
        &mut self,
        offsets: &BTreeMap<i32, i64>,
        mode: CommitMode,
    ) -> Result<(), KafkaError> {
        let mut moved = TopicPartitionList::new();
        for (partition, offset) in offsets {
            if self.committed.get(partition) != Some(offset) {
                moved.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
            }
        }
        if moved.count() == 0 {
            return Ok(());
        }
        self.consumer.commit(&moved, mode)?;
        self.committed.extend(offsets.iter().map(|(partition, offset)| (*partition, *offset)));
        Ok(())
    }
}

/// Errors that librdkafka reports and gets over by itself: connections lost, leaders unknown for a while.
fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode as Code;
    !matches!(
        error.rdkafka_error_code(),
        Some(Code::Fatal | Code::UnknownTopic | Code::UnknownPartition | Code::TopicAuthorizationFailed)
    )
}
