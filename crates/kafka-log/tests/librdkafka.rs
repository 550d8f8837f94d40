//! librdkafka judges: what it produces it must get back.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly and says what it skips")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use support::{Fixture, PATIENCE, assigned, block_on, flush, producer, take};

#[test]
fn an_idempotent_producer_fills_32_partitions_and_a_consumer_reads_them() {
    let fixture = Fixture::start();
    fixture.create_topic("in-uni-data", 32);
    let (producer, reports) =
        producer(fixture.client().set("enable.idempotence", "true").set("linger.ms", "5"));
    let payload = |n: i32| (0..5000).map(|at| ((at + n) % 251) as u8).collect::<Vec<u8>>();
    for n in 0..640 {
        let headers = OwnedHeaders::new()
            .insert(Header { key: "sequence", value: Some(&n.to_string()) })
            .insert(Header { key: "empty", value: None::<&str> });
        let key = format!("camera-{}", n % 320);
        let value = payload(n);
        let record = BaseRecord::to("in-uni-data").partition(n % 32).key(&key).payload(&value);
        producer.send(record.headers(headers).timestamp(1_700_000_000_000 + i64::from(n))).unwrap();
        producer.poll(Duration::ZERO);
    }
    flush(&producer);
    let reports = reports.0.lock().unwrap();
    assert_eq!(reports.iter().filter(|report| report.is_ok()).count(), 640, "{reports:?}");

    let consumer = fixture.consumer("reader");
    consumer.subscribe(&["in-uni-data"]).unwrap();
    let mut seen = BTreeMap::new();
    for message in take(&consumer, 640) {
        let headers = message.headers().unwrap();
        let n: i32 = std::str::from_utf8(headers.get(0).value.unwrap()).unwrap().parse().unwrap();
        assert_eq!((headers.get(1).key, headers.get(1).value), ("empty", None));
        assert_eq!(message.key(), Some(format!("camera-{}", n % 320).as_bytes()));
        assert_eq!(message.payload(), Some(payload(n).as_slice()));
        assert_eq!(message.timestamp().to_millis(), Some(1_700_000_000_000 + i64::from(n)));
        assert_eq!((message.partition(), message.offset()), (n % 32, i64::from(n / 32)));
        assert_eq!(seen.insert(n, ()), None, "message {n} came twice");
    }
    assert!(consumer.poll(Duration::from_millis(200)).is_none(), "nothing comes twice");
}

#[test]
fn compressed_and_large_batches_pass_through() {
    let fixture = Fixture::start();
    fixture.create_topic("t", 1);
    for codec in ["none", "lz4", "snappy"] {
        let mut config = fixture.client();
        let config = config.set("compression.type", codec).set("message.max.bytes", "2000000");
        let (producer, reports) = producer(config.set("linger.ms", "20"));
        let large = vec![b'x'; 1_500_000];
        producer.send(BaseRecord::<(), _>::to("t").payload(&large)).unwrap();
        for n in 0..100 {
            producer.send(BaseRecord::<(), _>::to("t").payload(&format!("{codec} {n}"))).unwrap();
        }
        flush(&producer);
        assert!(reports.0.lock().unwrap().iter().all(Result::is_ok));
    }
    let consumer: BaseConsumer =
        fixture.client().set("group.id", "g").set("auto.offset.reset", "earliest").create().unwrap();
    consumer.subscribe(&["t"]).unwrap();
    let messages = take(&consumer, 303);
    let offsets: Vec<i64> = messages.iter().map(|message| message.offset()).collect();
    assert_eq!(offsets, (0..303).collect::<Vec<i64>>());
    assert_eq!(messages[302].payload(), Some(b"snappy 99".as_slice()));
    assert_eq!(messages[101].payload().map(<[u8]>::len), Some(1_500_000));
}

/// Polls both consumers until `done`.
fn poll_until(consumers: &[&BaseConsumer], mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(
            Instant::now() < deadline,
            "the group did not settle: {:?}",
            consumers.iter().map(|c| assigned(c)).collect::<Vec<_>>()
        );
        for consumer in consumers {
            if let Some(Err(error)) = consumer.poll(Duration::from_millis(20)) {
                panic!("{error}");
            }
        }
    }
}

