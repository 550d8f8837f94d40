//! The three files say what was recorded, and broken files are named.
#![allow(clippy::unwrap_used, reason = "a test may end where it finds something unexpected")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use meter::{Account, Clock, Latency, MeterError, OTHERS, Recorder, Second, read_intervals, read_seconds};
use proptest::prelude::*;
use serde_json::json;

const NS: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * NS + 250_000_000;

/// A recorder with a clock that the test turns.
fn recorder(directory: &Path) -> (Recorder, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(START));
    let recorder = Recorder::create(directory, "gateway", "fog-1", Clock::by_hand(time.clone())).unwrap();
    (recorder, time)
}

fn file(directory: &Path, extension: &str) -> PathBuf {
    directory.join(format!("gateway-fog-1.{extension}"))
}

#[test]
fn what_happened_is_in_its_second_and_in_the_account() {
    let directory = tempfile::tempdir().unwrap();
    let (mut recorder, time) = recorder(&directory.path().join("deep/metrics"));
    let directory = directory.path().join("deep/metrics");
    recorder.frame_in("a", 1000);
    recorder.frame_in("a", 500);
    recorder.frame_out("a", 200);
    recorder.dropped("a", "still");
    recorder.latency("capture-to-fog", Duration::from_millis(40));
    recorder.latency("capture-to-fog", Duration::from_millis(60));
    recorder.latency("fog-to-cloud", Duration::from_millis(7));
    recorder.tick(START + NS / 10).unwrap();
    recorder.tick(START + 3 * NS).unwrap();
    recorder.frames_in("b", 3, 30);
    recorder.frames_out("b", 2, 20);
    recorder.dropped_n("b", "late", 1);
    recorder.duplicate("b");
    recorder.fact("cores", 2);
    time.store(START + 3 * NS + NS / 2, Ordering::Relaxed);
    let account = recorder.finish().unwrap();

    let seconds = read_seconds(&file(&directory, "csv")).unwrap();
    let counts: Vec<_> = seconds
        .iter()
        .map(|s| (s.second - START / NS, s.frames_in, s.frames_out, s.dropped, s.bytes_in, s.bytes_out))
        .collect();
    assert_eq!(
        counts,
        [(0, 2, 1, 1, 1500, 200), (1, 0, 0, 0, 0, 0), (2, 0, 0, 0, 0, 0), (3, 3, 2, 1, 30, 20)]
    );
    assert_eq!((seconds[0].latency_count, seconds[1].latency_count), (2, 0));
    assert!((seconds[0].latency_max_ms.unwrap() - 60.0).abs() < 0.1, "{:?}", seconds[0]);
    assert!(seconds[1].latency_p50_ms.is_none() && seconds.iter().all(|s| s.rss_kib > 0));

    assert_eq!(Account::read(&file(&directory, "account.json")).unwrap(), account);
    assert!(account.complete && account.unbalanced().is_empty() && account.rss_kib_max > 0);
    assert_eq!((account.started_unix_ns, account.ended_unix_ns), (START, START + 3 * NS + NS / 2));
    assert_eq!(account.latency_of, "capture-to-fog");
    assert_eq!((account.cameras["b"].duplicates, account.cameras["a"].dropped["still"]), (1, 1));
    assert_eq!((account.total().frames_in, account.total().dropped_total()), (5, 2));
    assert_eq!(account.facts["cores"], json!(2));

    let intervals = read_intervals(&file(&directory, "hlog")).unwrap();
    let tags: Vec<_> = intervals.iter().map(|i| (i.tag.as_str(), i.latency.count())).collect();
    assert_eq!(tags, [("capture-to-fog", 2), ("fog-to-cloud", 1)]);
    assert_eq!(intervals[0].start_unix_ns, START / NS * NS);
}

