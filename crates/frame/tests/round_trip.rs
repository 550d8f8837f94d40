//! What is written is what is read, and what is broken is named.
#![allow(clippy::unwrap_used, reason = "a test may end where it finds something unexpected")]

use frame::{
    CameraId, CountError, Counted, Header, HeaderError, TOPIC_FILTER, Window, camera_of_topic, topic,
};
use proptest::prelude::*;

fn camera() -> impl Strategy<Value = CameraId> {
    "[A-Za-z0-9._-]{1,64}".prop_map(|name| CameraId::new(&name).unwrap())
}

fn header() -> impl Strategy<Value = Header> {
    let counted = ("[a-z0-9-]{1,20}", any::<u32>()).prop_map(|(counter, people)| Counted { people, counter });
    (
        (camera(), any::<u64>(), any::<u64>(), any::<Option<u64>>()),
        (proptest::option::of(counted), any::<Option<u32>>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|((camera, sequence, captured, received), (people, truth, gated, last))| Header {
            received_fog_unix_ns: received,
            people,
            truth,
            gated,
            last,
            ..Header::new(camera, sequence, captured)
        })
}

fn window() -> impl Strategy<Value = Window> {
    (
        (camera(), any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>()),
        (0.0..1e9, any::<u32>(), any::<u32>(), "\\PC{0,20}", any::<bool>()),
        (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()),
        (any::<u32>(), any::<u64>(), any::<i64>()),
    )
        .prop_map(|((camera, a, b, frames, counted), (mean, max, late, counter, last), times, error)| {
            Window {
                camera,
                start_unix_ns: a.min(b),
                end_unix_ns: a.max(b),
                frames,
                counted,
                people_mean: mean,
                people_max: max,
                late,
                counter,
                first_captured_unix_ns: times.0,
                last_captured_unix_ns: times.1,
                first_sequence: times.2,
                last_sequence: times.3,
                error: CountError { frames: error.0, absolute_sum: error.1, signed_sum: error.2 },
                last,
            }
        })
}

fn read(pairs: &[(&'static str, String)]) -> Result<Header, HeaderError> {
    Header::from_pairs(pairs.iter().map(|(key, value)| (*key, value.as_bytes())))
}

proptest! {
    #[test]
    fn a_header_survives_in_any_order_among_foreign_pairs(header in header(), turn in 0usize..9) {
        let mut pairs = header.to_pairs();
        pairs.push(("x-foreign", "anything \u{1f6b6}".to_owned()));
        let turn = turn % pairs.len();
        pairs.rotate_left(turn);
        prop_assert_eq!(read(&pairs).unwrap(), header);
    }

    #[test]
    fn any_bytes_as_values_give_a_header_or_an_error_that_names_a_key(
        header in header(), which in 0usize..9, value in proptest::collection::vec(any::<u8>(), 0..300)
    ) {
        let pairs = header.to_pairs();
        let which = which % pairs.len();
        let broken = pairs.iter().enumerate().map(|(index, (key, text))| {
            (*key, if index == which { value.as_slice() } else { text.as_bytes() })
        });
        if let Err(error) = Header::from_pairs(broken) {
            prop_assert!(error.to_string().contains(pairs[which].0), "{error} does not name {}", pairs[which].0);
        }
    }

    #[test]
    fn a_missing_or_doubled_required_pair_is_named(header in header(), which in 0usize..3) {
        let mut pairs = header.to_pairs();
        let taken = pairs.remove(which);
        prop_assert_eq!(read(&pairs), Err(HeaderError::Missing { key: taken.0 }));
        pairs.push(taken.clone());
        pairs.push(taken.clone());
        prop_assert_eq!(read(&pairs), Err(HeaderError::Twice { key: taken.0 }));
    }

    #[test]
    fn a_window_survives_json(window in window()) {
        let json = window.to_json().unwrap();
        prop_assert!(!json.contains('\n'));
        let mut read = Window::from_json(json.as_bytes()).unwrap();
        // The JSON reader may be wrong in the last binary digit of a fraction.
        prop_assert!((read.people_mean - window.people_mean).abs() <= window.people_mean * f64::EPSILON);
        read.people_mean = window.people_mean;
        prop_assert_eq!(read, window);
    }

    #[test]
    fn a_cut_window_is_refused(window in window(), cut in 0.0..1.0) {
        let json = window.to_json().unwrap();
        let length = (json.len() as f64 * cut) as usize;
        prop_assert!(Window::from_json(&json.as_bytes()[..length]).is_err());
    }

    #[test]
    fn a_camera_is_found_again_in_its_topic(camera in camera()) {
        prop_assert_eq!(camera_of_topic(&topic(&camera)), Some(camera));
    }

    #[test]
    fn any_text_is_a_camera_or_a_named_reason(text in "\\PC{0,80}") {
        let right = (1..=64).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        prop_assert_eq!(CameraId::new(&text).is_ok(), right);
    }
}

fn base() -> Vec<(&'static str, String)> {
    Header::new(CameraId::new("edge-1.7").unwrap(), 4, 1_700_000_000_000_000_000).to_pairs()
}

#[test]
fn broken_values_say_what_would_be_right() {
    let cases: [(&str, &str, &str); 9] = [
        ("camera", "a/b", "holds '/'"),
        ("camera", "", "is empty"),
        ("sequence", "-1", "\"-1\"; expected a whole number"),
        ("sequence", "+1", "\"+1\"; expected a whole number"),
        ("captured_unix_ns", "18446744073709551616", "expected nanoseconds since the Unix epoch"),
        ("received_fog_unix_ns", "now", "`received_fog_unix_ns` is \"now\""),
        ("truth", "3.5", "expected a number of people"),
        ("gated", "yes", "expected `true` or `false`"),
        ("people", "3", "`counter` is missing"),
    ];
    for (key, value, expected) in cases {
        let mut pairs = base();
        pairs.retain(|(known, _)| *known != key);
        pairs.push((key, value.to_owned()));
        let error = read(&pairs).unwrap_err().to_string();
        assert!(error.contains(expected), "{key}={value}: {error}");
    }
}

#[test]
fn a_count_without_its_number_is_refused() {
    let mut pairs = base();
    pairs.push(("counter", "motion".to_owned()));
    assert_eq!(read(&pairs), Err(HeaderError::Missing { key: "people" }));
}

#[test]
fn topics_of_others_are_not_cameras() {
    assert_eq!(TOPIC_FILTER, "cameras/+/frames");
    for other in ["cameras//frames", "cameras/a/b/frames", "cameras/a", "x/a/frames", "cameras/+/frames", ""]
    {
        assert_eq!(camera_of_topic(other), None, "{other}");
    }
}

#[test]
fn broken_windows_are_named() {
    let json = r#"{"camera":"c","start_unix_ns":5,"end_unix_ns":9,"frames":1,"people_mean":2.0,"people_max":2,
        "late":0,"counter":"motion","first_captured_unix_ns":6,"last_captured_unix_ns":6,"new_field":1}"#;
    assert_eq!(Window::from_json(json.as_bytes()).unwrap().error, CountError::default());
    let cases = [
        (json.replace("\"late\":0,", ""), "missing field `late`"),
        (json.replace("\"camera\":\"c\"", "\"camera\":\"c d\""), "holds ' '"),
        (json.replace("\"frames\":1", "\"frames\":-1"), "invalid value"),
        (json.replace("\"end_unix_ns\":9", "\"end_unix_ns\":4"), "before it starts"),
    ];
    for (text, expected) in cases {
        let error = Window::from_json(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_count_error_is_a_mean() {
    let mut error = CountError::default();
    assert_eq!(error.mean_absolute(), None);
    error.add(4, 6);
    error.add(7, 6);
    assert_eq!((error.mean_absolute(), error.signed_sum), (Some(1.5), -1));
}
