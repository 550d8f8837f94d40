//! Frames of many cameras as gateways would forward them, with everything that goes wrong on the way, written to Kafka
//! in an order that leaves no doubt about what a job has to say.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it does, and fails loudly")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use frame::{CameraId, Counted, Header, stable_hash};
use rdkafka::message::{Header as RecordHeader, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use vision::{Gate, GateOptions, Gated};

use super::apache::PATIENCE;
use super::apache::kafka::Kafka;

/// Every partition has two cameras, so that none is idle.
pub(crate) const PARTITIONS: i32 = 32;
pub(crate) const CAMERAS: u64 = 64;
/// Length of a window.
pub(crate) const WINDOW_NS: u64 = 1_000_000_000;
/// How far out of order the frames of a partition may come; they come by less.
pub(crate) const BOUND_NS: u64 = 500_000_000;
/// Frames of each camera; the second half is filmed when the windows of the first are out.
pub(crate) const FRAMES: u64 = 156;
pub(crate) const HALF: u64 = 100;
/// Windows of each camera, and those that are closed when its first half has been read.
pub(crate) const WINDOWS: u64 = 16;
pub(crate) const CLOSED_AT_HALF: u64 = 9;

const STEP_NS: u64 = 100_000_000;

/// What became of a camera's records, as far as a job can know.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) good: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    corrupt: u64,
    bad_header: u64,
    future: u64,
    next_sequence: u64,
}

impl Sent {
    /// The reasons of a camera's account.
    pub(crate) fn dropped(&self) -> BTreeMap<String, u64> {
        let all = [
            ("bad-header", self.bad_header),
            ("corrupt", self.corrupt),
            ("future", self.future),
            ("late", self.late),
        ];
        all.into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name.to_owned(), count))
            .collect()
    }
}

/// A record on its way.
struct Shot {
    /// When it comes, in event time.
    comes_ns: u64,
    camera: u64,
    headers: Vec<(String, String)>,
    payload: Vec<u8>,
}

/// See the module.
pub(crate) struct Footage {
    producer: BaseProducer,
    streams: Vec<Vec<Vec<u8>>>,
    gate: Gate,
    start_unix_ns: u64,
    pub(crate) sent: BTreeMap<String, Sent>,
    /// Records written, whatever they were.
    pub(crate) records: usize,
}

impl Footage {
    /// Cameras that begin at the beginning of a window, some minutes ago.
    pub(crate) fn new(kafka: &Kafka) -> Self {
        let mut config = kafka.client();
        let producer = config.set("enable.idempotence", "true").set("linger.ms", "5").create().unwrap();
        let now = meter::Clock::system().unix_ns();
        Self {
            producer,
            streams: streams(),
            gate: Gate::new(GateOptions::default()),
            start_unix_ns: now - now % WINDOW_NS - 600 * WINDOW_NS,
            sent: (0..CAMERAS).map(|camera| (name(camera), Sent::default())).collect(),
            records: 0,
        }
    }

    /// Films these frames with all cameras, and writes what comes of it in the order in which it comes.
    pub(crate) fn film(&mut self, frames: Range<u64>) {
        let mut shots = Vec::new();
        for number in frames {
            for camera in 0..CAMERAS {
                self.shoot(camera, number, &mut shots);
            }
        }
        shots.sort_by_key(|shot| shot.comes_ns);
        shots.iter().for_each(|shot| self.write(shot));
        self.producer.flush(PATIENCE).unwrap();
    }

    fn shoot(&mut self, camera: u64, number: u64, shots: &mut Vec<Shot>) {
        let dice = stable_hash(&format!("{camera} {number}"));
        let captured = self.start_unix_ns + number * STEP_NS + camera * (STEP_NS / CAMERAS);
        let mut header = self.header(camera, captured);
        header.truth = dice.is_multiple_of(3).then_some((dice % 11) as u32);
        let stream = &self.streams[camera as usize % self.streams.len()];
        let picture = stream[(number + camera) as usize % stream.len()].clone();
        let mut payload = self.forward(camera, &mut header, picture);
        let sent = self.sent.get_mut(header.camera.as_str()).unwrap();
        let mut pairs: Vec<(String, String)> =
            header.to_pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        match dice / 16 % 100 {
            0 if header.people.is_none() => {
                payload.truncate(payload.len() / 2);
                sent.corrupt += 1;
            }
            1 => {
                pairs.retain(|(key, _)| key != "captured_unix_ns");
                sent.bad_header += 1;
            }
            2 => {
                pairs.push(("camera".to_owned(), header.camera.to_string()));
                sent.bad_header += 1;
            }
            3 => {
                let ahead = captured + 3600 * WINDOW_NS;
                pairs
                    .iter_mut()
                    .filter(|(key, _)| key == "captured_unix_ns")
                    .for_each(|p| p.1 = ahead.to_string());
                sent.future += 1;
            }
            _ => sent.good += 1,
        }
        let comes_ns = captured + dice / 2048 % (BOUND_NS * 9 / 10);
        let readable = !matches!(dice / 16 % 100, 1 | 2);
        if readable && (dice / 4096).is_multiple_of(25) {
            sent.duplicates += 1;
            let (headers, payload) = (pairs.clone(), payload.clone());
            shots.push(Shot { comes_ns: comes_ns + STEP_NS * 3, camera, headers, payload });
        }
        shots.push(Shot { comes_ns, camera, headers: pairs, payload });
    }