#[test]
fn two_members_share_the_partitions_and_the_survivor_takes_over() {
    let mut fixture = Fixture::start();
    fixture.create_topic("t", 32);
    let (first, second) = (fixture.consumer("pair"), fixture.consumer("pair"));
    first.subscribe(&["t"]).unwrap();
    poll_until(&[&first], || assigned(&first).len() == 32);
    second.subscribe(&["t"]).unwrap();
    poll_until(&[&first, &second], || assigned(&first).len() == 16 && assigned(&second).len() == 16);
    let both: BTreeSet<i32> = assigned(&first).union(&assigned(&second)).copied().collect();
    assert_eq!(both.len(), 32, "no partition twice, none left out");

    let groups = second.fetch_group_list(Some("pair"), PATIENCE).unwrap();
    let group = &groups.groups()[0];
    assert_eq!((group.state(), group.protocol_type(), group.members().len()), ("Stable", "consumer", 2));

    drop(second);
    poll_until(&[&first], || assigned(&first).len() == 32);
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("t", 7, Offset::Offset(0)).unwrap();
    first.commit(&offsets, CommitMode::Sync).unwrap();
    let mut ahead = TopicPartitionList::new();
    ahead.add_partition_offset("t", 8, Offset::Offset(41)).unwrap();
    first.commit(&ahead, CommitMode::Sync).unwrap();
    drop(first);

    fixture.restart();
    let third = fixture.consumer("pair");
    let mut asked = TopicPartitionList::new();
    for partition in 6..9 {
        asked.add_partition("t", partition);
    }
    let found = third.committed_offsets(asked, PATIENCE).unwrap();
    let offsets: Vec<Offset> = found.elements().iter().map(|element| element.offset()).collect();
    assert_eq!(offsets, [Offset::Invalid, Offset::Offset(0), Offset::Offset(41)]);
}

#[test]
fn a_member_that_dies_is_replaced_when_its_session_ends() {
    let fixture = Fixture::start();
    fixture.create_topic("t", 4);
    let dead: BaseConsumer = fixture
        .client()
        .set("group.id", "g")
        .set("session.timeout.ms", "1500")
        .set("heartbeat.interval.ms", "200")
        .set("max.poll.interval.ms", "1500")
        .create()
        .unwrap();
    let live = fixture.consumer("g");
    dead.subscribe(&["t"]).unwrap();
    poll_until(&[&dead], || assigned(&dead).len() == 4);
    live.subscribe(&["t"]).unwrap();
    // `dead` is never polled again: it does not take part in the rebalance that `live` begins.
    poll_until(&[&live], || assigned(&live).len() == 4);
}

#[test]
fn offsets_are_found_by_time_and_by_end() {
    let fixture = Fixture::start();
    fixture.create_topic("t", 1);
    let (producer, _) = producer(fixture.client().set("linger.ms", "0"));
    for n in 0..50 {
        producer.send(BaseRecord::<(), _>::to("t").payload("x").timestamp(10_000 + n * 10)).unwrap();
        if n % 7 == 0 {
            flush(&producer);
        }
    }
    flush(&producer);
    let consumer = fixture.consumer("g");
    assert_eq!(consumer.fetch_watermarks("t", 0, PATIENCE).unwrap(), (0, 50));
    for (time, expected) in [
        (0, Offset::Offset(0)),
        (10_201, Offset::Offset(21)),
        (10_490, Offset::Offset(49)),
        (10_491, Offset::End),
    ] {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset("t", 0, Offset::Offset(time)).unwrap();
        let found = consumer.offsets_for_times(asked, PATIENCE).unwrap();
        assert_eq!(found.elements()[0].offset(), expected, "time {time}");
    }
}