#[test]
fn the_account_while_running_is_whole_and_incomplete() {
    let directory = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(directory.path());
    let path = file(directory.path(), "account.json");
    assert!(!Account::read(&path).unwrap().complete);
    recorder.frame_in("a", 1);
    recorder.tick(START + 4 * NS).unwrap();
    assert!(Account::read(&path).unwrap().cameras.is_empty(), "not yet rewritten");
    recorder.tick(START + 5 * NS).unwrap();
    let account = Account::read(&path).unwrap();
    assert!(!account.complete);
    assert_eq!(account.unbalanced(), [("a", 1)]);
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn invented_cameras_do_not_fill_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(directory.path());
    for camera in 0..65_600 {
        recorder.frame_in(&format!("c{camera}"), 1);
    }
    recorder.frame_in("c0", 1);
    let account = recorder.account();
    assert_eq!(account.cameras.len(), 65_537);
    assert_eq!((account.cameras[OTHERS].frames_in, account.cameras["c0"].frames_in), (64, 2));
}

#[test]
fn a_clock_that_jumps_writes_no_mountain_of_lines() {
    let directory = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(directory.path());
    recorder.tick(START + 1_000_000 * NS).unwrap();
    recorder.tick(START).unwrap();
    recorder.finish().unwrap();
    let seconds = read_seconds(&file(directory.path(), "csv")).unwrap();
    assert_eq!(seconds.len(), 2);
}

#[test]
fn what_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let bad = Recorder::create(directory.path(), "gateway", "a/b", Clock::system());
    assert!(bad.err().unwrap().to_string().contains("instance \"a/b\""));
    let blocker = directory.path().join("blocker");
    fs::write(&blocker, "").unwrap();
    let blocked = Recorder::create(&blocker.join("x"), "gateway", "a", Clock::system());
    assert!(blocked.err().unwrap().to_string().contains("blocker"));
    let (mut recorder, _) = recorder(directory.path());
    recorder.latency("two words", Duration::from_millis(1));
    assert!(recorder.tick(START + 2 * NS).unwrap_err().to_string().contains("two words"));
}

fn content_error<T: std::fmt::Debug>(result: Result<T, MeterError>) -> (usize, String) {
    match result.unwrap_err() {
        MeterError::Content { line, reason, .. } => (line, reason),
        other => panic!("{other}"),
    }
}

#[test]
fn broken_files_are_named_with_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let header = Second::CSV_HEADER;
    for (text, line, words) in [
        ("a,b\n".to_owned(), 1, "first line should be"),
        (format!("{header}\n1,2\n"), 2, "2 columns, expected 12"),
        (format!("{header}\n1,x,0,0,0,0,0,,,,0,0\n"), 2, "frames_in is \"x\""),
        (format!("{header}\n1,0,0,0,0,0,0,,,,nan,0\n"), 2, "cpu_ms is \"nan\""),
    ] {
        fs::write(&path, text).unwrap();
        let (found, reason) = content_error(read_seconds(&path));
        assert!(found == line && reason.contains(words), "{found}: {reason}");
    }
    for (text, line, words) in [
        ("#x\nrubbish\n", 2, "not a line of a histogram log"),
        ("#x\n1.0,1.0,1.0,%%%\n", 2, "not base64"),
        ("Tag=a,1.0,1.0,1.0,AAAA\n", 1, "not an HDR histogram"),
    ] {
        fs::write(&path, text).unwrap();
        let (found, reason) = content_error(read_intervals(&path));
        assert!(found == line && reason.contains(words), "{found}: {reason}");
    }
    fs::write(&path, "{\n\"role\": 5}").unwrap();
    assert!(content_error(Account::read(&path)).1.contains("not an account"));
    assert!(read_seconds(&directory.path().join("gone")).unwrap_err().to_string().contains("gone"));
}

#[test]
fn the_last_line_of_a_killed_process_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(directory.path());
    for second in 1..4 {
        recorder.latency("t", Duration::from_millis(second));
        recorder.tick(START + second * NS).unwrap();
    }
    recorder.finish().unwrap();
    for (extension, whole) in [("csv", 4), ("hlog", 3)] {
        let path = file(directory.path(), extension);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 3]).unwrap();
        let left = match extension {
            "csv" => read_seconds(&path).unwrap().len(),
            _ => read_intervals(&path).unwrap().len(),
        };
        assert_eq!(left, whole - 1, "{extension}");
    }
}

