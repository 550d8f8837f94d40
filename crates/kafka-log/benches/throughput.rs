//! Produces and consumes 20 KB messages through librdkafka and prints rates and the server's CPU time per message.
//!
//! `cargo bench -p kafka-log -- [MESSAGES [BYTES [RATE]]]`; without RATE as fast as possible. The server runs in this
//! process, its CPU time is that of its threads (`/proc/self/task/*/stat`), so it does not contain the clients'.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its result and may fail loudly")]

use std::fs;
use std::time::{Duration, Instant};

use kafka_log::{Config, Server};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const PARTITIONS: i32 = 32;

/// CPU time of the server's threads, in milliseconds; the kernel counts in hundredths of a second.
fn server_cpu_ms() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of_server = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.unwrap().path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.split_once(") ")?;
        let times: Vec<&str> = rest.split(' ').collect();
        let ticks = times.get(11)?.parse::<u64>().ok()? + times.get(12)?.parse::<u64>().ok()?;
        name.starts_with("kafka-").then_some(ticks * 10)
    });
    of_server.sum()
}

fn report(what: &str, count: u32, bytes: usize, took: Duration, cpu_ms: u64) {
    let rate = f64::from(count) / took.as_secs_f64();
    let micros = cpu_ms as f64 * 1000.0 / f64::from(count);
    let share = cpu_ms as f64 / took.as_millis() as f64 * 100.0;
    println!(
        "{what}: {rate:.0} msg/s, {:.1} MB/s, server {micros:.1} us CPU/msg, {share:.1} % of a core",
        rate * bytes as f64 / 1e6
    );
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
    client.set("bootstrap.servers", server.address().to_string()).set("fetch.message.max.bytes", "2000000");
    // The settings of the surveillance scenario.
    client.set("enable.idempotence", "true").set("linger.ms", "50").set("batch.size", "200000");
    let producer: BaseProducer = client.create().unwrap();
    let consumer: BaseConsumer =
        client.clone().set("group.id", "bench").set("auto.offset.reset", "earliest").create().unwrap();
    producer.client().fetch_metadata(Some("bench"), Duration::from_secs(10)).unwrap();

    let payload: Vec<u8> = (0..bytes).map(|at| ((at * 7919) >> 3) as u8).collect();
    let (start, cpu) = (Instant::now(), server_cpu_ms());
    for n in 0..count {
        if let Some(rate) = rate {
            let due = start + Duration::from_secs_f64(f64::from(n) / rate);
            while Instant::now() < due {
                producer.poll(due.saturating_duration_since(Instant::now()));
            }
        }
        let partition = (n % PARTITIONS.unsigned_abs()).cast_signed();
        let record = || BaseRecord::<(), _>::to("bench").payload(&payload).partition(partition);
        while producer.send(record()).is_err() {
            producer.poll(Duration::from_millis(10));
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    report("produce", count, bytes, start.elapsed(), server_cpu_ms() - cpu);

    consumer.subscribe(&["bench"]).unwrap();
    while consumer.poll(Duration::from_millis(100)).is_none() {}
    let (start, cpu) = (Instant::now(), server_cpu_ms());
    let mut got = 1;
    while got < count {
        if consumer.poll(Duration::from_millis(100)).is_some_and(|message| message.is_ok()) {
            got += 1;
        }
    }
    report("consume", count, bytes, start.elapsed(), server_cpu_ms() - cpu);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("whole process, clients included: {peak}");
    server.shutdown();
}
