//! A data set is complete, or it is made complete; and it never takes the place of something else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::manifest::{Manifest, Shape};
use super::scratch::Scratch;
use super::source::Choice;
use super::{folder, prepare};

const SHAPE: Shape = Shape { streams: 5, width: 96, quality: 6 };

/// A place for one test, with a folder of twelve pictures that ffmpeg made; `None` without ffmpeg.
fn place(test: &str) -> Option<(Scratch, PathBuf)> {
    let scratch = Scratch::new(&std::env::temp_dir(), &format!("cctv-dataset-test-{test}")).unwrap();
    let images = scratch.path().join("images");
    fs::create_dir(&images).unwrap();
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=10", "-frames:v", "12"])
        .arg(images.join("%02d.jpg"))
        .status();
    if made.is_ok_and(|status| status.success()) {
        return Some((scratch, images));
    }
    eprintln!("skipped: ffmpeg is not installed");
    None
}

fn make(images: &Path, shape: Shape, out: &Path) -> Result<(Manifest, bool), String> {
    let cache = images.with_file_name("cache");
    let choice = Choice::new(None, Some(images), &cache).map_err(|failure| failure.message)?;
    prepare(&choice, shape, out, &cache).map_err(|failure| failure.message)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn pieces_are_contiguous_and_hold_every_frame_once() {
    let Some((scratch, images)) = place("pieces") else { return };
    let out = scratch.path().join("deep/set");
    let (manifest, reused) = make(&images, SHAPE, &out).unwrap();
    assert!(!reused);
    assert_eq!((manifest.frames, manifest.width, manifest.height), (12, 96, 72));
    let pieces: Vec<Vec<String>> = (1..=5).map(|n| names(&out.join(format!("data-{n}")))).collect();
    let files: Vec<&String> = pieces.iter().flatten().filter(|name| name.ends_with(".jpg")).collect();
    let expected: Vec<String> = (0..12).map(|frame| format!("{frame:06}.jpg")).collect();
    assert_eq!(files, expected.iter().collect::<Vec<_>>());
    assert!(pieces.iter().all(|piece| piece.contains(&"truth.csv".to_owned()) && piece.len() >= 3));
    assert_eq!(names(out.parent().unwrap()), ["set"], "nothing else is left behind");
}

#[test]
fn a_complete_one_is_reused_and_a_damaged_one_built_again() {
    let Some((scratch, images)) = place("damaged") else { return };
    let out = scratch.path().join("set");
    let (first, _) = make(&images, SHAPE, &out).unwrap();
    assert_eq!(make(&images, SHAPE, &out).unwrap(), (first.clone(), true));
    let frame = out.join("data-3/000005.jpg");
    for damage in ["gone", "cut", "no truth", "no manifest", "broken manifest"] {
        match damage {
            "gone" => fs::remove_file(&frame).unwrap(),
            "cut" => fs::write(&frame, b"\xff\xd8").unwrap(),
            "no truth" => fs::remove_file(out.join("data-1/truth.csv")).unwrap(),
            "no manifest" => fs::remove_file(out.join("dataset.json")).unwrap(),
            _ => fs::write(out.join("dataset.json"), b"{").unwrap(),
        }
        assert_eq!(make(&images, SHAPE, &out).unwrap(), (first.clone(), false), "{damage}");
        assert!(frame.is_file(), "{damage}");
    }
    let other = Shape { streams: 3, ..SHAPE };
    let (manifest, reused) = make(&images, other, &out).unwrap();
    assert_eq!((manifest.streams.len(), reused), (3, false));
    assert!(!out.join("data-4").exists(), "no stream of the old data set stays");
    fs::write(images.join("13.jpg"), fs::read(images.join("12.jpg")).unwrap()).unwrap();
    assert_eq!(make(&images, other, &out).unwrap().0.frames, 13, "another source is noticed");
}

#[test]
fn what_is_not_a_data_set_is_left_alone() {
    let Some((scratch, images)) = place("foreign") else { return };
    let out = scratch.path().join("home");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("letter.txt"), "dear").unwrap();
    let refused = make(&images, SHAPE, &out).unwrap_err();
    assert!(refused.contains("letter.txt") && refused.contains("no part of a data set"), "{refused}");
    assert_eq!(names(&out), ["letter.txt"]);
    fs::remove_file(out.join("letter.txt")).unwrap();
    assert!(make(&images, SHAPE, &out).is_ok(), "an empty folder will do");
}

#[test]
fn bad_sources_are_named() {
    let Some((scratch, images)) = place("sources") else { return };
    let out = scratch.path().join("set");
    let many = make(&images, Shape { streams: 13, ..SHAPE }, &out).unwrap_err();
    assert!(many.contains("12 frames, too few for 13 streams"), "{many}");
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let none = make(&empty, SHAPE, &out).unwrap_err();
    assert!(none.contains("holds no .jpg file"), "{none}");
    fs::write(empty.join("a.jpg"), b"this is not a picture").unwrap();
    let broken = make(&empty, SHAPE, &out).unwrap_err();
    assert!(broken.contains("`ffmpeg") && broken.contains("ended with"), "{broken}");
    let gone = Choice::new(Some(&scratch.path().join("gone.avi")), None, scratch.path()).unwrap_err();
    assert!(gone.message.contains("gone.avi is not a file"), "{gone}");
    assert!(!out.exists(), "nothing half-made is left");
}

#[test]
fn an_unfinished_one_vanishes() {
    let scratch = Scratch::new(&std::env::temp_dir(), "cctv-dataset-test-unfinished").unwrap();
    let out = scratch.path().join("set");
    let building = folder::Building::beside(&out).unwrap();
    fs::write(building.path().join("x"), "x").unwrap();
    // Process ids end at 4194304 (proc(5), pid_max), so this one is of nobody.
    fs::create_dir(scratch.path().join(".dataset-4194305")).unwrap();
    drop(building);
    drop(folder::Building::beside(&out).unwrap());
    assert_eq!(names(scratch.path()), Vec::<String>::new());
}