    /// What a gateway makes of a picture: most gate, some forward it as it is, some count.
    fn forward(&mut self, camera: u64, header: &mut Header, picture: Vec<u8>) -> Vec<u8> {
        let counted = |people, counter: &str| Some(Counted { people, counter: counter.to_owned() });
        match camera % 8 {
            0 => picture,
            1 => {
                let counter = if header.sequence.is_multiple_of(3) { "nanodet" } else { "motion" };
                header.people = counted((header.sequence % 9) as u32, counter);
                Vec::new()
            }
            _ => match self.gate.gate(&header.camera, &picture).unwrap() {
                Gated::Learning => picture,
                Gated::Still => {
                    header.gated = true;
                    header.people = counted(0, "motion");
                    Vec::new()
                }
                Gated::Moving { jpeg, .. } => {
                    header.gated = true;
                    jpeg
                }
            },
        }
    }

    /// Frames of every fourth camera for windows that are long closed.
    pub(crate) fn come_late(&mut self) {
        for camera in (0..CAMERAS).step_by(4) {
            for number in 20..23 {
                let mut header = self.header(camera, self.start_unix_ns + number * STEP_NS);
                header.gated = true;
                header.people = Some(Counted { people: 1, counter: "motion".to_owned() });
                self.sent.get_mut(header.camera.as_str()).unwrap().late += 1;
                self.write_header(camera, &header);
            }
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// Ends all cameras. Two records that belong to nobody go with it.
    pub(crate) fn end(&mut self) {
        let lost = Shot { comes_ns: 0, camera: 0, headers: Vec::new(), payload: b"whose is this?".to_vec() };
        self.produce(&lost, "no camera's name");
        for camera in 0..CAMERAS {
            let mut marker = self.header(camera, self.start_unix_ns + FRAMES * STEP_NS + camera);
            marker.last = true;
            self.write_header(camera, &marker);
        }
        self.produce(&lost, "");
        self.producer.flush(PATIENCE).unwrap();
    }

    fn header(&mut self, camera: u64, captured_unix_ns: u64) -> Header {
        let sent = self.sent.get_mut(&name(camera)).unwrap();
        sent.next_sequence += 1;
        let mut header =
            Header::new(CameraId::new(&name(camera)).unwrap(), sent.next_sequence - 1, captured_unix_ns);
        header.received_fog_unix_ns = Some(captured_unix_ns + 7);
        header
    }

    fn write_header(&mut self, camera: u64, header: &Header) {
        let headers = header.to_pairs().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.write(&Shot { comes_ns: 0, camera, headers, payload: Vec::new() });
    }

    fn write(&mut self, shot: &Shot) {
        self.produce(shot, &name(shot.camera));
    }

    /// Partitions are given and not hashed: each has its cameras.
    fn produce(&mut self, shot: &Shot, key: &str) {
        let headers = shot.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(RecordHeader { key, value: Some(value.as_str()) })
        });
        let partition = (shot.camera % PARTITIONS as u64) as i32;
        let mut record =
            BaseRecord::to("in").partition(partition).key(key).payload(&shot.payload).headers(headers);
        while let Err((_, back)) = self.producer.send(record) {
            record = back;
            self.producer.poll(PATIENCE / 1000);
        }
        self.records += 1;
    }
}

fn name(camera: u64) -> String {
    format!("camera-{camera}")
}

/// The pictures of the data set that `FOGLINE_DATASET` names, else of a walker before a wall.
fn streams() -> Vec<Vec<Vec<u8>>> {
    let Some(folder) = std::env::var_os("FOGLINE_DATASET").map(PathBuf::from) else {
        eprintln!("without a data set in FOGLINE_DATASET the pictures are drawn");
        return (0..4).map(|offset| (0..24).map(|number| walker(offset * 3 + number)).collect()).collect();
    };
    (1..=40).map(|number| stream(&folder.join(format!("data-{number}")))).collect()
}

fn stream(folder: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jpg"));
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A bright walker before a textured wall.
fn walker(number: usize) -> Vec<u8> {
    let (width, height) = (192usize, 144usize);
    let left = 20 + number * 5;
    let pixels: Vec<u8> = (0..width * height)
        .map(|at| {
            let (x, y) = (at % width, at / width);
            let inside = (left..left + 14).contains(&x) && (60..110).contains(&y);
            if inside { 230 } else { ((x * 7 + y * 3) % 64) as u8 + 40 }
        })
        .collect();
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder.encode(&pixels, width as u16, height as u16, jpeg_encoder::ColorType::Luma).unwrap();
    jpeg
}
