//! Measures the counters and the gate on the campus sequence: error, cost, and bytes.
//!
//! ```text
//! cctv dataset --out DIR
//! FOGLINE_DATASET=DIR [FOGLINE_TRUTH=counts.csv] cargo run --release -p vision --example measure [-- WHAT]
//! ```
//!
//! The truth is the data set's own (40 hand counts) and, when `FOGLINE_TRUTH` names a file of `frame,count` lines
//! with a count for every frame, that file. Frames from 397 on are "held": no threshold was chosen on them. "loop" is how
//! the experiment uses the sequence: 40 cameras, each of which replays its own piece over and over, here three
//! times; "once" is one camera that sees the whole sequence once. CPU is that of the process, per frame.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use frame::CameraId;
use vision::{Counter, Gate, GateOptions, Gated, MotionCounter, NanoDet};

const HELD_FROM: u32 = 397;
const ROUNDS: usize = 3;

struct Frame {
    position: u32,
    jpeg: Vec<u8>,
}

/// Sums of errors over frames with a known truth.
#[derive(Default)]
struct Errors {
    frames: f64,
    absolute: f64,
    signed: f64,
}

impl Errors {
    fn add(&mut self, people: u32, truth: u32) {
        self.frames += 1.0;
        self.absolute += f64::from(people.abs_diff(truth));
        self.signed += f64::from(people) - f64::from(truth);
    }

    fn mean(&self) -> String {
        if self.frames == 0.0 { "-".to_owned() } else { format!("{:.2}", self.absolute / self.frames) }
    }

    fn bias(&self) -> String {
        if self.frames == 0.0 { "-".to_owned() } else { format!("{:+.2}", self.signed / self.frames) }
    }
}

/// What one way of counting came to.
#[derive(Default)]
struct Score {
    all: Errors,
    chosen: Errors,
    held: Errors,
    hand: Errors,
    frames: u32,
    uncounted: u32,
    fog_ns: u64,
    cloud_ns: u64,
    bytes: u64,
    kept: f64,
    gated: u32,
    still: u32,
}

struct Truth {
    hand: BTreeMap<u32, u32>,
    every: BTreeMap<u32, u32>,
}

impl Score {
    fn note(&mut self, position: u32, people: Option<u32>, truth: &Truth) {
        self.frames += 1;
        let Some(people) = people else {
            self.uncounted += 1;
            return;
        };
        if let Some(truth) = truth.hand.get(&position) {
            self.hand.add(people, *truth);
        }
        if let Some(truth) = truth.every.get(&position) {
            self.all.add(people, *truth);
            let half = if position < HELD_FROM { &mut self.chosen } else { &mut self.held };
            half.add(people, *truth);
        }
    }

    fn print(&self, name: &str) {
        let frames = f64::from(self.frames);
        println!(
            "| {name} | {} | {} | {} | {} | {} | {:.2} | {:.2} | {:.1} | {} | {} | {} |",
            self.all.mean(),
            self.chosen.mean(),
            self.held.mean(),
            self.all.bias(),
            self.hand.mean(),
            self.fog_ns as f64 / frames / 1e6,
            self.cloud_ns as f64 / frames / 1e6,
            self.bytes as f64 / frames / 1e3,
            if self.gated > 0 {
                format!("{:.0} %", 100.0 * self.kept / f64::from(self.gated))
            } else {
                "-".into()
            },
            self.still,
            self.uncounted,
        );
    }
}

/// CPU time of this process, all threads, in nanoseconds.
fn cpu_ns() -> u64 {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").expect("proc(5)").flatten() {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        total += schedstat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    total
}

/// Runs `work` and returns its result with its CPU time. The kernel brings a thread's time up to date only at its
/// ticks, so `work` should last for seconds.
fn measured<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let before = cpu_ns();
    let result = work();
    // A thread that ended in between takes its time with it.
    (result, cpu_ns().saturating_sub(before))
}

fn read_counts(file: &Path) -> BTreeMap<u32, u32> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let lines = text.lines().filter_map(|line| {
        let (name, people) = line.split_once(',')?;
        Some((name.trim_end_matches(".jpg").parse().ok()?, people.trim().parse().ok()?))
    });
    lines.collect()
}

fn read_streams(folder: &Path) -> (Vec<Vec<Frame>>, Truth) {
    let mut streams = Vec::new();
    let mut hand = BTreeMap::new();
    for number in 1.. {
        let stream = folder.join(format!("data-{number}"));
        if !stream.is_dir() {
            break;
        }
        hand.extend(read_counts(&stream.join("truth.csv")));
        let mut frames = Vec::new();
        for file in fs::read_dir(&stream).expect("a stream's folder").flatten().map(|entry| entry.path()) {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if file.extension().is_some_and(|extension| extension == "jpg") {
                let position = name.parse().expect("frames are named by their position");
                frames.push(Frame { position, jpeg: fs::read(&file).expect("a frame") });
            }
        }
        frames.sort_by_key(|frame| frame.position);
        streams.push(frames);
    }
    let every = std::env::var_os("FOGLINE_TRUTH").map(|file| read_counts(Path::new(&file)));
    (streams, Truth { hand, every: every.unwrap_or_default() })
}

/// Counts on whole frames.
fn whole(counter: &mut dyn Counter, playing: &[(CameraId, &Frame)], truth: &Truth) -> Score {
    let mut score = Score::default();
    let (counts, ns) = measured(|| {
        let counts = playing.iter().map(|(camera, frame)| counter.count(camera, &frame.jpeg, false));
        counts.collect::<Result<Vec<_>, _>>().expect("JPEGs")
    });
    score.cloud_ns = ns;
    for ((_, frame), count) in playing.iter().zip(counts) {
        score.bytes += frame.jpeg.len() as u64;
        score.note(frame.position, count.map(|count| count.people), truth);
    }
    score
}

