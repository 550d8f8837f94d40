//! What happens when something is wrong: brokers that are down, strangers that send rubbish, roles that are
//! killed.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod support;

use std::time::Duration;

use frame::{CameraId, Header};
use rdkafka::ClientConfig;
use rdkafka::message::{Header as RecordHeader, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PublishProperties};
use rumqttc::v5::{Client, Event, MqttOptions};
use support::{Bench, Brokers, cctv, free_address, picture, until};

/// Publishes as a stranger would, and waits for the acknowledgements.
fn publish(mqtt: &str, camera: &str, messages: &[(Option<Header>, Vec<u8>)]) {
    let (host, port) = mqtt.rsplit_once(':').unwrap();
    let (client, mut connection) = Client::new(MqttOptions::new("stranger", host, port.parse().unwrap()), 16);
    for (header, payload) in messages {
        let pairs = header.iter().flat_map(Header::to_pairs).map(|(key, value)| (key.to_owned(), value));
        let properties =
            PublishProperties { user_properties: pairs.collect(), ..PublishProperties::default() };
        let topic = format!("cameras/{camera}/frames");
        client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload.clone(), properties).unwrap();
    }
    let mut acknowledged = 0;
    while acknowledged < messages.len() {
        let event = connection.recv_timeout(Duration::from_secs(20)).expect("an acknowledgement").unwrap();
        acknowledged += usize::from(matches!(event, Event::Incoming(Packet::PubAck(_))));
    }
}

fn header(camera: &str, sequence: u64, captured_unix_ns: u64) -> Header {
    Header::new(CameraId::new(camera).unwrap(), sequence, captured_unix_ns)
}

fn end(camera: &str, sequence: u64, captured_unix_ns: u64) -> Header {
    Header { last: true, ..header(camera, sequence, captured_unix_ns) }
}

/// Produces frames straight into the job's topic.
fn produce(kafka: &str, headers: &[Header]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", kafka).create().unwrap();
    for header in headers {
        let pairs = header.to_pairs();
        let record_headers = pairs.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(RecordHeader { key, value: Some(value.as_str()) })
        });
        let record =
            BaseRecord::to("in-uni-data").key(header.camera.as_str()).payload("").headers(record_headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(20)).unwrap();
}

#[test]
fn a_broker_that_is_down_is_named_and_has_its_exit_code() {
    let bench = Bench::new();
    let (down, metrics, pictures, job) = (free_address(), bench.metrics(), bench.pictures(), bench.job());
    let short = ["--connect-timeout", "500ms", "--metrics", &metrics];
    let with = |args: &[&str]| cctv(&[args, &short[..]].concat());
    with(&["camera", "--id", "c", "--data", &pictures, "--mqtt", &down, "--for", "1s"]).fails(4, &down);
    with(&["gateway", "--id", "g", "--kafka", &down]).fails(4, &down);
    with(&["job", "--spec", &job, "--kafka", &down]).fails(4, &down);
    with(&["collector", "--as", "in-sink", "--topic", "t", "--kafka", &down]).fails(4, &down);
    cctv(&["topic", "create", "--kafka", &down, "--timeout", "500ms", "t"]).fails(4, &down);
    let waiting = ["wait", "camera", "--metrics", &metrics, "--count", "1", "--timeout", "30s"];
    cctv(&waiting).fails(3, "failed: c");
    cctv(&["stop", "in-sink", "--metrics", &pictures]).fails(1, "no in-sink");
}

