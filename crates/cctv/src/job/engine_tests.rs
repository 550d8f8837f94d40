//! What the engine promises, whatever the order of the records.

use super::super::state::State;
use super::*;
use frame::{Counted, Window};
use proptest::prelude::*;

const WINDOW: u64 = 1_000;
const BOUND: u64 = 500;
/// Far in the future of every frame here, so that none is too far ahead.
const TODAY: u64 = 1_000_000;

fn frame(camera: u8, sequence: u64, captured: u64) -> Header {
    let mut header = Header::new(CameraId::new(&format!("c{camera}")).unwrap(), sequence, captured);
    header.people = Some(Counted { people: (captured % 7) as u32, counter: "motion".into() });
    header.truth = Some(3);
    header
}

fn engine() -> Engine {
    Engine::new(Watermarks::new(BOUND, u64::MAX, [0], 0), WINDOW)
}

struct Run {
    windows: Vec<Window>,
    late: usize,
}

/// Feeds frames in this order, then ends every camera.
fn run(frames: &[Header]) -> Run {
    let mut engine = engine();
    let (mut closed, mut late) = (Vec::new(), 0);
    for (offset, header) in frames.iter().enumerate() {
        let origin = Origin { partition: 0, offset: offset as i64 };
        match engine.admit(header, origin, 0, TODAY) {
            Admission::New => engine.add(header, origin),
            Admission::Dropped("late") => late += 1,
            other => panic!("{other:?}"),
        }
        closed.extend(engine.advance(0));
    }
    closed.extend(engine.close_all());
    let mut windows: Vec<Window> = closed.into_iter().map(|closed| closed.window).collect();
    windows.sort_by_key(|window| (window.camera.clone(), window.start_unix_ns));
    Run { windows, late }
}

/// Frames of three cameras in order of capture, each with the delay with which it arrives.
fn frames(delay: std::ops::Range<u64>) -> impl Strategy<Value = Vec<(Header, u64)>> {
    prop::collection::vec((0u8..3, 1u64..120, delay), 1..150).prop_map(|steps| {
        let (mut captured, mut sequences) = (10_000, [0u64; 3]);
        let mut frames = Vec::new();
        for (camera, gap, delay) in steps {
            captured += gap;
            let sequence = &mut sequences[usize::from(camera)];
            frames.push((frame(camera, *sequence, captured), delay));
            *sequence += 1;
        }
        frames
    })
}

fn in_order_of_arrival(mut frames: Vec<(Header, u64)>) -> Vec<Header> {
    frames.sort_by_key(|(header, delay)| header.captured_unix_ns + delay);
    frames.into_iter().map(|(header, _)| header).collect()
}

