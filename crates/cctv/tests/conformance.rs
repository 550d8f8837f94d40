//! Two engines, one job: the native job and the Flink job say the same about the same frames, field by field.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod apache;
mod footage;

use std::collections::BTreeMap;
use std::fs;

use apache::flink::Flink;
use apache::kafka::Kafka;
use apache::process::Process;
use apache::topic::{self, Output, Reader, Written};
use footage::{CAMERAS, Footage, PARTITIONS, WINDOW_NS};

const OUT_PARTITIONS: i32 = 8;

/// What one engine said, by camera and start of window; a camera's end has no start.
type Said = BTreeMap<(String, Option<u64>), Written>;

fn job_file(folder: &std::path::Path, engine: &str) -> String {
    let job = format!(
        r#"{{"input_topic":"in","output_topic":"out-{engine}","group_id":"{engine}","counter":"motion",
        "watermark_bound_ms":{},"idle_ms":600000,"window_ms":{},"guarantee":"exactly-once","checkpoint_ms":500}}"#,
        footage::BOUND_NS / 1_000_000,
        WINDOW_NS / 1_000_000,
    );
    let file = folder.join(format!("{engine}.json"));
    fs::write(&file, job).unwrap();
    file.display().to_string()
}

fn native_job(folder: &std::path::Path, urls: &str) -> Process {
    let spec = job_file(folder, "native");
    let metrics = folder.join("metrics").display().to_string();
    let args = ["job", "--spec", &spec, "--kafka", urls, "--metrics", &metrics, "--parallelism", "3"];
    let args = args.into_iter().chain(["--connect-timeout", "60s", "--drain-timeout", "120s"]);
    let log = folder.join("native.log");
    Process::new("the native job", env!("CARGO_BIN_EXE_cctv"), args.map(str::to_owned).collect(), &log)
}

/// Everything by what it is about; nothing may be there twice.
fn said(reader: &Reader) -> Said {
    let mut said = Said::new();
    for record in &reader.records {
        let start = match &record.output {
            Output::Window(window) => Some(window.start_unix_ns),
            Output::End(..) => None,
        };
        let camera = match &record.output {
            Output::Window(window) => &window.camera,
            Output::End(header, end) => {
                assert_eq!(header.camera, end.camera);
                &end.camera
            }
        };
        assert_eq!(record.key, camera.as_str());
        let again = said.insert((record.key.clone(), start), record.clone());
        assert!(again.is_none(), "twice: {record:?}");
    }
    said
}

fn windows(records: &[Written]) -> usize {
    records.iter().filter(|record| matches!(record.output, Output::Window(_))).count()
}

/// That every frame which was sent is where it belongs, as the engine says.
fn right(said: &Said, footage: &Footage, engine: &str) {
    let mut frames = 0;
    let mut late = 0;
    for record in said.values() {
        match &record.output {
            Output::Window(window) => {
                frames += u64::from(window.frames);
                late += u64::from(window.late);
            }
            Output::End(_, end) => {
                let sent = &footage.sent[end.camera.as_str()];
                assert_eq!(
                    end.frames_in,
                    end.frames_out + end.dropped.values().sum::<u64>(),
                    "{engine}: {end:?}"
                );
                assert_eq!(end.duplicates, sent.duplicates, "{engine}: {end:?}");
                assert_eq!(end.frames_out, sent.good, "{engine}: {end:?}");
                assert_eq!(end.dropped, sent.dropped(), "{engine}: {end:?}");
            }
        }
    }
    let sent = |of: fn(&footage::Sent) -> u64| footage.sent.values().map(of).sum::<u64>();
    assert_eq!((frames, late), (sent(|s| s.good), sent(|s| s.late)), "{engine}");
    let ends = said.keys().filter(|(_, start)| start.is_none()).count() as u64;
    assert_eq!((ends, said.len() as u64 - ends), (CAMERAS, CAMERAS * footage::WINDOWS), "{engine}");
}

#[test]
#[ignore = "starts Apache Kafka and Flink: scripts/test runs it"]
fn native_job_and_flink_job_write_the_same_windows_and_ends() {
    let Some(kafka) = Kafka::start(1) else { return };
    let Some(mut flink) = Flink::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    topic::create(&kafka, PARTITIONS, &["in"]);
    topic::create(&kafka, OUT_PARTITIONS, &["out-native", "out-flink"]);
    let mut native = native_job(folder.path(), &kafka.urls());
    native.start();
    flink.submit(None, &["--spec", &job_file(folder.path(), "flink"), "--kafka", &kafka.urls()]);
    let mut readers = ["native", "flink"]
        .map(|engine| (engine, Reader::new(&kafka, &format!("out-{engine}"), OUT_PARTITIONS)));

    let mut footage = Footage::new(&kafka);
    footage.film(0..footage::HALF);
    // What comes late is late for certain only when its window has gone out, in both.
    let closed = (CAMERAS * footage::CLOSED_AT_HALF) as usize;
    for (engine, reader) in &mut readers {
        reader.until(&format!("{closed} windows of {engine}"), |records| windows(records) >= closed);
        assert_eq!(windows(&reader.records), closed, "{engine}");
    }
    footage.come_late();
    footage.film(footage::HALF..footage::FRAMES);
    footage.end();
    assert!(footage.records >= 10_000, "{} records", footage.records);

    let all = (CAMERAS * (footage::WINDOWS + 1)) as usize;
    for (engine, reader) in &mut readers {
        reader.until(&format!("all of {engine}"), |records| records.len() >= all);
        reader.read();
    }
    native.terminate();
    assert_eq!(native.exit_code(), 0, "{}", native.said());
    let [native, flink] = readers.map(|(engine, reader)| {
        let said = said(&reader);
        right(&said, &footage, engine);
        said
    });
    assert_eq!(native.keys().collect::<Vec<_>>(), flink.keys().collect::<Vec<_>>());
    for (key, native) in &native {
        let flink = &flink[key];
        assert_eq!(native.output, flink.output, "{key:?}");
        assert_eq!(native.timestamp_ms, flink.timestamp_ms, "{key:?}");
    }
}