/// Gates, and counts on what the gate lets through; `None` takes the gate's own estimate.
fn gated(
    options: GateOptions,
    counter: Option<&mut dyn Counter>,
    playing: &[(CameraId, &Frame)],
    truth: &Truth,
) -> Score {
    let (mut score, mut gate) = (Score::default(), Gate::new(options));
    let (outcomes, ns) = measured(|| {
        let outcomes = playing.iter().map(|(camera, frame)| gate.gate(camera, &frame.jpeg));
        outcomes.collect::<Result<Vec<_>, _>>().expect("JPEGs")
    });
    score.fog_ns = ns;
    let mut sent = Vec::new();
    for ((camera, frame), outcome) in playing.iter().zip(&outcomes) {
        match outcome {
            Gated::Learning => sent.push((camera, frame, &frame.jpeg, None)),
            Gated::Still => {
                score.still += 1;
                score.note(frame.position, Some(0), truth);
            }
            Gated::Moving { jpeg, kept, people } => {
                score.kept += f64::from(*kept);
                score.gated += 1;
                sent.push((camera, frame, jpeg, Some(*people)));
            }
        }
    }
    let mut counter = counter;
    let (counts, ns) = measured(|| {
        let counts = sent.iter().map(|(camera, _, jpeg, estimate)| match &mut counter {
            None => *estimate,
            Some(counter) => {
                let count = counter.count(camera, jpeg, estimate.is_some()).expect("a JPEG");
                count.map(|count| count.people)
            }
        });
        counts.collect::<Vec<_>>()
    });
    score.cloud_ns = ns;
    for ((_, frame, jpeg, _), people) in sent.iter().zip(counts) {
        score.bytes += jpeg.len() as u64;
        score.note(frame.position, people, truth);
    }
    score
}

/// The detector's error for each least score, so that one can be chosen. Suppression goes from sure to unsure, so
/// one pass with a low least score tells the counts for all higher ones.
fn print_scores(playing: &[(CameraId, &Frame)], truth: &Truth) {
    let steps: Vec<f32> = (0..16).map(|step| 0.30 + 0.02 * step as f32).collect();
    for hold_frames in [None, Some(0), Some(2)] {
        let mut counter = NanoDet::new().expect("the model").with_score_min(steps[0]);
        let mut gate =
            hold_frames.map(|hold_frames| Gate::new(GateOptions { hold_frames, ..GateOptions::default() }));
        let mut scores: Vec<Score> = steps.iter().map(|_| Score::default()).collect();
        for (camera, frame) in playing {
            let gated = gate.as_mut().map(|gate| gate.gate(camera, &frame.jpeg).expect("a JPEG"));
            let jpeg = match &gated {
                Some(Gated::Moving { jpeg, .. }) => jpeg,
                _ => &frame.jpeg,
            };
            let count = counter.count(camera, jpeg, false).expect("a JPEG").expect("a count");
            for (score, step) in scores.iter_mut().zip(&steps) {
                let people = count.boxes.iter().filter(|found| found.score >= *step).count();
                score.note(frame.position, u32::try_from(people).ok(), truth);
            }
        }
        for (score, step) in scores.iter().zip(&steps) {
            score.print(&format!("nanodet from {step:.2}, hold {hold_frames:?}"));
        }
    }
}

fn main() {
    let folder =
        std::env::var_os("FOGLINE_DATASET").expect("FOGLINE_DATASET names the data set (cctv dataset)");
    let what = std::env::args().nth(1).unwrap_or_default();
    let (streams, truth) = read_streams(Path::new(&folder));
    let one = CameraId::new("one").expect("a name");
    let once: Vec<_> = streams.iter().flatten().map(|frame| (one.clone(), frame)).collect();
    let mut looped = Vec::new();
    for (index, stream) in streams.iter().enumerate() {
        let camera = CameraId::new(&format!("data-{}", index + 1)).expect("a name");
        looped.extend((0..ROUNDS).flat_map(|_| stream).map(|frame| (camera.clone(), frame)));
    }
    println!(
        "| counter | MAE all | MAE < 397 | MAE held | bias | MAE hand | fog ms | cloud ms | KB | kept | still | uncounted |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    if what == "scores" {
        print_scores(&once, &truth);
        return;
    }
    // It stays until the end: a thread that ends takes its CPU time out of the sum.
    let mut nanodet = (what != "motion").then(|| NanoDet::new().expect("the model"));
    for (regime, playing) in [("once", &once), ("loop", &looped)] {
        let name = |what: &str| format!("{what}, {regime}");
        whole(&mut MotionCounter::new(), playing, &truth).print(&name("motion"));
        let options = GateOptions::default();
        gated(options, None, playing, &truth).print(&name("gate's own estimate"));
        gated(options, Some(&mut MotionCounter::new()), playing, &truth).print(&name("gate + motion"));
        let held = GateOptions { hold_frames: 2, ..options };
        gated(held, Some(&mut MotionCounter::new()), playing, &truth).print(&name("gate (hold 2) + motion"));
        if let Some(nanodet) = &mut nanodet {
            whole(nanodet, playing, &truth).print(&name("nanodet"));
            for hold_frames in [0, 2] {
                let options = GateOptions { hold_frames, ..options };
                let title = name(&format!("gate (hold {hold_frames}) + nanodet"));
                gated(options, Some(&mut *nanodet), playing, &truth).print(&title);
            }
        }
    }
}