proptest! {
    #[test]
    fn disorder_within_the_bound_changes_nothing(frames in frames(0..BOUND)) {
        let in_order: Vec<_> = frames.iter().map(|(header, _)| header.clone()).collect();
        let expected = run(&in_order);
        let disordered = run(&in_order_of_arrival(frames));
        prop_assert_eq!(disordered.late, 0);
        prop_assert_eq!(disordered.windows, expected.windows);
    }

    #[test]
    fn every_frame_is_in_exactly_one_window_or_late(frames in frames(0..BOUND * 6)) {
        let total = frames.len();
        let result = run(&in_order_of_arrival(frames));
        let in_windows: usize = result.windows.iter().map(|window| window.frames as usize).sum();
        prop_assert_eq!(in_windows + result.late, total);
        let reported: usize = result.windows.iter().map(|window| window.late as usize).sum();
        prop_assert!(reported <= result.late);
        let mut keys: Vec<_> = result.windows.iter().map(|w| (w.camera.clone(), w.start_unix_ns)).collect();
        keys.dedup();
        prop_assert_eq!(keys.len(), result.windows.len(), "a window came twice");
    }

    #[test]
    fn a_restart_changes_no_window_and_no_account(
        frames in frames(0..BOUND * 3),
        cuts in prop::collection::vec(any::<bool>(), 150),
    ) {
        let frames = in_order_of_arrival(frames);
        let (mut whole, mut pieces) = (engine(), engine());
        let (mut expected, mut found, mut topic) = (Vec::new(), Vec::new(), State::default());
        for ((offset, header), cut) in frames.iter().enumerate().zip(cuts) {
            let origin = Origin { partition: 0, offset: offset as i64 };
            for (engine, windows) in [(&mut whole, &mut expected), (&mut pieces, &mut found)] {
                if engine.admit(header, origin, 0, TODAY) == Admission::New {
                    engine.add(header, origin);
                }
                windows.extend(engine.advance(0));
            }
            if cut {
                let cameras = pieces.changes().into_iter().map(|state| (state.camera.clone(), state)).collect();
                let changed = State { partitions: pieces.positions(), cameras, ..State::default() };
                for (key, value) in changed.records().unwrap() {
                    topic.take(key.as_bytes(), &value).unwrap();
                }
                pieces = engine();
                pieces.restore(topic.cameras.values().cloned().collect(), &topic.partitions, 0);
            }
        }
        prop_assert_eq!(&whole.next_offsets, &pieces.next_offsets);
        for camera in ["c0", "c1", "c2"].map(|name| CameraId::new(name).unwrap()) {
            let ((rest, end), (rest_again, end_again)) = (whole.end(&camera), pieces.end(&camera));
            expected.extend(rest);
            found.extend(rest_again);
            prop_assert_eq!(end, end_again);
        }
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn a_camera_s_end_accounts_for_every_one_of_its_frames(
        frames in frames(0..BOUND * 6),
        fates in prop::collection::vec(0u8..10, 150),
    ) {
        let mut engine = engine();
        let (mut expected, mut windows) = (BTreeMap::<CameraId, [u64; 3]>::new(), BTreeMap::<CameraId, u64>::new());
        let mut closed = Vec::new();
        let mut offset = 0;
        for (header, fate) in in_order_of_arrival(frames).iter().zip(fates) {
            let [entered, kept, again] = expected.entry(header.camera.clone()).or_default();
            *entered += 1;
            for _ in 0..=u8::from(fate == 0) {
                let origin = Origin { partition: 0, offset };
                offset += 1;
                match engine.admit(header, origin, 0, TODAY) {
                    Admission::New if fate == 1 => engine.refuse(&header.camera, origin, "corrupt"),
                    Admission::New => {
                        *kept += 1;
                        engine.add(header, origin);
                    }
                    Admission::Duplicate => *again += 1,
                    Admission::Dropped(reason) => prop_assert_eq!(reason, "late"),
                }
            }
            if fate == 2 {
                engine.refuse(&header.camera, Origin { partition: 0, offset }, "bad-header");
                offset += 1;
                *entered += 1;
            }
            closed.extend(engine.advance(0));
        }
        for (camera, [entered, kept, again]) in expected {
            let (rest, end) = engine.end(&camera);
            closed.extend(rest);
            prop_assert_eq!((end.frames_in, end.frames_out, end.duplicates), (entered, kept, again));
            prop_assert_eq!(end.frames_in, end.frames_out + end.dropped.values().sum::<u64>());
            windows.insert(camera, end.windows);
        }
        for closed in &closed {
            *windows.entry(closed.window.camera.clone()).or_default() -= 1;
        }
        prop_assert!(windows.values().all(|left| *left == 0), "{windows:?}");
    }

    #[test]
    fn nothing_is_committable_that_an_open_window_still_needs(frames in frames(0..BOUND * 2)) {
        let mut engine = engine();
        let mut at: Vec<(u64, i64)> = Vec::new();
        for (offset, header) in in_order_of_arrival(frames).iter().enumerate() {
            let origin = Origin { partition: 0, offset: offset as i64 };
            if engine.admit(header, origin, 0, TODAY) == Admission::New {
                engine.add(header, origin);
                at.push((header.captured_unix_ns / WINDOW, origin.offset));
            }
            for closed in engine.advance(0) {
                at.retain(|(window, _)| *window != closed.window.start_unix_ns / WINDOW);
            }
            let committable = engine.committable([].into_iter())[&0];
            let needed = at.iter().map(|(_, offset)| *offset).min().unwrap_or(origin.offset + 1);
            prop_assert!(committable <= needed, "{committable} of {needed}");
        }
        engine.close_all();
        let all = engine.next_offsets[&0];
        prop_assert_eq!(engine.committable([].into_iter())[&0], all);
        let hold = Origin { partition: 0, offset: 0 };
        prop_assert_eq!(engine.committable([hold].into_iter())[&0], 0);
    }
}

#[test]
fn an_end_marker_closes_the_camera_s_windows_and_no_others() {
    let mut engine = engine();
    for (offset, header) in [frame(0, 0, 100), frame(1, 0, 150), frame(0, 1, 1_200)].iter().enumerate() {
        let origin = Origin { partition: 0, offset: offset as i64 };
        assert_eq!(engine.admit(header, origin, 0, TODAY), Admission::New);
        engine.add(header, origin);
    }
    let mut marker = frame(0, 2, 1_300);
    marker.last = true;
    let origin = Origin { partition: 0, offset: 3 };
    assert_eq!(engine.admit(&marker, origin, 0, TODAY), Admission::New);
    let (closed, end) = engine.end(&marker.camera);
    assert_eq!((end.windows, end.frames_in, end.frames_out), (2, 2, 2));
    assert_eq!(closed.iter().map(|c| c.window.last).collect::<Vec<_>>(), [false, true]);
    assert_eq!(engine.open_cameras(), ["c1"]);
    assert_eq!(engine.admit(&marker, origin, 0, TODAY), Admission::Duplicate);
    assert_eq!(engine.committable([].into_iter())[&0], 1, "camera 1 still needs its frame");
    let origin = Origin { partition: 0, offset: 4 };
    let behind = engine.admit(&frame(0, 3, 1_250), origin, 0, TODAY);
    assert_eq!(behind, Admission::Dropped("late"), "its window has been written and must not come again");
}

#[test]
fn late_frames_are_counted_into_the_camera_s_next_window() {
    let mut frames = vec![frame(0, 0, 100), frame(0, 1, 5_000), frame(0, 2, 200), frame(0, 3, 300)];
    frames.push(frame(0, 4, 5_100));
    let result = run(&frames);
    assert_eq!(result.late, 2);
    let late: Vec<_> = result.windows.iter().map(|w| (w.start_unix_ns, w.frames, w.late)).collect();
    assert_eq!(late, [(0, 1, 0), (5_000, 2, 2)]);
}

#[test]
fn a_clock_that_is_far_ahead_makes_nobody_else_late() {
    let mut engine = engine();
    let origin = |offset| Origin { partition: 0, offset };
    let wrong = frame(0, 0, TODAY + AHEAD_NS_MAX + 1);
    assert_eq!(engine.admit(&wrong, origin(0), 0, TODAY), Admission::Dropped("future"));
    engine.advance(0);
    assert_eq!(engine.admit(&frame(1, 0, 100), origin(1), 0, TODAY), Admission::New);
}

#[test]
fn a_restart_with_another_number_of_workers_writes_no_window_again() {
    let mut before = Engine::new(Watermarks::new(BOUND, u64::MAX, [0, 1], 0), WINDOW);
    let at = |partition, offset| Origin { partition, offset };
    for (camera, partition) in [(0, 0), (1, 1)] {
        for (offset, captured) in [(0, 100), (1, 5_000)] {
            let header = frame(camera, offset as u64, captured);
            assert_eq!(before.admit(&header, at(partition, offset), 0, TODAY), Admission::New);
            before.add(&header, at(partition, offset));
        }
    }
    assert_eq!(before.advance(0).len(), 2, "the first window of either camera");
    let (cameras, mut positions) = (before.changes(), before.positions());
    // The other partition has another worker now, and this one's watermark is not known.
    positions.remove(&1);
    positions.get_mut(&0).unwrap().watermark_unix_ns = None;
    let mut after = Engine::new(Watermarks::new(BOUND, u64::MAX, [0], 0), WINDOW);
    after.restore(cameras.into_iter().filter(|state| state.stream.partition() == 0).collect(), &positions, 0);
    assert_eq!(after.admit(&frame(0, 2, 200), at(0, 2), 0, TODAY), Admission::Dropped("late"));
    assert_eq!(after.admit(&frame(0, 1, 5_000), at(0, 3), 0, TODAY), Admission::Duplicate);
    let (closed, end) = after.end(&CameraId::new("c0").unwrap());
    assert_eq!(closed.iter().map(|closed| closed.window.late).collect::<Vec<_>>(), [1]);
    assert_eq!((end.windows, end.frames_in, end.frames_out), (2, 3, 2));
}
