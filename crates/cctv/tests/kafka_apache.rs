//! Apache Kafka itself, as the tests of the jobs use it: it starts, keeps what it has, and comes back when killed.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod apache;

use apache::kafka::Kafka;
use apache::topic::{self, Reader};
use frame::{CameraId, CountError, Window};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn window(number: u64) -> Window {
    Window {
        camera: CameraId::new("c").unwrap(),
        start_unix_ns: number,
        end_unix_ns: number + 1,
        frames: 1,
        counted: 1,
        people_mean: 1.0,
        people_max: 1,
        late: 0,
        counter: "motion".into(),
        first_captured_unix_ns: number,
        last_captured_unix_ns: number,
        first_sequence: number,
        last_sequence: number,
        error: CountError::default(),
        last: false,
    }
}

#[test]
#[ignore = "starts Apache Kafka: scripts/test runs it"]
fn only_committed_transactions_are_read_also_after_a_kill() {
    let Some(mut kafka) = Kafka::start(1) else { return };
    topic::create(&kafka, 4, &["out"]);
    let producer: BaseProducer = kafka.client().set("transactional.id", "t").create().unwrap();
    producer.init_transactions(apache::PATIENCE).unwrap();
    for (number, commit) in [(1, true), (2, false), (3, true)] {
        producer.begin_transaction().unwrap();
        let json = window(number).to_json().unwrap();
        producer.send(BaseRecord::to("out").key("c").payload(json.as_bytes())).unwrap();
        producer.flush(apache::PATIENCE).unwrap();
        if commit {
            producer.commit_transaction(apache::PATIENCE).unwrap();
        } else {
            producer.abort_transaction(apache::PATIENCE).unwrap();
        }
        if number == 2 {
            kafka.kill(0);
            kafka.start_again(0);
        }
    }
    let mut reader = Reader::new(&kafka, "out", 4);
    reader.until("two windows", |records| records.len() == 2);
    let read: Vec<Window> = reader.windows().cloned().collect();
    assert_eq!(read, [window(1), window(3)]);
}
