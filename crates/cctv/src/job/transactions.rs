//! Results, state and offsets in one Kafka transaction.
//!
//! A transaction holds a whole batch and nothing else, and is made when the batch is complete. So whatever makes a
//! transaction fail, the same batch goes into the next one (KIP-98, and KIP-447 for the offsets).

use std::time::{Duration, Instant};

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::record::Record;
use super::spec::JobSpec;
use super::state::State;
use crate::clock;
use crate::exit::Failure;
use crate::kafka;
use crate::notice::Notice;
use crate::options::Brokers;

/// How long the brokers keep a transaction of a job that they hear nothing of, and how long the job tries to finish
/// one. Above this the brokers would have aborted it; 15 minutes is the most that Apache Kafka's default allows.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long the first contact may take: a predecessor's transaction is ended first.
const FENCE_PATIENCE: Duration = Duration::from_secs(120);

/// How long one call may take before it is repeated.
const CALL: Duration = Duration::from_secs(5);

/// What becomes visible together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Results.
    pub(super) records: Vec<Record>,
    /// All that has changed of the state.
    pub(super) state: State,
}

impl Batch {
    /// Adds what one worker hands over.
    pub(super) fn add(&mut self, records: Vec<Record>, state: State) {
        self.records.extend(records);
        self.state.partitions.extend(state.partitions);
        self.state.cameras.extend(state.cameras);
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.state.partitions.is_empty() && self.state.cameras.is_empty()
    }

    /// Bytes that its results take in memory, roughly.
    pub(super) fn memory(&self) -> usize {
        self.records.iter().map(Record::memory).sum()
    }

    fn offsets(&self, topic: &str) -> Result<TopicPartitionList, KafkaError> {
        let mut offsets = TopicPartitionList::new();
        for (partition, state) in &self.state.partitions {
            offsets.add_partition_offset(topic, *partition, Offset::Offset(state.next_offset))?;
        }
        Ok(offsets)
    }
}

/// What a call of the transactional producer may fail with.
enum Trouble {
    /// The transaction must be aborted and made again.
    Abort(KafkaError),
    /// The producer can do no more.
    Fatal(KafkaError),
    /// It has been tried for too long.
    Late(KafkaError),
}

/// The one transactional producer of a job.
pub(super) struct Transactions {
    producer: ThreadedProducer<DefaultProducerContext>,
    brokers: Brokers,
    group: String,
    input_topic: String,
    output_topic: String,
    state_topic: String,
    notice: Notice,
}

