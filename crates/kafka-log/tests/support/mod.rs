//! A server in a temporary folder, and clients for it.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use kafka_log::{Config, EventSink, Server};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Fixture {
    pub(crate) server: Option<Server>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) events: Arc<Mutex<Vec<String>>>,
    configure: fn(&mut Config),
}

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(configure: fn(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut fixture = Self { server: None, dir, events: Arc::default(), configure };
        fixture.restart();
        fixture
    }

    pub(crate) fn restart(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown();
        }
        let mut config = Config::new(([127, 0, 0, 1], 0).into(), self.dir.path());
        // The tests' records bear timestamps of long ago.
        config.retention = None;
        config.group_initial_delay = Duration::from_millis(100);
        let events = Arc::clone(&self.events);
        config.events = EventSink::new(move |event| events.lock().unwrap().push(event.to_string()));
        (self.configure)(&mut config);
        self.server = Some(Server::start(config).unwrap());
    }

    pub(crate) fn address(&self) -> String {
        self.server.as_ref().unwrap().address().to_string()
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address()).set("broker.address.family", "v4");
        config
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub(crate) fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    pub(crate) fn create_topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let made = block_on(self.admin().create_topics([&topic], &AdminOptions::new())).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    pub(crate) fn consumer(&self, group: &str) -> BaseConsumer {
        self.client()
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "200")
            .create()
            .unwrap()
    }
}

/// Partition and offset of a delivered message, or why it was not delivered.
pub(crate) type Report = Result<(i32, i64), String>;

/// Collects delivery reports.
#[derive(Default, Clone)]
pub(crate) struct Reports(pub(crate) Arc<Mutex<Vec<Report>>>);

impl rdkafka::ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let report = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().unwrap().push(report);
    }
}

pub(crate) fn producer(config: &mut ClientConfig) -> (BaseProducer<Reports>, Reports) {
    let reports = Reports::default();
    (config.create_with_context(reports.clone()).unwrap(), reports)
}

/// Waits until all was delivered or refused.
pub(crate) fn flush(producer: &BaseProducer<Reports>) {
    producer.flush(PATIENCE).unwrap();
}

/// Polls until `count` messages have come.
pub(crate) fn take(consumer: &BaseConsumer, count: usize) -> Vec<OwnedMessage> {
    let deadline = Instant::now() + PATIENCE;
    let mut messages = Vec::new();
    while messages.len() < count {
        assert!(Instant::now() < deadline, "only {} of {count} messages came", messages.len());
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => messages.push(message.detach()),
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    messages
}

/// The partitions a consumer has.
pub(crate) fn assigned(consumer: &BaseConsumer) -> BTreeSet<i32> {
    consumer.assignment().unwrap().elements().iter().map(|element| element.partition()).collect()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        assert!(Instant::now() < deadline, "the future did not end");
        thread::park_timeout(Duration::from_millis(100));
    }
}