#[test]
fn topics_are_made_once_and_a_missing_one_is_named() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let create =
        |partitions| cctv(&["topic", "create", "--kafka", &brokers.kafka, "--partitions", partitions, "t"]);
    create("4").ok();
    create("4").ok();
    create("5").fails(1, "exists with 4 partitions");
    let list = format!("{},{}", brokers.kafka, free_address());
    cctv(&["topic", "create", "--kafka", &list, "--partitions", "4", "t"]).ok();
    let thrice = ["topic", "create", "--kafka", &list, "--replication", "3", "--timeout", "500ms", "thrice"];
    cctv(&thrice).fails(4, "replication");
    cctv(&["topic", "create", "--kafka", "a:1,b", "t"]).fails(2, "in the list");
    let list = cctv(&["topic", "list", "--kafka", &brokers.kafka]).ok();
    assert!(list.stdout.lines().any(|line| line == "t 4"), "{}", list.stdout);
    let metrics = bench.metrics();
    let args = [
        "--topic",
        "nowhere",
        "--kafka",
        &brokers.kafka,
        "--metrics",
        &metrics,
        "--connect-timeout",
        "500ms",
    ];
    cctv(&[&["collector", "--as", "out-sink"], &args[..]].concat()).fails(4, "nowhere");
}

#[test]
fn a_broker_without_transactions_is_told_from_one_that_is_down() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let mut job = vec!["job", "--kafka", &brokers.kafka, "--guarantee", "exactly-once"];
    let (spec, metrics) = (bench.job(), bench.metrics());
    job.extend(["--spec", &spec, "--metrics", &metrics]);
    cctv(&job).fails(1, "at-least-once");
}

#[test]
fn rubbish_from_strangers_is_dropped_by_reason_and_second_deliveries_are_told_apart() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let mut gateway = bench.gateway(&brokers, "1", &["--process", "gate"]);
    bench.wait_ready("gateway", 1);
    let (whole, mut cut) = (picture(0), picture(1));
    cut.truncate(cut.len() / 3);
    publish(
        &brokers.mqtt,
        "odd",
        &[
            (Some(header("odd", 0, 1_000)), whole.clone()),
            (Some(header("odd", 0, 1_000)), whole.clone()),
            (Some(header("odd", 1, 2_000)), cut),
            (Some(header("odd", 2, 3_000)), b"no picture".to_vec()),
            (Some(header("even", 3, 3_000)), whole.clone()),
            (None, whole),
            (Some(end("odd", 3, 4_000)), Vec::new()),
        ],
    );
    bench.stop("gateway").ok();
    assert_eq!(gateway.exit_code(), 0);
    let account = bench.account("gateway", "1");
    let odd = &account.cameras["odd"];
    assert_eq!((odd.frames_in, odd.frames_out, odd.duplicates), (5, 1, 1), "{odd:?}");
    assert_eq!((odd.dropped["corrupt"], odd.dropped["bad-header"]), (2, 2), "{odd:?}");
    assert_eq!(account.unbalanced(), []);
}

#[test]
fn late_frames_are_counted_and_windows_say_so() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    // One partition per worker, so that no silent partition holds the watermark back.
    let mut job = bench.start_job(&brokers, &["--parallelism", "8"]);
    bench.wait_ready("job", 1);
    let second = 1_000_000_000u64;
    // Records much older than now would fall to the retention of the log.
    let start = meter::Clock::system().unix_ns() - 60 * second;
    let mut frames: Vec<Header> = (0..10).map(|k| header("slow", k, start + k * second)).collect();
    // Nine seconds behind the newest, with a bound of two.
    frames.push(header("slow", 10, start));
    frames.push(header("slow", 11, start + 10 * second));
    frames.push(end("slow", 12, start + 11 * second));
    produce(&brokers.kafka, &frames);
    let _sink = bench.collector(&brokers, "out-sink", &[]);
    bench.wait_ready("out-sink", 1);
    // One that is asked before it has read anything must still read all there is.
    bench.stop("job").ok();
    bench.stop("out-sink").ok();
    assert_eq!(job.exit_code(), 0);
    let account = bench.account("job", "1");
    let slow = &account.cameras["slow"];
    assert_eq!((slow.frames_in, slow.frames_out, slow.dropped["late"]), (12, 11, 1), "{slow:?}");
    let windows = bench.account("out-sink", "1");
    assert_eq!(windows.facts["late_frames"], 1, "{windows:?}");
    assert_eq!(windows.total().frames_in, 11);
}