impl Transactions {
    /// Takes the group over: from here on a predecessor that still lives can finish no transaction, and what it left
    /// unfinished is undone. The group is what names the producer, so that it has one job at a time, whatever the
    /// job's name.
    ///
    /// # Errors
    /// When the brokers cannot be reached or have no transactions.
    pub(super) fn fence(
        brokers: &Brokers,
        name: &str,
        spec: &JobSpec,
        state_topic: &str,
    ) -> Result<Self, Failure> {
        let producer = kafka::producer(brokers, name, 200_000, Duration::from_millis(5))
            .set("transactional.id", format!("{}-job", spec.group_id))
            .set("transaction.timeout.ms", PATIENCE.as_millis().to_string())
            .create()
            .map_err(|error| Failure::failed(format!("cannot make a Kafka producer: {error}")))?;
        let transactions = Self {
            producer,
            brokers: brokers.clone(),
            group: spec.group_id.clone(),
            input_topic: spec.input_topic.clone(),
            output_topic: spec.output_topic.clone(),
            state_topic: state_topic.to_owned(),
            notice: Notice::new(name),
        };
        let deadline = Instant::now() + FENCE_PATIENCE;
        let first = || transactions.producer.init_transactions(CALL);
        transactions.persist("the coordinator of transactions", deadline, first).map_err(|trouble| {
            if let Trouble::Abort(error) | Trouble::Fatal(error) = &trouble
                && error.rdkafka_error_code() == Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed)
            {
                return Failure::failed(format!(
                    "the broker at {brokers} has no transactions, or none for this client, and `exactly-once` needs \
                     them; the embedded log has none: take Apache Kafka, or `--guarantee at-least-once`"
                ));
            }
            transactions.explain(trouble)
        })?;
        Ok(transactions)
    }

    /// Makes a batch visible, all of it at once. Returns when that has happened for certain.
    ///
    /// # Errors
    /// When another job has taken over, or the brokers stay away for too long. Then the batch may or may not be
    /// visible, and the next job of the group finds out.
    pub(super) fn commit(&self, batch: &Batch, group: &ConsumerGroupMetadata) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.attempt(batch, group, deadline) {
                Ok(()) => return Ok(()),
                Err(Trouble::Abort(error)) => {
                    self.notice.say(&format!("a transaction is made again: {error}"));
                    let abort = || self.producer.abort_transaction(CALL);
                    self.persist("the end of a transaction that failed", deadline, abort)
                        .map_err(|trouble| self.explain(trouble))?;
                }
                Err(trouble) => return Err(self.explain(trouble)),
            }
        }
    }

    fn attempt(
        &self,
        batch: &Batch,
        group: &ConsumerGroupMetadata,
        deadline: Instant,
    ) -> Result<(), Trouble> {
        self.producer.begin_transaction().map_err(sort)?;
        for record in &batch.records {
            self.send(record.to(&self.output_topic, ()), deadline)?;
        }
        let state = batch.state.records().map_err(|_| Trouble::Fatal(KafkaError::Canceled))?;
        for (key, value) in &state {
            let record =
                BaseRecord::to(&self.state_topic).key(key.as_str()).payload(value.as_slice()).partition(0);
            self.send(record, deadline)?;
        }
        if !batch.state.partitions.is_empty() {
            let offsets = batch.offsets(&self.input_topic).map_err(Trouble::Fatal)?;
            let send = || self.producer.send_offsets_to_transaction(&offsets, group, CALL);
            self.persist("the coordinator of the group", deadline, send)?;
        }
        self.persist("the commit of a transaction", deadline, || self.producer.commit_transaction(CALL))
    }

    fn send(&self, mut record: BaseRecord<'_, str, [u8]>, deadline: Instant) -> Result<(), Trouble> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error @ KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if Instant::now() >= deadline {
                        return Err(Trouble::Late(error));
                    }
                    record = back;
                    clock::rest(Duration::from_millis(5));
                }
                // The transaction has failed meanwhile; aborting says whether the producer has, too.
                Err((error, _)) => return Err(Trouble::Abort(error)),
            }
        }
    }

    /// Repeats a call for as long as it may be repeated.
    fn persist(
        &self,
        what: &str,
        deadline: Instant,
        call: impl Fn() -> Result<(), KafkaError>,
    ) -> Result<(), Trouble> {
        let since = Instant::now();
        loop {
            let Err(error) = call() else { return Ok(()) };
            if !may_be_repeated(&error) {
                return Err(sort(error));
            }
            if Instant::now() >= deadline {
                return Err(Trouble::Late(error));
            }
            let waited = since.elapsed().as_secs();
            self.notice.say(&format!("waiting for {what} at {} for {waited} s: {error}", self.brokers));
            // A call that fails at once must not spin.
            clock::rest(Duration::from_millis(100));
        }
    }

    fn explain(&self, trouble: Trouble) -> Failure {
        let (error, late) = match trouble {
            Trouble::Abort(error) | Trouble::Fatal(error) => (error, false),
            Trouble::Late(error) => (error, true),
        };
        let (brokers, group) = (&self.brokers, &self.group);
        let fatal = self.producer.client().fatal_error();
        let code = fatal.as_ref().map(|(code, _)| *code).or(error.rdkafka_error_code());
        match code {
            Some(
                RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::ProducerFenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::InvalidProducerIdMapping,
            ) => Failure::failed(format!(
                "fenced: another job of group {group:?} has started at {brokers} and goes on where this one was; a \
                 second job needs a `group_id` of its own ({error})"
            )),
            _ if late => Failure::unreachable(format!(
                "gave up after {PATIENCE:?} without an answer of Kafka at {brokers} to a transaction ({error}); what \
                 was not committed is done again by the next job of group {group:?}"
            )),
            _ => Failure::failed(format!("a transaction at {brokers} failed for good: {error}")),
        }
    }
}

/// Whether the same call may succeed later. The client library sends what is left before it commits or aborts, and a
/// broker that is away makes that take longer than one call may.
fn may_be_repeated(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(inner) => {
            inner.is_retriable() && !inner.is_fatal() && !inner.txn_requires_abort()
        }
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

fn sort(error: KafkaError) -> Trouble {
    match &error {
        KafkaError::Transaction(inner) if inner.is_fatal() => Trouble::Fatal(error),
        KafkaError::Transaction(inner) if inner.txn_requires_abort() => Trouble::Abort(error),
        _ => Trouble::Fatal(error),
    }
}
