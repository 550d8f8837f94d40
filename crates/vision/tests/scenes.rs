//! Painted scenes: what moves is found, what does not is blanked, and broken pictures are refused.
#![allow(clippy::unwrap_used, reason = "a test may end where it finds something unexpected")]

use frame::CameraId;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;
use vision::{Counter, Gate, GateOptions, Gated, ImageError, MotionCounter, counter};

const WIDTH: usize = 384;
const HEIGHT: usize = 288;
/// Frames that a new camera needs before its background is known.
const LEARNING: usize = 4;

fn camera(name: &str) -> CameraId {
    CameraId::new(name).unwrap()
}

/// A lawn with some texture, and people as dark rectangles given by their left upper corner. Their size is that
/// of a person in the middle of the campus sequence.
fn paint(width: usize, height: usize, people: &[(usize, usize)]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let texture = ((x * 7 + y * 13) % 23) as u8;
            let inside = |(left, top): &(usize, usize)| {
                (*left..left + 16).contains(&x) && (*top..top + 34).contains(&y)
            };
            let grey = if people.iter().any(inside) { 30 } else { 150 + texture };
            pixels.extend_from_slice(&[grey, grey.saturating_add(10), grey.saturating_sub(10)]);
        }
    }
    pixels
}

fn jpeg(people: &[(usize, usize)]) -> Vec<u8> {
    encode(&paint(WIDTH, HEIGHT, people), WIDTH, HEIGHT, ColorType::Rgb, |_| {})
}

fn encode(
    pixels: &[u8],
    width: usize,
    height: usize,
    kind: ColorType,
    set: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 85);
    set(&mut encoder);
    encoder.encode(pixels, width as u16, height as u16, kind).unwrap();
    jpeg
}

/// Three people far from each other, walking to the right.
fn walkers(step: usize) -> Vec<(usize, usize)> {
    vec![(20 + 12 * step, 110), (60 + 12 * step, 160), (10 + 12 * step, 215)]
}

fn teach(gate: &mut Gate, camera: &CameraId) {
    for step in 0..LEARNING {
        assert_eq!(gate.gate(camera, &jpeg(&walkers(step * 4))).unwrap(), Gated::Learning);
    }
}

#[test]
fn people_who_walk_are_counted_where_they_are() {
    let mut motion = counter("motion").unwrap();
    assert_eq!(motion.name(), "motion");
    let one = camera("one");
    for step in 0..LEARNING {
        assert_eq!(motion.count(&one, &jpeg(&walkers(step * 4)), false).unwrap(), None);
    }
    for step in [18, 20, 22] {
        let count = motion.count(&one, &jpeg(&walkers(step)), false).unwrap().unwrap();
        assert_eq!((count.people, count.boxes.len()), (3, 3), "{count:?}");
        for (left, top) in walkers(step) {
            let (x, y) = (left as f32 + 8.0, top as f32 + 17.0);
            let hit =
                count.boxes.iter().any(|b| b.x < x && x < b.x + b.width && b.y < y && y < b.y + b.height);
            assert!(hit, "nobody at {x},{y}: {count:?}");
        }
    }
    assert_eq!(motion.count(&one, &jpeg(&[]), false).unwrap().unwrap().people, 0);
    assert_eq!(motion.count(&camera("two"), &jpeg(&[]), false).unwrap(), None, "cameras are separate");
}

#[test]
fn who_stays_longer_than_half_of_the_samples_becomes_background() {
    let mut motion = MotionCounter::new();
    let one = camera("one");
    let people = |motion: &mut MotionCounter, at: &[(usize, usize)]| {
        motion.count(&one, &jpeg(at), false).unwrap().map(|count| count.people)
    };
    for _ in 0..8 {
        people(&mut motion, &[]);
    }
    assert_eq!(people(&mut motion, &[(100, 130)]), Some(1));
    for _ in 0..300 {
        people(&mut motion, &[(100, 130)]);
    }
    assert_eq!(people(&mut motion, &[(100, 130)]), Some(0));
}

