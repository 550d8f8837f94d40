//! The native job on Apache Kafka, and frames for it whose windows are known beforehand.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use frame::{CameraEnd, CameraId, Counted, Header, Window};
use meter::Account;
use rdkafka::message::{Header as RecordHeader, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tempfile::TempDir;

use super::apache::PATIENCE;
use super::apache::kafka::Kafka;
use super::apache::process::Process;
use super::apache::topic::{Output, Written};

/// Partitions of the input and the output.
pub(crate) const PARTITIONS: i32 = 4;

/// Cameras, enough for every partition to have some.
pub(crate) const CAMERAS: u64 = 24;

/// Frames of a camera in a window.
pub(crate) const PER_WINDOW: u64 = 10;

const STEP_NS: u64 = 100_000_000;

/// A folder for a job, and the brokers it works with.
pub(crate) struct Bench {
    dir: TempDir,
    urls: String,
}

impl Bench {
    /// Makes the topics and the job file: windows of one second, a transaction every 200 ms.
    pub(crate) fn new(kafka: &Kafka) -> Self {
        let (urls, partitions) = (kafka.urls(), PARTITIONS.to_string());
        let replication = urls.split(',').count().to_string();
        let created = Command::new(env!("CARGO_BIN_EXE_cctv"))
            .args(["topic", "create", "--kafka", &urls, "--partitions", &partitions, "--timeout", "60s"])
            .args(["--replication", &replication, "in-uni-data", "out-uni-data"])
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        let dir = tempfile::tempdir().unwrap();
        let job = r#"{"input_topic":"in-uni-data","output_topic":"out-uni-data","group_id":"counting",
            "counter":"motion","watermark_bound_ms":500,"idle_ms":120000,"window_ms":1000,
            "guarantee":"exactly-once","checkpoint_ms":200}"#;
        fs::write(dir.path().join("job.json"), job).unwrap();
        Self { dir, urls }
    }

    /// A file or folder of this bench.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A job that does not run yet.
    pub(crate) fn job(&self, id: &str, more: &[&str]) -> Process {
        let (spec, metrics) = (self.path("job.json"), self.path("metrics"));
        let args = ["job", "--id", id, "--spec", &spec.display().to_string(), "--kafka", &self.urls]
            .into_iter()
            .chain(["--metrics", &metrics.display().to_string(), "--parallelism", "2"])
            .chain(["--connect-timeout", "60s", "--drain-timeout", "120s"])
            .chain(more.iter().copied())
            .map(str::to_owned)
            .collect();
        let log = self.path(&format!("job-{id}.log"));
        Process::new(&format!("job {id}"), env!("CARGO_BIN_EXE_cctv"), args, &log)
    }

    /// The account that a job has left.
    pub(crate) fn account(&self, id: &str) -> Account {
        Account::read(&self.path("metrics").join(format!("job-{id}.account.json"))).unwrap()
    }

    /// Whether a job has said that it is ready.
    pub(crate) fn is_ready(&self, id: &str) -> bool {
        self.path("metrics").join(format!("job-{id}.ready")).exists()
    }
}

/// Frames of all cameras, one of each in turn, already counted, in steps of a tenth of a second of event time.
pub(crate) struct Feeder {
    producer: BaseProducer,
    start_unix_ns: u64,
    /// Frames sent of each camera.
    pub(crate) sent: u64,
}

impl Feeder {
    /// A feeder whose first frame was taken at the beginning of a window, some minutes ago.
    pub(crate) fn new(kafka: &Kafka) -> Self {
        let producer = kafka
            .client()
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .create()
            .unwrap();
        let now = meter::Clock::system().unix_ns();
        Self { producer, start_unix_ns: now - now % 1_000_000_000 - 1_200_000_000_000, sent: 0 }
    }

    /// Sends so many frames of each camera, and waits until Kafka has them.
    pub(crate) fn send(&mut self, frames: u64) {
        for sequence in self.sent..self.sent + frames {
            for camera in 0..CAMERAS {
                let mut header = self.header(camera, sequence);
                header.people = Some(Counted { people: (sequence % 5) as u32, counter: "motion".into() });
                self.produce(&header);
            }
        }
        self.sent += frames;
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Ends all cameras.
    pub(crate) fn end(&self) {
        for camera in 0..CAMERAS {
            let mut header = self.header(camera, self.sent);
            header.last = true;
            self.produce(&header);
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    fn header(&self, camera: u64, sequence: u64) -> Header {
        let camera = CameraId::new(&format!("camera-{camera}")).unwrap();
        Header::new(camera, sequence, self.start_unix_ns + sequence * STEP_NS)
    }

    fn produce(&self, header: &Header) {
        let headers = header.to_pairs().into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(RecordHeader { key, value: Some(value.as_str()) })
        });
        let mut record =
            BaseRecord::to("in-uni-data").key(header.camera.as_str()).payload("").headers(headers);
        while let Err((_, back)) = self.producer.send(record) {
            record = back;
            self.producer.poll(PATIENCE / 1000);
        }
    }

    /// Every window there should be is there once, holds its frames, and every camera's end says the same.
    pub(crate) fn check(&self, records: &[Written]) {
        let windows = self.sent.div_ceil(PER_WINDOW);
        let mut found = BTreeMap::<(String, u64), Window>::new();
        let mut ends = BTreeMap::<String, CameraEnd>::new();
        for record in records {
            match &record.output {
                Output::Window(window) => {
                    let number = (window.start_unix_ns - self.start_unix_ns) / (PER_WINDOW * STEP_NS);
                    let again = found.insert((window.camera.to_string(), number), window.clone());
                    assert!(again.is_none(), "twice: {window:?}");
                }
                Output::End(_, end) => {
                    let again = ends.insert(end.camera.to_string(), end.clone());
                    assert!(again.is_none(), "twice: {end:?}");
                }
            }
        }
        assert_eq!((found.len() as u64, ends.len() as u64), (windows * CAMERAS, CAMERAS));
        for ((camera, number), window) in &found {
            let first = number * PER_WINDOW;
            let frames = PER_WINDOW.min(self.sent - first);
            assert_eq!(u64::from(window.frames), frames, "{camera}: {window:?}");
            assert_eq!((window.first_sequence, window.last_sequence), (first, first + frames - 1));
            assert_eq!((u64::from(window.counted), window.late), (frames, 0), "{window:?}");
            assert_eq!(window.last, number + 1 == windows, "{window:?}");
        }
        for end in ends.values() {
            assert_eq!((end.windows, end.frames_in, end.frames_out), (windows, self.sent, self.sent));
            assert_eq!((end.duplicates, end.dropped.len()), (0, 0), "{end:?}");
        }
    }
}