#[test]
fn a_camera_without_end_runs_out_the_drain_and_is_named() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let mut job = bench.start_job(&brokers, &["--drain-timeout", "1s"]);
    let mut gateway = bench.gateway(&brokers, "1", &["--drain-timeout", "1s", "--process", "none"]);
    bench.wait_ready("job", 1);
    bench.wait_ready("gateway", 1);
    publish(&brokers.mqtt, "lost", &[(Some(header("lost", 0, 1_000)), picture(0))]);
    until("the frame is through", || {
        let sent = bench.account("job", "1");
        sent.cameras.get("lost").is_some_and(|camera| camera.frames_in == 1)
    });
    bench.stop("gateway").fails(3, "gateway 1");
    bench.stop("job").fails(3, "job 1");
    assert_eq!((job.exit_code(), gateway.exit_code()), (3, 3));
    let account = bench.account("job", "1");
    assert_eq!(account.facts["undrained"][0], "lost");
    assert_eq!(account.total().frames_out, 1, "the open window went out as it was");
}

#[test]
fn a_gateway_that_is_killed_and_comes_back_loses_nothing() {
    let Some(brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let mut first = bench.gateway(&brokers, "1", &["--process", "none"]);
    bench.wait_ready("gateway", 1);
    let mut cameras: Vec<_> =
        ["a", "b"].iter().map(|id| bench.camera(&brokers, id, "40", "4s", &["--backlog", "200"])).collect();
    bench.wait_ready("camera", 2);
    until("the first gateway has forwarded something", || {
        let metrics = std::path::Path::new(&bench.metrics()).join("gateway-1.csv");
        meter::read_seconds(&metrics).unwrap().iter().any(|second| second.frames_out > 10)
    });
    first.kill();
    let mut second = bench.gateway(&brokers, "1", &["--process", "none"]);
    for camera in &mut cameras {
        assert_eq!(camera.exit_code(), 0);
    }
    bench.stop("gateway").ok();
    assert_eq!(second.exit_code(), 0);
    let _sink = bench.collector(&brokers, "in-sink", &[]);
    bench.wait_ready("in-sink", 1);
    bench.stop("in-sink").ok();
    let seen = bench.account("in-sink", "1");
    for id in ["a", "b"] {
        let sent = bench.account("camera", id).cameras[id].clone();
        assert_eq!(seen.cameras[id].frames_in, sent.frames_out, "{id}: {:?}", seen.cameras[id]);
        assert!(sent.frames_out > 0);
    }
}

#[test]
fn a_camera_outlives_its_broker_and_says_what_it_lost() {
    let Some(mut brokers) = Brokers::start() else { return };
    let bench = Bench::new();
    let mut gateway = bench.gateway(&brokers, "1", &["--process", "none"]);
    bench.wait_ready("gateway", 1);
    let mut camera = bench.camera(&brokers, "c", "20", "6s", &[]);
    let csv = std::path::Path::new(&bench.metrics()).join("camera-c.csv");
    until("the camera has sent something", || {
        meter::read_seconds(&csv).is_ok_and(|seconds| seconds.iter().any(|second| second.frames_out > 10))
    });
    brokers.restart_mqtt();
    assert_eq!(camera.exit_code(), 0);
    bench.stop("gateway").ok();
    assert_eq!(gateway.exit_code(), 0);
    let (sent, forwarded) = (bench.account("camera", "c"), bench.account("gateway", "1"));
    assert_eq!((sent.unbalanced(), forwarded.unbalanced()), (vec![], vec![]));
    assert!(sent.facts["connections"].as_u64().unwrap() >= 2, "{sent:?}");
    assert_eq!(sent.total().frames_in, 120);
    // What the broker had taken and not yet handed on died with it; the gateway knows how many are missing.
    let missing = forwarded.facts["missing_frames"].as_u64().unwrap();
    let unheard = sent.total().dropped.get("no-subscriber").copied().unwrap_or(0);
    assert_eq!(
        forwarded.total().frames_in + missing,
        sent.total().frames_out + unheard,
        "{sent:?} {forwarded:?}"
    );
}