#[test]
fn the_gate_blanks_what_does_not_move() {
    let mut gate = Gate::new(GateOptions::default());
    let one = camera("one");
    teach(&mut gate, &one);
    let whole = jpeg(&walkers(20));
    let Gated::Moving { jpeg: gated, kept, people } = gate.gate(&one, &whole).unwrap() else {
        panic!("people walk")
    };
    assert_eq!(people, 3);
    assert!(kept > 0.02 && kept < 0.25, "{kept}");
    assert!(gated.len() * 3 < whole.len(), "{} of {}", gated.len(), whole.len());
    let decode = |jpeg: &[u8]| {
        let cursor = zune_jpeg::zune_core::bytestream::ZCursor::new(jpeg);
        zune_jpeg::JpegDecoder::new(cursor).decode().unwrap()
    };
    let (before, after) = (decode(&whole), decode(&gated));
    assert_eq!(before.len(), after.len());
    let at = |pixels: &[u8], x: usize, y: usize| pixels[(y * WIDTH + x) * 3];
    for (left, top) in walkers(20) {
        for (dx, dy) in [(2, 2), (8, 17), (13, 31)] {
            let (was, is) = (at(&before, left + dx, top + dy), at(&after, left + dx, top + dy));
            assert!(was.abs_diff(is) < 12, "{was} became {is}");
        }
    }
    let grey = after.chunks_exact(3).filter(|rgb| rgb.iter().all(|value| value.abs_diff(128) <= 2)).count();
    assert!(grey as f64 > 0.7 * (WIDTH * HEIGHT) as f64, "{grey} grey pixels");
}

#[test]
fn a_gated_frame_is_counted_without_memory() {
    let mut gate = Gate::new(GateOptions::default());
    let one = camera("one");
    teach(&mut gate, &one);
    for step in [18, 20, 22] {
        let Gated::Moving { jpeg, people, .. } = gate.gate(&one, &jpeg(&walkers(step))).unwrap() else {
            panic!("people walk")
        };
        let count = MotionCounter::new().count(&one, &jpeg, true).unwrap().unwrap();
        assert_eq!((count.people, people), (3, 3));
    }
    assert_eq!(gate.gate(&one, &jpeg(&[])).unwrap(), Gated::Still);
}

#[test]
fn what_is_held_stays_visible() {
    let options = GateOptions { hold_frames: 2, ..GateOptions::default() };
    let mut gate = Gate::new(options);
    let one = camera("one");
    teach(&mut gate, &one);
    let moving = |gated: Gated| matches!(gated, Gated::Moving { .. });
    assert!(moving(gate.gate(&one, &jpeg(&walkers(20))).unwrap()));
    assert!(moving(gate.gate(&one, &jpeg(&[])).unwrap()));
    assert!(moving(gate.gate(&one, &jpeg(&[])).unwrap()));
    assert_eq!(gate.gate(&one, &jpeg(&[])).unwrap(), Gated::Still);
}

#[test]
fn another_size_is_learned_anew() {
    let mut gate = Gate::new(GateOptions::default());
    let one = camera("one");
    teach(&mut gate, &one);
    assert_eq!(gate.gate(&one, &jpeg(&[])).unwrap(), Gated::Still);
    let small = encode(&paint(200, 150, &[]), 200, 150, ColorType::Rgb, |_| {});
    assert_eq!(gate.gate(&one, &small).unwrap(), Gated::Learning);
    assert_eq!(gate.gate(&one, &jpeg(&[])).unwrap(), Gated::Learning);
}

#[test]
fn the_camera_that_was_silent_longest_is_forgotten() {
    let mut gate = Gate::new(GateOptions::default());
    let small = encode(&paint(64, 48, &[]), 64, 48, ColorType::Rgb, |_| {});
    let learned = |gate: &mut Gate, name: &str| gate.gate(&camera(name), &small).unwrap() != Gated::Learning;
    for name in ["a", "b"] {
        (0..LEARNING).for_each(|_| assert!(!learned(&mut gate, name)));
    }
    for other in 0..510 {
        learned(&mut gate, &format!("other-{other}"));
    }
    assert!(learned(&mut gate, "b"));
    learned(&mut gate, "one-more");
    assert!(learned(&mut gate, "b"), "spoke lately");
    assert!(!learned(&mut gate, "a"), "was silent longest");
}

