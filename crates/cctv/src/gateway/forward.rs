//! From the gateway to Kafka.

use std::sync::Arc;
use std::time::{Duration, Instant};

use frame::Header;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::flow::{End, Flow, Passage};
use crate::clock;
use crate::exit::Failure;
use crate::kafka;

/// How long a frame may wait for room in the producer's queue. Longer than the producer keeps a record that it
/// cannot deliver, so room must come before.
const ROOM_PATIENCE: Duration = Duration::from_secs(150);

/// A frame on its way to Kafka.
#[derive(Debug)]
pub(super) struct Dispatch {
    passage: Passage,
    bytes: usize,
}

/// Hears from librdkafka what became of each record.
pub(super) struct Reports {
    flow: Arc<Flow>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Dispatch>;

    fn delivery(&self, result: &DeliveryResult<'_>, dispatch: Box<Dispatch>) {
        let end = if result.is_ok() { End::Delivered(dispatch.bytes) } else { End::Dropped("kafka") };
        self.flow.end(&dispatch.passage, end);
    }
}

/// The producer side of the gateway; cheap to share.
pub(super) struct Forward {
    producer: ThreadedProducer<Reports>,
    topic: String,
    flow: Arc<Flow>,
}

impl Forward {
    /// A producer with these options.
    pub(super) fn new(config: &rdkafka::ClientConfig, topic: &str, flow: Arc<Flow>) -> Result<Self, Failure> {
        let producer = ThreadedProducer::from_config_and_context(config, Reports { flow: Arc::clone(&flow) })
            .map_err(|error| Failure::failed(format!("cannot make a Kafka producer: {error}")))?;
        Ok(Self { producer, topic: topic.to_owned(), flow })
    }

    /// Produces one frame, keyed by its camera. While the producer's queue is full this waits, and with it
    /// the worker and, through the unacknowledged publications, the broker.
    pub(super) fn send(&self, passage: Passage, header: &Header, payload: &[u8]) {
        let deadline = Instant::now() + ROOM_PATIENCE;
        let key = passage.camera.clone();
        let mut record =
            BaseRecord::with_opaque_to(&self.topic, Box::new(Dispatch { passage, bytes: payload.len() }))
                .key(key.as_str())
                .payload(payload)
                .timestamp(i64::try_from(header.captured_unix_ns / 1_000_000).unwrap_or(i64::MAX))
                .headers(kafka::headers(header));
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    clock::rest(Duration::from_millis(5));
                }
                Err((_, back)) => {
                    self.flow.end(&back.delivery_opaque.passage, End::Dropped("kafka"));
                    return;
                }
            }
        }
    }

    /// Waits until everything has been delivered or given up.
    pub(super) fn flush(&self, patience: Duration) {
        // What is not delivered by then stays open in the account, which says so.
        let _ = self.producer.flush(patience);
    }
}
