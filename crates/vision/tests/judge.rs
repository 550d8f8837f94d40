//! What a job's judge counts, leaves alone, checks and drops.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use frame::{CameraId, Counted, Header};
use vision::Judge;

/// A grey picture.
fn picture() -> Vec<u8> {
    let mut jpeg = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
    encoder.encode(&[128; 64 * 48], 64, 48, jpeg_encoder::ColorType::Luma).unwrap();
    jpeg
}

fn header(sequence: u64) -> Header {
    let mut header = Header::new(CameraId::new("c").unwrap(), sequence, 1_000 * sequence);
    header.gated = true;
    header
}

#[test]
fn counts_what_has_no_count_and_drops_what_is_no_picture() {
    let mut judge = Judge::new("motion", 0).unwrap();
    let mut fresh = header(0);
    assert_eq!(judge.count(&mut fresh, &picture()), Ok(()));
    assert_eq!(fresh.people, Some(Counted { people: 0, counter: "motion".into() }));

    let given = Counted { people: 7, counter: "somebody".into() };
    let mut counted = Header { people: Some(given.clone()), truth: Some(9), ..header(1) };
    assert_eq!(judge.count(&mut counted, b"never looked at"), Ok(()));
    assert_eq!(counted.people, Some(given));

    let mut empty = header(2);
    assert_eq!((judge.count(&mut empty, b""), &empty.people), (Ok(()), &None));
    assert_eq!(judge.count(&mut header(3), b"no picture"), Err("corrupt"));
    let figures = [("truth_frames.somebody", 1), ("abs_error_sum.somebody", 2), ("error_sum.somebody", -2)];
    assert_eq!(judge.scores().figures(), figures.map(|(key, figure)| (key.to_owned(), figure)));
    assert!(Judge::new("yolo", 0).is_err());
}

#[test]
fn one_frame_in_so_many_is_checked_and_sums_add_up() {
    let mut judge = Judge::new("motion", 4).unwrap();
    let picture = picture();
    for sequence in 0..32 {
        judge.count(&mut Header { truth: Some(0), ..header(sequence) }, &picture).unwrap();
    }
    let mut sum = judge.scores().clone();
    sum.merge(judge.scores());
    let figure = |name: &str| sum.figures().into_iter().find(|(key, _)| key == name).unwrap().1;
    assert_eq!(figure("check_frames"), 16, "one of four, twice 32 frames");
    assert_eq!(figure("truth_frames.nanodet"), 16);
    assert_eq!(figure("truth_frames.motion"), 64);
}
