//! Produces and consumes 20 KB messages through librdkafka and prints rates and the server's CPU time per message.
//!
//! `cargo bench -p kafka-log -- [MESSAGES [BYTES [RATE]]]`. Without RATE first everything is produced, then everything
//! consumed, as fast as possible; with RATE (messages per second) a consumer follows the producer. The server runs in
//! this process; its CPU time is that of its threads (`/proc/self/task/*/schedstat`), without the clients'.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its result and may fail loudly")]

use std::fs;
use std::time::{Duration, Instant};

use kafka_log::{Config, Server};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const PARTITIONS: i32 = 32;

/// CPU time of the server's threads so far.
fn server_cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of_server = tasks.filter_map(|task| {
        let task = task.unwrap().path();
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let spent = fs::read_to_string(task.join("schedstat")).ok()?;
        let nanos = spent.split(' ').next()?.parse().ok()?;
        name.starts_with("kafka-").then(|| Duration::from_nanos(nanos))
    });
    of_server.sum()
}

/// What is measured: how many messages, since when, and the CPU time before.
struct Measure {
    start: Instant,
    cpu: Duration,
}

impl Measure {
    fn begin() -> Self {
        Self { start: Instant::now(), cpu: server_cpu() }
    }

    fn report(&self, what: &str, count: u32, bytes: usize) {
        let took = self.start.elapsed().as_secs_f64();
        let cpu = (server_cpu() - self.cpu).as_secs_f64();
        let rate = f64::from(count) / took;
        println!(
            "{what}: {rate:.0} msg/s, {:.1} MB/s, server {:.1} us CPU/msg, {:.1} % of a core",
            rate * bytes as f64 / 1e6,
            cpu * 1e6 / f64::from(count),
            cpu / took * 100.0
        );
    }
}

/// Sends everything, at `rate` messages per second if there is one.
fn produce(producer: &BaseProducer, count: u32, payload: &[u8], rate: Option<f64>) {
    let start = Instant::now();
    for n in 0..count {
        if let Some(rate) = rate {
            let due = start + Duration::from_secs_f64(f64::from(n) / rate);
            while Instant::now() < due {
                producer.poll(due.saturating_duration_since(Instant::now()));
            }
        }
        let partition = (n % PARTITIONS.unsigned_abs()).cast_signed();
        let record = || BaseRecord::<(), _>::to("bench").payload(payload).partition(partition);
        while producer.send(record()).is_err() {
            producer.poll(Duration::from_millis(10));
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// Receives `count` messages.
fn consume(consumer: &BaseConsumer, count: u32) {
    let mut got = 0;
    while got < count {
        if consumer.poll(Duration::from_millis(100)).is_some_and(|message| message.is_ok()) {
            got += 1;
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let count: u32 = arguments.next().map_or(40_000, |text| text.parse().unwrap());
    let bytes: usize = arguments.next().map_or(20_000, |text| text.parse().unwrap());
    let rate: Option<f64> = arguments.next().map(|text| text.parse().unwrap());

    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(([127, 0, 0, 1], 0).into(), dir.path());
    config.auto_create_topics = true;
    config.partitions_default = PARTITIONS;
    let server = Server::start(config).unwrap();
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", server.address().to_string()).set("auto.offset.reset", "earliest");
    // The settings of the surveillance scenario.
    client.set("enable.idempotence", "true").set("linger.ms", "50").set("batch.size", "200000");
    let producer: BaseProducer = client.create().unwrap();
    let consumer: BaseConsumer = client.set("group.id", "bench").create().unwrap();
    producer.client().fetch_metadata(Some("bench"), Duration::from_secs(10)).unwrap();
    // The first message tells that the group has its partitions.
    consumer.subscribe(&["bench"]).unwrap();
    producer.send(BaseRecord::<(), _>::to("bench").payload("ready")).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
    consume(&consumer, 1);

    let payload: Vec<u8> = (0..bytes).map(|at| ((at * 7919) >> 3) as u8).collect();
    let measure = Measure::begin();
    if rate.is_some() {
        std::thread::scope(|scope| {
            scope.spawn(|| produce(&producer, count, &payload, rate));
            consume(&consumer, count);
        });
        measure.report("produce and consume", count, bytes);
    } else {
        produce(&producer, count, &payload, None);
        measure.report("produce", count, bytes);
        let measure = Measure::begin();
        consume(&consumer, count);
        measure.report("consume", count, bytes);
    }
    drop((producer, consumer));
    server.shutdown();
}