#[test]
fn every_kind_of_jpeg_passes() {
    let (width, height) = (381, 287);
    let rgb = paint(width, height, &[(150, 150)]);
    let grey: Vec<u8> = rgb.iter().step_by(3).copied().collect();
    let kinds: [(&str, Vec<u8>); 4] = [
        ("grey", encode(&grey, width, height, ColorType::Luma, |_| {})),
        (
            "4:4:4",
            encode(&rgb, width, height, ColorType::Rgb, |e| e.set_sampling_factor(SamplingFactor::R_4_4_4)),
        ),
        (
            "4:2:0",
            encode(&rgb, width, height, ColorType::Rgb, |e| e.set_sampling_factor(SamplingFactor::R_4_2_0)),
        ),
        ("progressive", encode(&rgb, width, height, ColorType::Rgb, |e| e.set_progressive(true))),
    ];
    let empty = encode(&paint(width, height, &[]), width, height, ColorType::Rgb, |_| {});
    for (kind, jpeg) in kinds {
        let mut gate = Gate::new(GateOptions::default());
        let one = camera("one");
        (0..LEARNING + 1).for_each(|_| drop(gate.gate(&one, &empty).unwrap()));
        let Gated::Moving { jpeg, people, .. } = gate.gate(&one, &jpeg).unwrap() else { panic!("{kind}") };
        assert_eq!(people, 1, "{kind}");
        assert!(MotionCounter::new().count(&one, &jpeg, true).unwrap().is_some(), "{kind}");
    }
}

#[test]
fn what_is_no_picture_is_refused_with_a_reason() {
    let mut gate = Gate::new(GateOptions::default());
    let one = camera("one");
    let whole = jpeg(&[]);
    assert_eq!(gate.gate(&one, b""), Err(ImageError::Empty));
    let refused = |gate: &mut Gate, bytes: &[u8]| gate.gate(&one, bytes).unwrap_err().to_string();
    assert!(refused(&mut gate, b"GIF89a").contains("FF D8"));
    assert!(refused(&mut gate, &whole[..whole.len() / 2]).contains("a part is missing"));
    for (width, height) in [(400, 24), (640, 100), (16, 16)] {
        let odd = encode(&paint(width, height, &[]), width, height, ColorType::Rgb, |_| {});
        assert!(refused(&mut gate, &odd).contains(&format!("{width}x{height}")));
    }
    assert!(counter("hog").err().unwrap().to_string().contains("`motion` and `nanodet`"));
}

#[test]
fn the_detector_sees_nobody_on_an_empty_lawn_and_refuses_what_is_broken() {
    let mut nanodet = counter("nanodet").unwrap();
    let one = camera("one");
    assert_eq!(nanodet.name(), "nanodet");
    for gated in [false, true] {
        assert_eq!(nanodet.count(&one, &jpeg(&[]), gated).unwrap().unwrap().people, 0);
    }
    let odd = encode(&paint(211, 133, &[]), 211, 133, ColorType::Rgb, |_| {});
    assert!(nanodet.count(&one, &odd, false).unwrap().is_some());
    assert!(nanodet.count(&one, &jpeg(&[])[..500], false).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_cut_picture_is_always_refused(cut in 0.0f64..1.0) {
        let whole = jpeg(&walkers(3));
        let length = (whole.len() as f64 * cut) as usize;
        prop_assert!(MotionCounter::new().count(&camera("one"), &whole[..length], true).is_err());
    }

    #[test]
    fn changed_bytes_give_a_count_or_an_error(
        changes in proptest::collection::vec((0.0f64..1.0, any::<u8>()), 1..8), progressive in any::<bool>(), head in any::<bool>()
    ) {
        let pixels = paint(96, 64, &[(20, 20)]);
        let mut bytes = encode(&pixels, 96, 64, ColorType::Rgb, |e| e.set_progressive(progressive));
        // The tables and headers at the start are where decoders go wrong.
        let range = if head { bytes.len().min(700) } else { bytes.len() };
        for (at, byte) in changes {
            bytes[(range as f64 * at) as usize] = byte;
        }
        let one = camera("one");
        let mut motion = MotionCounter::new();
        let _ = motion.count(&one, &bytes, true);
        let _ = motion.count(&one, &bytes, false);
        let _ = Gate::new(GateOptions::default()).gate(&one, &bytes);
    }

    #[test]
    fn any_bytes_give_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let framed = [&[0xff, 0xd8][..], &bytes, &[0xff, 0xd9]].concat();
        for jpeg in [&bytes, &framed] {
            prop_assert!(MotionCounter::new().count(&camera("one"), jpeg, false).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_detector_survives_changed_bytes(changes in proptest::collection::vec((0.0f64..1.0, any::<u8>()), 1..4)) {
        let mut bytes = encode(&paint(96, 64, &[(20, 20)]), 96, 64, ColorType::Rgb, |_| {});
        let length = bytes.len() as f64;
        for (at, byte) in changes {
            bytes[(length * at) as usize] = byte;
        }
        let _ = counter("nanodet").unwrap().count(&camera("one"), &bytes, false);
    }
}
