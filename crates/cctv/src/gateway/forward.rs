//! From the gateway to Kafka.

use std::sync::Arc;
use std::time::{Duration, Instant};

use frame::{Header, stable_hash};
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use super::flow::{End, Flow, Passage};
use crate::clock;
use crate::exit::Failure;
use crate::kafka;

/// How long a frame may wait for room in the producer's queue. Longer than the producer keeps a record that
/// it cannot deliver, so room must come before.
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

/// Connections to the broker. An idempotent producer keeps five requests in flight, each for one partition,
/// and on a link that loses packets every loss holds up all that its connection carries. One connection for
/// all cameras of a gateway then queues for seconds; a few, each with its own cameras, do not.
const CONNECTIONS: usize = 4;

/// Bytes, in KiB, that wait for the broker per connection; when they are used up, frames wait outside.
const QUEUE_KIB: &str = "65536";

/// The producer side of the gateway; cheap to share.
pub(super) struct Forward {
    producers: Vec<ThreadedProducer<Reports>>,
    topic: String,
    flow: Arc<Flow>,
}

impl Forward {
    /// Producers with these options.
    pub(super) fn new(config: &rdkafka::ClientConfig, topic: &str, flow: Arc<Flow>) -> Result<Self, Failure> {
        let mut config = config.clone();
        config.set("queue.buffering.max.kbytes", QUEUE_KIB);
        let producer = |_| {
            ThreadedProducer::from_config_and_context(&config, Reports { flow: Arc::clone(&flow) })
                .map_err(|error| Failure::failed(format!("cannot make a Kafka producer: {error}")))
        };
        let producers = (0..CONNECTIONS).map(producer).collect::<Result<_, _>>()?;
        Ok(Self { producers, topic: topic.to_owned(), flow })
    }

    /// The producer of a camera: always the same one, so that its frames stay in order.
    fn producer(&self, camera: &str) -> &ThreadedProducer<Reports> {
        &self.producers[(stable_hash(camera) % self.producers.len() as u64) as usize]
    }

    /// Produces one frame, keyed by its camera. While the producer's queue is full this waits, and with it
    /// the worker and, through the unacknowledged publications, the broker.
    pub(super) fn send(&self, passage: Passage, header: &Header, payload: &[u8]) {
        let deadline = Instant::now() + ROOM_PATIENCE;
        let key = passage.camera.clone();
        let producer = self.producer(key.as_str());
        let mut record =
            BaseRecord::with_opaque_to(&self.topic, Box::new(Dispatch { passage, bytes: payload.len() }))
                .key(key.as_str())
                .payload(payload)
                .timestamp(i64::try_from(header.captured_unix_ns / 1_000_000).unwrap_or(i64::MAX))
                .headers(kafka::headers(header));
        loop {
            match producer.send(record) {
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
        let deadline = Instant::now() + patience;
        for producer in &self.producers {
            // What is not delivered by then stays open in the account, which says so.
            let _ = producer.flush(deadline.saturating_duration_since(Instant::now()));
        }
    }
}
