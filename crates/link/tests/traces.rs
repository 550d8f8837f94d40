//! Traces of both formats: read as they are written, refused with the line and what would be right.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use link::{DELIVERY_BYTES, Step, TRACE_ROWS_MAX, TRACE_TIME_MAX, Trace};
use proptest::prelude::*;
use units::{Delay, Percent, Rate};

fn rate(text: &str) -> Option<Rate> {
    Some(text.parse().unwrap())
}

fn refusal(text: &str, file_name: &str) -> String {
    Trace::parse(text, file_name).unwrap_err().to_string()
}

#[test]
fn deliveries_are_milliseconds() {
    let text = "# 4G, on a train\n\n0\n5\r\n5\n  12  \n";
    assert_eq!(Trace::parse(text, "train.up"), Ok(Trace::Deliveries(vec![0, 5, 5, 12])));
    assert_eq!(Trace::parse("7", ""), Ok(Trace::Deliveries(vec![7])));
}

#[test]
fn steps_have_units_or_named_columns() {
    let first =
        Step { at: Delay::ZERO, rate: rate("12.5mbit"), delay: None, loss: Some("2%".parse().unwrap()) };
    let second =
        Step { at: Delay::from_millis(1500), rate: None, delay: Some(Delay::from_millis(30)), loss: None };
    let expected = Trace::Steps(vec![first, second]);
    for text in [
        "time,rate,delay,loss\n0,12.5mbit,,2%\n1.5,,30ms,\n",
        "\u{feff}Loss_Percent, Time_ms, Rate_Mbit, Delay_ms\r\n2,0,12.5,\r\n,1500,,30\r\n",
        "# by hand\ntime,delay_us,loss,rate_kbit\n\n0s,,2%,12.5mbit\n# better\n1500ms,30000,,\n",
        "\"time\",\"rate\",\"delay\",\"loss\"\n\"0\",\"12500kbit\",\"\",\"2%\"\n\"1.5\",\"\",\"30ms\",\"\"\n",
    ] {
        assert_eq!(Trace::parse(text, "trace").as_ref(), Ok(&expected), "{text}");
    }
}

#[test]
fn the_name_decides_where_the_text_does_not() {
    assert!(refusal("12\n13\n", "lte.CSV").contains("`12` is no column"));
    assert!(refusal("12\nthirteen\n", "lte.txt").contains("`thirteen` is no moment"));
}

#[test]
fn refusals_name_the_line_and_what_would_be_right() {
    for (text, expected) in [
        ("", "line 1: empty: expected a number of milliseconds a line"),
        ("# nothing\n", "line 1: empty: expected a number of milliseconds a line"),
        (
            "1\n\n1.5\n",
            "line 3: `1.5` is no moment: expected one whole number of milliseconds, for example 12",
        ),
        ("1\n-5\n", "line 2: `-5` is no moment: expected one whole number of milliseconds, for example 12"),
        ("1\n+5\n", "line 2: `+5` is no moment: expected one whole number of milliseconds, for example 12"),
        ("9\n8\n", "line 2: 8 ms comes after 9 ms: expected ascending milliseconds"),
        (
            "0\n0\n",
            "line 2: the last moment is 0 ms: expected one above, as the recording begins again there",
        ),
        ("99999999999\n", "line 1: 99999999999 ms is too late: expected a year, 31536000000 ms, at most"),
        (
            "99999999999999999999\n",
            "line 1: `99999999999999999999` is no moment: expected one whole number of milliseconds, for example 12",
        ),
    ] {
        assert_eq!(refusal(text, "a.down"), expected, "{text}");
    }
    for (text, expected) in [
        ("", "line 1: empty: expected a row of column names, time first"),
        ("time,rate\n", "line 1: no row follows the column names: expected one for time 0 at least"),
        ("time\n0\n", "line 1: `time` is alone: expected a column `rate`, `delay` or `loss` beside it"),
        ("rate\n1mbit\n", "line 1: there is no column `time`: expected one, in seconds"),
        (
            "time,rate,rate_mbit\n",
            "line 1: column `rate_mbit` says the same as column `rate`: expected one of them",
        ),
        ("time,rate\n0\n", "line 2: a row of 1: expected 2 cells, one for each column"),
        ("time,rate\n,1mbit\n", "line 2: the time is missing: expected seconds, for example 1.5"),
        ("time,rate\n1,1mbit\n", "line 2: the first time is 1s: expected 0, the beginning of the recording"),
        ("time,rate\n0,1mbit\n1,\n1,\n", "line 4: time 1s comes after 1s: expected ascending times"),
        ("time,rate\n0,\n32000000,\n", "line 3: time 32000000s is too late: expected a year at most"),
        (
            "time,rate\n0,12\n",
            "line 2: rate `12`: expected a number and a unit (kbit, mbit, gbit, bit), for example 150mbit; \
             plain numbers need a column `rate_mbit`",
        ),
        (
            "time,rate_mbit\n0,0\n",
            "line 2: rate_mbit `0`: expected a rate above zero, for example 150mbit; \
             a link that carries nothing has a loss of 100%",
        ),
        (
            "time,loss\n0,0.02\n",
            "line 2: loss `0.02`: expected a number and a unit (%), for example 2%; \
             plain numbers need a column `loss_percent`",
        ),
        ("time,loss_percent\n0,120\n", "line 2: loss_percent `120`: expected a percentage from 0% to 100%"),
    ] {
        assert_eq!(refusal(text, "a.csv"), expected, "{text}");
    }
    assert!(refusal("time,speed\n", "a.csv").starts_with("line 1: `speed` is no column: expected time, "));
}

