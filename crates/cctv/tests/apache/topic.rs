//! Topics of Apache Kafka as a test sees them: make them, write them, read all of them.

use std::time::Duration;

use frame::{CameraEnd, Header, Window};
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::{Offset, TopicPartitionList};

use super::kafka::Kafka;
use super::{PATIENCE, until};

/// Makes topics with so many partitions, and copies as the brokers' default says.
pub(crate) fn create(kafka: &Kafka, partitions: i32, names: &[&str]) {
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    let topics: Vec<_> =
        names.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(admin.create_topics(&topics, &options)).unwrap();
    answers.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
    let client: BaseConsumer = kafka.client().create().unwrap();
    for name in names {
        until(&format!("the topic {name} has its leaders"), || {
            let metadata = client.fetch_metadata(Some(name), Duration::from_secs(5));
            metadata.is_ok_and(|metadata| {
                let partitions_led = metadata.topics()[0].partitions().iter().filter(|p| p.leader() >= 0);
                partitions_led.count() == partitions as usize
            })
        });
    }
}

/// A record of an output topic.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// A window of a camera.
    Window(Window),
    /// A camera's end record: header and account.
    End(Header, CameraEnd),
}

/// An output record and what Kafka knows about it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) key: String,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) output: Output,
}

/// Reads an output topic from its beginning, only what is committed.
pub(crate) struct Reader {
    consumer: BaseConsumer,
    topic: String,
    pub(crate) records: Vec<Written>,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub(crate) fn new(kafka: &Kafka, topic: &str, partitions: i32) -> Self {
        let mut config = kafka.client();
        config
            .set("group.id", "test-reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "50");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut all = TopicPartitionList::new();
        for partition in 0..partitions {
            all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&all).unwrap();
        Self { consumer, topic: topic.to_owned(), records: Vec::new() }
    }

    /// Reads for as long as something comes without a pause of half a second.
    pub(crate) fn read(&mut self) {
        while let Some(answer) = self.consumer.poll(Duration::from_millis(500)) {
            // Brokers that are away for a while are what some tests are about.
            let Ok(message) = answer else { continue };
            let key = String::from_utf8(message.key().unwrap_or_default().to_vec()).unwrap();
            let payload = message.payload().unwrap_or_default();
            let output = match message.headers() {
                Some(headers) if headers.count() > 0 => {
                    let pairs = headers.iter().map(|pair| (pair.key, pair.value.unwrap_or_default()));
                    let header = Header::from_pairs(pairs).unwrap();
                    assert!(header.last, "{header:?}");
                    Output::End(header, CameraEnd::from_json(payload).unwrap())
                }
                _ => Output::Window(Window::from_json(payload).unwrap()),
            };
            self.records.push(Written { key, timestamp_ms: message.timestamp().to_millis(), output });
        }
    }

    /// Reads until a condition holds over all that was read.
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut(&[Written]) -> bool) {
        let what = format!("{what} in {}", self.topic);
        until(&what, || {
            self.read();
            condition(&self.records)
        });
    }

    /// The windows read so far.
    pub(crate) fn windows(&self) -> impl Iterator<Item = &Window> {
        self.records.iter().filter_map(|record| match &record.output {
            Output::Window(window) => Some(window),
            Output::End(..) => None,
        })
    }

    /// The end records read so far.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (&Header, &CameraEnd)> {
        self.records.iter().filter_map(|record| match &record.output {
            Output::End(header, end) => Some((header, end)),
            Output::Window(_) => None,
        })
    }
}
