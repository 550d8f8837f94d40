//! `fogline bench network`: everything is measured and told. Figures are those of a busy machine here, so that only
//! their kind is looked at.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use serde_json::Value;
use std::process::Command;
use support::{FOGLINE, Traces, no_testbed};

/// Names of rows that must be there, each with whether it is held against a bridge.
const ROWS: [(&str, Option<&str>); 14] = [
    ("bulk-tcp-1", Some("bridge")),
    ("bulk-tcp-16", Some("bridge")),
    ("packets", Some("bridge")),
    ("latency-icmp-p50", Some("bridge")),
    ("latency-udp-p99", Some("bridge")),
    ("delay-error-p99", None),
    ("rate-tcp-10mbit-0ns", Some("asked")),
    ("rate-udp-150mbit-5ms", Some("asked")),
    ("rate-tcp-1gbit-5ms", Some("asked")),
    ("loss-5%", Some("asked")),
    ("cpu-surveillance", None),
    ("carried-surveillance-lossy", None),
    ("scale-20-up", None),
    ("scale-20-down", None),
];

#[test]
fn every_figure_is_there() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let before = Traces::now();
    let output = Command::new(FOGLINE)
        .args(["bench", "network", "--quick", "--json", "-"])
        .output()
        .expect("fogline runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(before, Traces::now(), "something was left behind");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("JSON on standard output");
    assert_eq!((&outcome["format"], &outcome["quick"]), (&Value::from(1), &Value::from(true)));
    assert_eq!(outcome["load_before"].as_array().map(Vec::len), Some(3), "{outcome}");
    assert!(outcome["machine"]["cores"].as_u64().is_some_and(|cores| cores > 0), "{outcome}");
    let rows = outcome["rows"].as_array().expect("rows");
    for (name, against) in ROWS {
        let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name}:\n{said}"));
        assert_eq!(row["against"].as_str(), against, "{row}");
        let positive = |value: &Value| value.as_f64().is_some_and(|value| value.is_finite() && value > 0.0);
        assert!(positive(&row["emulator"]), "{row}");
        assert_eq!(positive(&row["reference"]), against.is_some(), "{row}");
        assert_eq!(row["compared"]["value"].is_f64(), against.is_some(), "{row}");
        let repeats = row["repeats"]["emulator"].as_array().expect("repeats");
        assert!(!repeats.is_empty() && repeats.iter().all(positive), "{row}");
        assert!(row["met"].is_null(), "a quick look judges nothing: {row}");
        assert!(said.contains(row["what"].as_str().expect("a text")), "{name} is not in the table:\n{said}");
    }
}

#[test]
fn what_is_not_wanted_is_not_measured() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bench.json");
    let mut command = Command::new(FOGLINE);
    command.args(["bench", "network", "--quick", "--only", "loss", "--json"]).arg(&file);
    let output = command.output().expect("fogline runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let outcome: Value =
        serde_json::from_slice(&std::fs::read(&file).expect("the file")).expect("JSON in the file");
    let names: Vec<&str> =
        outcome["rows"].as_array().expect("rows").iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["loss-0.1%", "loss-2%", "loss-5%"]);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("loss 2% of"),
        "the table is on standard output"
    );
}