#[test]
fn topics_are_made_grown_described_and_deleted() {
    let mut fixture = Fixture::start();
    fixture.create_topic_with(
        "t",
        2,
        &[("retention.bytes", "16777216"), ("message.timestamp.type", "LogAppendTime")],
    );
    let (admin, options) = (fixture.admin(), AdminOptions::new());
    let again = NewTopic::new("t", 1, TopicReplication::Fixed(1));
    let bad_name = NewTopic::new("a/b", 1, TopicReplication::Fixed(1));
    let replicas = NewTopic::new("r", 1, TopicReplication::Fixed(3));
    let compact = NewTopic::new("c", 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    let many = NewTopic::new("m", 9000, TopicReplication::Fixed(1));
    let refused =
        block_on(admin.create_topics([&again, &bad_name, &replicas, &compact, &many], &options)).unwrap();
    let codes: Vec<String> = refused.into_iter().map(|result| result.unwrap_err().1.to_string()).collect();
    let expected = [
        "TopicAlreadyExists",
        "InvalidTopic",
        "InvalidReplicationFactor",
        "InvalidConfig",
        "PolicyViolation",
    ];
    for (code, expected) in codes.iter().zip(expected) {
        assert!(code.starts_with(expected), "{codes:?}");
    }
    let grown = block_on(admin.create_partitions([&NewPartitions::new("t", 5)], &options)).unwrap();
    assert!(grown[0].is_ok());
    fixture.restart();
    let admin = fixture.admin();
    let metadata = admin.inner().fetch_metadata(Some("t"), PATIENCE).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 5);
    let described = block_on(admin.describe_configs([&ResourceSpecifier::Topic("t")], &options)).unwrap();
    let config = described[0].as_ref().unwrap();
    let value = |name: &str| config.get(name).unwrap().value.clone().unwrap();
    assert_eq!(
        (value("retention.bytes").as_str(), value("message.timestamp.type").as_str()),
        ("16777216", "LogAppendTime")
    );
    let deleted = block_on(admin.delete_topics(&["t", "never"], &options)).unwrap();
    assert!(deleted[0].is_ok() && deleted[1].is_err());
    fixture.create_topic("t", 1);
    let consumer = fixture.consumer("g");
    assert_eq!(
        consumer.fetch_watermarks("t", 0, PATIENCE).unwrap(),
        (0, 0),
        "nothing of the old topic is left"
    );
}

#[test]
fn limits_are_told_to_the_client() {
    let fixture = Fixture::with(|config| config.message_bytes_max = 100_000);
    fixture.create_topic("t", 1);
    let mut config = fixture.client();
    let (producer, reports) =
        producer(config.set("message.max.bytes", "1000000").set("topic.metadata.propagation.max.ms", "500"));
    producer.send(BaseRecord::<(), _>::to("t").payload(&vec![0; 200_000])).unwrap();
    producer.send(BaseRecord::<(), _>::to("nowhere").payload("x")).unwrap();
    flush(&producer);
    let mut errors: Vec<String> =
        reports.0.lock().unwrap().iter().map(|report| report.clone().unwrap_err()).collect();
    errors.sort();
    assert!(errors[0].contains("MessageSizeTooLarge") && errors[1].contains("Unknown"), "{errors:?}");
    let transactional: rdkafka::producer::BaseProducer =
        fixture.client().set("transactional.id", "tx").create().unwrap();
    let refused = transactional.init_transactions(Duration::from_secs(10)).unwrap_err();
    assert!(matches!(&refused, KafkaError::Transaction(error) if error.is_fatal()), "{refused:?}");
}

#[test]
fn a_slow_consumer_meets_retention_and_goes_on_at_the_start() {
    let fixture = Fixture::with(|config| {
        config.message_bytes_max = 50_000;
        config.retention_bytes = 400_000;
    });
    fixture.create_topic("t", 1);
    let (producer, reports) = producer(fixture.client().set("batch.size", "20000").set("linger.ms", "0"));
    for n in 0..200_u32 {
        producer.send(BaseRecord::<(), _>::to("t").payload(&[n as u8; 10_000])).unwrap();
        flush(&producer);
    }
    assert!(reports.0.lock().unwrap().iter().all(Result::is_ok));
    let consumer = fixture.consumer("g");
    let (start, end) = consumer.fetch_watermarks("t", 0, PATIENCE).unwrap();
    assert!(end == 200 && (160..190).contains(&start), "{start}..{end}");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset("t", 0, Offset::Offset(3)).unwrap();
    consumer.assign(&from).unwrap();
    let messages = take(&consumer, usize::try_from(end - start).unwrap());
    assert_eq!(messages[0].offset(), start);
}

#[test]
fn unknown_topics_are_made_if_the_server_may() {
    let fixture = Fixture::with(|config| {
        config.auto_create_topics = true;
        config.partitions_default = 3;
    });
    let (producer, reports) = producer(&mut fixture.client());
    producer.send(BaseRecord::<(), _>::to("new").payload("x")).unwrap();
    flush(&producer);
    assert!(reports.0.lock().unwrap()[0].is_ok());
    let metadata = producer.client().fetch_metadata(Some("new"), PATIENCE).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 3);
}
