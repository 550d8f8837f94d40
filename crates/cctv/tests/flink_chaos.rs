//! The Flink job with `exactly-once` on Apache Kafka: whatever is killed or stopped, every window comes once.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod apache;
mod native;

use std::sync::mpsc::{Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use apache::flink::Flink;
use apache::kafka::Kafka;
use apache::topic::{Output, Reader, Written};
use native::{Bench, CAMERAS, Feeder, PARTITIONS};

/// Sends frames of all cameras at a steady pace until it is told to stop.
struct Stream {
    stop: Sender<()>,
    thread: JoinHandle<Feeder>,
}

impl Stream {
    fn start(mut feeder: Feeder) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                feeder.send(2);
                std::thread::park_timeout(Duration::from_millis(50));
            }
            feeder
        });
        Self { stop, thread }
    }

    fn stop(self) -> Feeder {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

fn is_end(record: &Written) -> bool {
    matches!(record.output, Output::End(..))
}

/// Waits for so many further windows of every camera.
fn windows_come(reader: &mut Reader, windows: usize, when: &str) {
    let wanted = reader.records.len() + windows * CAMERAS as usize;
    reader.until(&format!("windows {when}"), |records| records.len() >= wanted);
}

fn all_windows_came_once(reader: &mut Reader, feeder: &Feeder) {
    feeder.end();
    let ends = |records: &[Written]| records.iter().filter(|record| is_end(record)).count() as u64;
    reader.until("the ends", |records| ends(records) >= CAMERAS);
    reader.read();
    feeder.check(&reader.records);
}

#[test]
#[ignore = "starts Apache Kafka and Flink: scripts/test runs it"]
fn neither_a_killed_task_manager_nor_a_killed_broker_loses_or_repeats_a_window() {
    let Some(mut kafka) = Kafka::start(1) else { return };
    let Some(mut flink) = Flink::start() else { return };
    let bench = Bench::new(&kafka);
    let mut reader = Reader::new(&kafka, "out-uni-data", PARTITIONS);
    let (spec, urls) = (bench.path("job.json").display().to_string(), kafka.urls());
    let checkpoints = flink.path("checkpoints").display().to_string();
    let checkpoints = format!("file://{checkpoints}");
    flink.submit(None, &["--spec", &spec, "--kafka", &urls, "--checkpoints", &checkpoints]);
    let stream = Stream::start(Feeder::new(&kafka));
    windows_come(&mut reader, 3, "before anything happens");

    flink.kill_task_manager();
    flink.start_task_manager();
    windows_come(&mut reader, 5, "after the task manager was killed");

    kafka.kill(0);
    kafka.start_again(0);
    windows_come(&mut reader, 5, "after the broker was killed");

    all_windows_came_once(&mut reader, &stream.stop());
}

#[test]
#[ignore = "starts Apache Kafka and Flink: scripts/test runs it"]
fn a_job_goes_on_from_its_savepoint_as_if_nothing_had_been() {
    let Some(kafka) = Kafka::start(1) else { return };
    let Some(mut flink) = Flink::start() else { return };
    let bench = Bench::new(&kafka);
    let mut reader = Reader::new(&kafka, "out-uni-data", PARTITIONS);
    let (spec, urls) = (bench.path("job.json").display().to_string(), kafka.urls());
    let args = ["--spec", &spec, "--kafka", &urls];
    let first = flink.submit(None, &args);
    let stream = Stream::start(Feeder::new(&kafka));
    windows_come(&mut reader, 3, "of the first job");

    let savepoint = flink.stop(&first);
    let state = flink.ask(&format!("/jobs/{first}")).map(|job| job["state"].clone());
    assert_eq!(state, Some("FINISHED".into()));
    reader.read();
    flink.submit(Some(&savepoint), &args);
    windows_come(&mut reader, 5, "of the second job");

    all_windows_came_once(&mut reader, &stream.stop());
}

#[test]
#[ignore = "starts Apache Flink: scripts/test runs it"]
fn a_job_that_makes_no_sense_is_refused_with_its_reason() {
    let Some(kafka) = Kafka::start(1) else { return };
    let Some(flink) = Flink::start() else { return };
    let bench = Bench::new(&kafka);
    let good = std::fs::read_to_string(bench.path("job.json")).unwrap();
    let spec = bench.path("job.json").display().to_string();
    let jar = apache::software("people-counting", "people-counting.jar").unwrap().join("people-counting.jar");
    let jar = jar.display().to_string();
    for (job, args, named) in [
        (good.replace("window_ms", "windows_ms"), vec!["--spec", &spec, "--kafka", "h:1"], "`windows_ms`"),
        (good.clone(), vec!["--spec", &spec], "--kafka is missing"),
        (good.clone(), vec!["--spec", &spec, "--kafka", "h:1", "--guarantee", "twice"], "twice"),
    ] {
        std::fs::write(bench.path("job.json"), job).unwrap();
        let said = flink.command(&[vec!["run", "-d", &jar], args].concat()).unwrap_err();
        assert!(said.contains(named), "{named} is not in\n{said}");
    }
}