#[test]
fn length_is_bounded() {
    let longest = "1\n".repeat(TRACE_ROWS_MAX);
    assert!(Trace::deliveries(&longest).is_ok());
    let refusal = Trace::deliveries(&(longest + "1\n")).unwrap_err();
    assert_eq!(refusal.to_string(), "line 1000001: too long: expected 1000000 rows at most");
}

#[test]
fn the_mean_rate_counts_the_whole_recording() {
    // Three deliveries in 12 ms, again and again.
    let mean = 3 * DELIVERY_BYTES * 8 * 1000 / 12;
    assert_eq!(Trace::Deliveries(vec![5, 5, 12]).mean_rate(), Rate::from_bits_per_s(mean));
    let mean = |text| Trace::steps(text).unwrap().mean_rate();
    assert_eq!(mean("time,rate_mbit\n0,8\n"), rate("8mbit"));
    assert_eq!(mean("time,rate_mbit\n0,8\n3,4\n4,16\n"), rate("8800kbit"), "3 s, 1 s and 1 s");
    assert_eq!(mean("time,rate_mbit\n0,8\n3,\n"), None);
    for odd in [Trace::Deliveries(vec![]), Trace::Deliveries(vec![0]), Trace::Steps(vec![])] {
        assert_eq!(odd.mean_rate(), None, "{odd:?}");
    }
}

/// Whole numbers that a text of decimal digits carries through a 64-bit float unharmed.
fn exact() -> impl Strategy<Value = u64> {
    1_u64..1 << 53
}

fn traces() -> impl Strategy<Value = Trace> {
    let millis = prop::collection::vec(0_u64..1000, 1..50);
    let deliveries = millis.prop_map(|gaps| {
        let mut now = 0;
        let mut all: Vec<u64> = gaps
            .into_iter()
            .map(|gap| {
                now += gap;
                now
            })
            .collect();
        all.push(now + 1);
        Trace::Deliveries(all)
    });
    let step = (
        1..TRACE_TIME_MAX.nanos() / 60,
        prop::option::of(exact()),
        prop::option::of(exact()),
        prop::option::of(0.0..=1.0_f64),
    );
    let steps = prop::collection::vec(step, 1..50).prop_map(|rows| {
        let mut next = 0;
        let step = |(gap, rate, delay, loss): (u64, Option<u64>, Option<u64>, Option<f64>)| {
            // What a float of this size holds.
            let at = Delay::from_nanos(next >> 3 << 3);
            next += gap + 8;
            Step {
                at,
                rate: rate.and_then(Rate::from_bits_per_s),
                delay: delay.map(Delay::from_nanos),
                loss: loss.and_then(Percent::from_fraction),
            }
        };
        Trace::Steps(rows.into_iter().map(step).collect())
    });
    prop_oneof![deliveries, steps]
}

/// Texts that come near to a trace.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("time"),
        Just("rate"),
        Just("delay_ms"),
        Just("loss"),
        Just(","),
        Just(","),
        Just("\n"),
        Just("\n"),
        Just("0"),
        Just("12"),
        Just("1e9"),
        Just("."),
        Just("-"),
        Just("mbit"),
        Just("ms"),
        Just("%"),
        Just("#"),
        Just("\""),
        Just(" "),
        Just("\r"),
        Just("é"),
        Just("99999999999999999999999"),
        Just("inf"),
        Just("NaN"),
    ];
    let near = prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat());
    let body = near.clone().prop_map(|text| format!("time,rate_mbit,delay,loss\n0,1,1ms,1%\n{text}"));
    prop_oneof![any::<String>(), near, body]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_printed_trace_reads_back(trace in traces()) {
        let extension = if matches!(trace, Trace::Steps(_)) { "csv" } else { "up" };
        let text = trace.to_string();
        prop_assert_eq!(Trace::parse(&text, ""), Ok(trace.clone()));
        prop_assert_eq!(Trace::parse(&text, &format!("trace.{extension}")), Ok(trace));
    }

    #[test]
    fn no_text_panics_and_what_is_read_keeps_the_rules(text in texts(), csv: bool) {
        let trace = Trace::parse(&text, if csv { "a.csv" } else { "a" });
        let mean = trace.as_ref().ok().and_then(Trace::mean_rate);
        match trace {
            Ok(Trace::Deliveries(millis)) => {
                prop_assert!(millis.is_sorted() && *millis.last().unwrap() > 0);
                prop_assert!(mean.is_some());
            }
            Ok(Trace::Steps(steps)) => {
                prop_assert_eq!(steps[0].at, Delay::ZERO);
                prop_assert!(steps.is_sorted_by(|one, next| one.at < next.at));
                prop_assert_eq!(mean.is_some(), steps.iter().all(|step| step.rate.is_some()));
            }
            Err(error) => {
                prop_assert!(error.line >= 1 && error.line <= text.lines().count().max(1));
                prop_assert!(error.reason.contains("expected"), "{}", error);
            }
        }
    }
}
