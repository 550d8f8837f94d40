//! Brokers of Apache Kafka that are killed under the application: nothing is lost, nothing comes twice.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod apache;
mod native;
mod support;

use apache::kafka::Kafka;
use apache::topic::{Output, Reader};
use frame::Header;
use meter::Account;
use native::{CAMERAS, Feeder, PARTITIONS};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use support::{Brokers, Running, cctv};

const FPS: u64 = 10;
const SECONDS: u64 = 30;

#[test]
#[ignore = "starts Apache Kafka: scripts/test runs it"]
fn the_ledger_balances_when_the_broker_is_killed_and_comes_back() {
    let Some(mut kafka) = Kafka::start(1) else { return };
    let Some(brokers) = Brokers::with_kafka(&kafka.urls()) else { return };
    let topics = ["in-uni-data", "out-uni-data"];
    cctv(&[&["topic", "create", "--kafka", &brokers.kafka, "--partitions", "4"], &topics[..]].concat()).ok();
    let bench = support::Bench::new();
    // Longer than the broker is away: else partitions are idle when it comes back, and who comes back last is late.
    let spec = std::fs::read_to_string(bench.job()).unwrap();
    assert!(spec.contains("\"idle_ms\":3000"), "{spec}");
    std::fs::write(bench.job(), spec.replace("\"idle_ms\":3000", "\"idle_ms\":120000")).unwrap();
    let mut job = bench.start_job(&brokers, &["--guarantee", "exactly-once", "--connect-timeout", "60s"]);
    // Fewer places than frames that come while the broker is away: the rest waits at the MQTT broker.
    let mut gateway = bench.gateway(&brokers, "1", &["--process", "gate", "--queue", "64"]);
    let _sinks = ["in-sink", "out-sink"].map(|sink| bench.collector(&brokers, sink, &[]));
    let elsewhere = format!("{}/followed", bench.metrics());
    let follow = ["follow", "--kafka", &brokers.kafka, "--group", "test", "--metrics", &elsewhere];
    let mut follower = Running::cctv(&follow);
    for role in ["job", "gateway", "in-sink", "out-sink"] {
        bench.wait_ready(role, 1);
    }
    let ids: Vec<String> = (1..=4).map(|n| format!("edge-{n}")).collect();
    let (fps, span) = (FPS.to_string(), format!("{SECONDS}s"));
    let mut cameras: Vec<_> = ids.iter().map(|id| bench.camera(&brokers, id, &fps, &span, &[])).collect();
    let forwarded = || bench.account("in-sink", "1").total().frames_in;
    support::until("frames come through", || forwarded() > 0);
    kafka.kill(0);
    let before = seconds_of(&bench, "gateway-1");
    support::until("frames pile up in the gateway", || {
        let now = seconds_of(&bench, "gateway-1");
        now.0 >= before.0 + 60
    });
    kafka.start_again(0);

    for camera in &mut cameras {
        assert_eq!(camera.exit_code(), 0);
    }
    for role in ["gateway", "job", "in-sink", "out-sink"] {
        bench.stop(role).ok();
    }
    cctv(&["stop", "job", "--metrics", &elsewhere, "--timeout", "60s"]).ok();
    assert_eq!((gateway.exit_code(), job.exit_code(), follower.exit_code()), (0, 0, 0));
    let [gateway, job, frames, windows] =
        ["gateway", "job", "in-sink", "out-sink"].map(|role| bench.account(role, "1"));
    let follower = Account::read(&std::path::Path::new(&elsewhere).join("job-1.account.json")).unwrap();
    for account in [&gateway, &job, &frames, &windows, &follower] {
        assert!(account.complete, "{} is not complete", account.role);
        assert_eq!(account.unbalanced(), [], "{}", account.role);
        assert_eq!(account.total().dropped_total(), 0, "{}: {:?}", account.role, account.total());
    }
    assert_eq!(gateway.facts["missing_frames"], 0);
    for id in &ids {
        let camera = bench.account("camera", id).cameras[id].frames_out;
        assert_eq!(camera, FPS * SECONDS, "{id}");
        let seen = |account: &Account| (account.cameras[id].frames_in, account.cameras[id].frames_out);
        for account in [&gateway, &frames, &job, &windows, &follower] {
            assert_eq!(seen(account), (camera, camera), "{id} at {}", account.role);
        }
        assert_eq!(windows.cameras[id].duplicates, 0, "{id}");
    }
    in_order(&kafka, &ids);
}

/// Frames in and out of a process so far.
fn seconds_of(bench: &support::Bench, name: &str) -> (u64, u64) {
    let file = std::path::Path::new(&bench.metrics()).join(format!("{name}.csv"));
    let seconds = meter::read_seconds(&file).unwrap_or_default();
    (seconds.iter().map(|s| s.frames_in).sum(), seconds.iter().map(|s| s.frames_out).sum())
}

/// The input topic has every frame of these cameras once, each camera's in order.
fn in_order(kafka: &Kafka, ids: &[String]) {
    let consumer: BaseConsumer = kafka.client().set("group.id", "order").create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset("in-uni-data", partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&all).unwrap();
    let mut next = std::collections::BTreeMap::<String, u64>::new();
    support::until("all frames have been read", || {
        while let Some(message) = consumer.poll(apache::PATIENCE / 300) {
            let message = message.unwrap();
            let headers = message.headers().unwrap();
            let pairs =
                rdkafka::message::Headers::iter(headers).map(|h| (h.key, h.value.unwrap_or_default()));
            let header = Header::from_pairs(pairs).unwrap();
            let expected = next.entry(header.camera.to_string()).or_default();
            assert_eq!(header.sequence, *expected, "{}", header.camera);
            *expected += 1;
        }
        ids.iter().all(|id| next.get(id) == Some(&(FPS * SECONDS + 1)))
    });
}

#[test]
#[ignore = "starts Apache Kafka: scripts/test runs it"]
fn of_three_brokers_one_may_die_at_any_time() {
    let Some(mut kafka) = Kafka::start(3) else { return };
    let bench = native::Bench::new(&kafka);
    let (mut feeder, mut reader) = (Feeder::new(&kafka), Reader::new(&kafka, "out-uni-data", PARTITIONS));
    let mut job = bench.job("1", &[]);
    job.start();
    job.until("the job is ready", || bench.is_ready("1"));
    for victim in 0..3 {
        feeder.send(60);
        let before = reader.records.len();
        kafka.kill(victim);
        // What is acknowledged from here on, two brokers have.
        feeder.send(60);
        reader.until("results with two brokers", |records| records.len() > before + 2 * CAMERAS as usize);
        kafka.start_again(victim);
    }
    feeder.end();
    job.terminate();
    assert_eq!(job.exit_code(), 0, "{}", job.said());
    let is_end = |record: &&apache::topic::Written| matches!(record.output, Output::End(..));
    reader.until("the ends", |records| records.iter().filter(is_end).count() as u64 >= CAMERAS);
    feeder.check(&reader.records);
}
