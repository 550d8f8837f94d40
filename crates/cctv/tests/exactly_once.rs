//! The native job with `exactly-once` on Apache Kafka: whatever is killed, every window comes once.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod apache;
mod native;

use apache::kafka::Kafka;
use apache::topic::Reader;
use apache::until;
use native::{Bench, Feeder, PARTITIONS};

#[test]
#[ignore = "starts Apache Kafka: scripts/test runs it"]
fn a_job_that_is_killed_again_and_again_writes_every_window_once() {
    let Some(kafka) = Kafka::start(1) else { return };
    let bench = Bench::new(&kafka);
    let (mut feeder, mut reader) = (Feeder::new(&kafka), Reader::new(&kafka, "out-uni-data", PARTITIONS));
    let mut job = bench.job("1", &[]);
    for round in 1..=5 {
        job.start();
        let before = reader.records.len();
        feeder.send(70 + 5 * round);
        reader.until("results of this round", |records| records.len() >= before + 24);
        // Without a word, in the middle of whatever it does.
        feeder.send(13);
        job.kill();
    }
    job.start();
    feeder.send(20);
    feeder.end();
    job.until("the job is ready", || bench.is_ready("1"));
    job.terminate();
    assert_eq!(job.exit_code(), 0, "{}", job.said());
    reader.until("the ends", |records| records.iter().filter(|record| is_end(record)).count() >= 24);
    reader.read();
    feeder.check(&reader.records);

    let account = bench.account("1");
    assert!(account.complete);
    assert_eq!(account.unbalanced(), []);
    let total = account.total();
    let frames = feeder.sent * native::CAMERAS;
    assert_eq!(
        (total.frames_in, total.frames_out, total.duplicates),
        (frames, frames, 0),
        "{:?}",
        account.facts
    );
    assert_eq!(account.facts["restored_cameras"], native::CAMERAS);
    assert_eq!(account.facts["windows"], feeder.sent.div_ceil(native::PER_WINDOW) * native::CAMERAS);
}

fn is_end(record: &apache::topic::Written) -> bool {
    matches!(record.output, apache::topic::Output::End(..))
}

#[test]
#[ignore = "starts Apache Kafka: scripts/test runs it"]
fn a_second_job_of_the_group_fences_the_first_which_says_so() {
    let Some(kafka) = Kafka::start(1) else { return };
    let bench = Bench::new(&kafka);
    let (mut feeder, mut reader) = (Feeder::new(&kafka), Reader::new(&kafka, "out-uni-data", PARTITIONS));
    let (mut first, mut second) = (bench.job("first", &[]), bench.job("second", &[]));
    first.start();
    feeder.send(50);
    reader.until("results of the first", |records| records.len() >= 24);
    second.start();
    second.until("the second is ready", || bench.is_ready("second"));
    feeder.send(50);
    assert_eq!(first.exit_code(), 1, "{}", first.said());
    assert!(first.said().contains("fenced") && first.said().contains("counting"), "{}", first.said());
    feeder.send(30);
    feeder.end();
    second.terminate();
    assert_eq!(second.exit_code(), 0, "{}", second.said());
    reader.until("the ends", |records| records.iter().filter(|record| is_end(record)).count() >= 24);
    feeder.check(&reader.records);
}

#[test]
#[ignore = "starts Apache Kafka: scripts/test runs it"]
fn results_that_pile_up_do_not_wait_for_their_time() {
    let Some(kafka) = Kafka::start(1) else { return };
    let bench = Bench::new(&kafka);
    let spec = std::fs::read_to_string(bench.path("job.json")).unwrap();
    let spec = spec.replace("\"checkpoint_ms\":200", "\"checkpoint_ms\":86400000");
    // Every frame is a window of its own.
    std::fs::write(bench.path("job.json"), spec.replace("\"window_ms\":1000", "\"window_ms\":100")).unwrap();
    let (mut feeder, mut reader) = (Feeder::new(&kafka), Reader::new(&kafka, "out-uni-data", PARTITIONS));
    let mut job = bench.job("1", &[]);
    job.start();
    feeder.send(900);
    reader.until("windows long before the day is over", |records| records.len() > 5_000);
    feeder.end();
    job.terminate();
    assert_eq!(job.exit_code(), 0, "{}", job.said());
    let all = (900 * native::CAMERAS + native::CAMERAS) as usize;
    reader.until("everything", |records| records.len() >= all);
    assert_eq!(reader.records.len(), all);
    let transactions = bench.account("1").facts["transactions"].as_u64().unwrap();
    assert!((2..20).contains(&transactions), "{transactions}");
}

#[test]
#[ignore = "starts Apache Kafka: scripts/test runs it"]
fn a_state_that_is_not_this_job_s_is_refused() {
    let Some(kafka) = Kafka::start(1) else { return };
    let bench = Bench::new(&kafka);
    let (mut feeder, mut reader) = (Feeder::new(&kafka), Reader::new(&kafka, "out-uni-data", PARTITIONS));
    let mut job = bench.job("1", &[]);
    job.start();
    feeder.send(50);
    reader.until("results", |records| records.len() >= 24);
    job.kill();
    let spec = std::fs::read_to_string(bench.path("job.json")).unwrap();
    std::fs::write(bench.path("job.json"), spec.replace("\"window_ms\":1000", "\"window_ms\":250")).unwrap();
    job.start();
    assert_eq!(job.exit_code(), 1, "{}", job.said());
    assert!(job.said().contains("counting-state") && job.said().contains("1000 ms"), "{}", job.said());
    // A job without memory moves the group's offsets; one with memory then notices.
    std::fs::write(bench.path("job.json"), spec).unwrap();
    let mut forgetful = bench.job("2", &["--guarantee", "at-least-once"]);
    forgetful.start();
    feeder.send(50);
    feeder.end();
    forgetful.until("it is ready", || bench.is_ready("2"));
    forgetful.terminate();
    assert_eq!(forgetful.exit_code(), 0, "{}", forgetful.said());
    job.start();
    assert_eq!(job.exit_code(), 1, "{}", job.said());
    assert!(job.said().contains("offset"), "{}", job.said());
    until("nothing runs any more", || !job.runs());
}
