//! From the job to the output topic, each record by itself.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

use super::record::Record;
use crate::clock;
use crate::exit::Failure;

/// How long a window may wait for room in the producer's queue.
const ROOM_PATIENCE: Duration = Duration::from_secs(150);

/// What became of an output record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The number under which it was sent.
    pub(super) number: u64,
    /// Whether Kafka has it.
    pub(super) delivered: bool,
}

/// The way back of a receipt. The number of outstanding ones is bounded by the producer's queue.
pub(super) type Receipts = Sender<Receipt>;

struct Outstanding {
    receipt_to: Receipts,
    number: u64,
}

struct Reports;

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Outstanding>;

    fn delivery(&self, result: &DeliveryResult<'_>, outstanding: Box<Outstanding>) {
        let receipt = Receipt { number: outstanding.number, delivered: result.is_ok() };
        // A worker that is gone has written its account already.
        let _ = outstanding.receipt_to.send(receipt);
    }
}

/// The producer of windows, shared by all workers.
pub(super) struct Output {
    producer: ThreadedProducer<Reports>,
    topic: String,
    /// What the first failed record said.
    error: Mutex<Option<String>>,
}

impl Output {
    /// A producer with these options.
    pub(super) fn new(config: &rdkafka::ClientConfig, topic: &str) -> Result<Self, Failure> {
        let producer = ThreadedProducer::from_config_and_context(config, Reports)
            .map_err(|error| Failure::failed(format!("cannot make a Kafka producer: {error}")))?;
        Ok(Self { producer, topic: topic.to_owned(), error: Mutex::new(None) })
    }

    /// Sends one record; its receipt will carry `number`.
    pub(super) fn send(&self, record: &Record, number: u64, receipts: &Receipts) {
        let deadline = Instant::now() + ROOM_PATIENCE;
        let outstanding = Box::new(Outstanding { receipt_to: receipts.clone(), number });
        let mut record = record.to(&self.topic, outstanding);
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    clock::rest(Duration::from_millis(5));
                }
                Err((error, _)) => return self.refuse(error.to_string(), number, receipts),
            }
        }
    }

    fn refuse(&self, error: String, number: u64, receipts: &Receipts) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        let _ = receipts.send(Receipt { number, delivered: false });
    }

    /// Waits until every record has been delivered or given up.
    pub(super) fn flush(&self, patience: Duration) {
        // What is left shows as windows without receipt.
        let _ = self.producer.flush(patience);
    }

    /// Why the first record that could not be sent was refused.
    pub(super) fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