#[test]
fn logs_of_other_writers_are_understood() {
    // No tag, a base time, and line ends of Windows, as other implementations may write them.
    let directory = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(directory.path());
    recorder.latency("t", Duration::from_millis(5));
    recorder.finish().unwrap();
    let path = file(directory.path(), "hlog");
    let text = fs::read_to_string(&path).unwrap();
    let base = START / NS - 100;
    let line =
        text.lines().last().unwrap().replace("Tag=t,", "").replacen(&format!("{}.", START / NS), "100.", 1);
    fs::write(&path, format!("#[BaseTime: {base}.000 (seconds since epoch)]\r\n{line}\r\n")).unwrap();
    let intervals = read_intervals(&path).unwrap();
    assert_eq!((intervals[0].tag.as_str(), intervals[0].start_unix_ns), ("", START / NS * NS));
    assert_eq!(intervals[0].latency.count(), 1);
}

proptest! {
    #[test]
    fn percentiles_are_right_within_three_digits(mut samples in proptest::collection::vec(1_000u64..600_000_000_000, 1..300), p in 0.0f64..100.0) {
        let mut latency = Latency::new();
        for sample in &samples {
            latency.record(Duration::from_nanos(*sample));
        }
        samples.sort_unstable();
        let rank = ((p / 100.0 * samples.len() as f64).ceil() as usize).clamp(1, samples.len());
        let (exact, found) = (samples[rank - 1] as f64, latency.percentile(p).unwrap().as_nanos() as f64);
        // Three digits, or the smallest step of one microsecond.
        prop_assert!((found - exact).abs() <= (exact * 0.001).max(1_000.0), "{exact} {found}");
        let listed = latency.percentiles(&[p])[0];
        prop_assert!(listed.beyond <= (samples.len() - rank) as u64);
        prop_assert_eq!(latency.steps().last().unwrap().1, samples.len() as u64);
    }

    #[test]
    fn merging_is_recording_together(a in proptest::collection::vec(0u64..700_000_000_000, 0..100), b in proptest::collection::vec(0u64..700_000_000_000, 0..100)) {
        let fill = |samples: &[u64]| {
            let mut latency = Latency::new();
            samples.iter().for_each(|sample| latency.record(Duration::from_nanos(*sample)));
            latency
        };
        let mut merged = fill(&a);
        merged.merge(&fill(&b));
        let together = fill(&[a, b].concat());
        prop_assert_eq!(merged.count(), together.count());
        prop_assert_eq!(merged.steps().collect::<Vec<_>>(), together.steps().collect::<Vec<_>>());
    }

    #[test]
    fn a_log_gives_back_what_was_recorded(samples in proptest::collection::vec((0u64..30, 0u64..700_000_000_000, any::<bool>()), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let (mut recorder, _) = recorder(directory.path());
        let mut samples = samples;
        samples.sort_unstable();
        let mut expected = [Latency::new(), Latency::new()];
        for (second, nanos, which) in samples {
            recorder.tick(START + second * NS).unwrap();
            let latency = Duration::from_nanos(nanos);
            recorder.latency(if which { "t1" } else { "t0" }, latency);
            expected[usize::from(which)].record(latency);
        }
        recorder.finish().unwrap();
        let mut found = [Latency::new(), Latency::new()];
        for interval in read_intervals(&file(directory.path(), "hlog")).unwrap() {
            found[usize::from(interval.tag == "t1")].merge(&interval.latency);
        }
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert_eq!(found.steps().collect::<Vec<_>>(), expected.steps().collect::<Vec<_>>());
        }
    }

    #[test]
    fn damaged_logs_never_panic(at in 0usize..2000, byte in any::<u8>()) {
        let directory = tempfile::tempdir().unwrap();
        let (mut recorder, _) = recorder(directory.path());
        recorder.latency("t", Duration::from_millis(5));
        recorder.finish().unwrap();
        for extension in ["hlog", "csv", "account.json"] {
            let path = file(directory.path(), extension);
            let mut text = fs::read(&path).unwrap();
            let at = at % text.len();
            text[at] = byte;
            fs::write(&path, text).unwrap();
        }
        let _ = read_intervals(&file(directory.path(), "hlog"));
        let _ = read_seconds(&file(directory.path(), "csv"));
        let _ = Account::read(&file(directory.path(), "account.json"));
    }
}
