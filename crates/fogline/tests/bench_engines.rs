//! `fogline bench engines`: every choice is run, and told as it went.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use serde_json::Value;
use std::process::Command;
use support::{FOGLINE, LENIENT, Traces, no_testbed, run_folders};

const LAYERS: &str = "environment: {local: {}}\nmonitoring: {type: dstat}\nlayers:\n- name: fog\n  services: [{name: Node, roles: [monitoring]}]\n";
const WORKFLOW: &str = "- hosts: fog.*\n  launch:\n  - {shell: sleep 600, async: 600, poll: 0}\n";
/// A service with an engine that starts and one that does not.
const SERVICE: &str = "service: Node\nsummary: a host\ndefault_engine: plain\nengines:\n  plain:\n    deploy:\n    \
    - command: 'true'\n  broken:\n    deploy:\n    - {name: Start it, shell: echo no such thing >&2; exit 7}\n";

fn scenario() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    std::fs::create_dir(folder.path().join("services")).expect("a folder");
    write("layers_services.yaml", LAYERS);
    write("workflow.yaml", WORKFLOW);
    write("services/Node.yaml", SERVICE);
    folder
}

#[test]
fn every_choice_is_run_in_turns_and_told_as_it_went() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let folder = scenario();
    let before = Traces::now();
    let output = Command::new(FOGLINE)
        .args(["bench", "engines"])
        .arg(folder.path())
        .args(["--duration", "2", "--rounds", "2", "--engines", "plain,Node=broken", "--json", "-", "--"])
        .args(LENIENT)
        .output()
        .expect("fogline runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "a run failed: {said}");
    assert_eq!(before, Traces::now(), "something was left behind");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("JSON alone on standard output");
    let runs = |choice: usize| outcome["engines"][choice]["runs"].as_array().expect("runs");
    assert_eq!((runs(0).len(), runs(1).len()), (2, 2), "{outcome:#}");

    for run in runs(0) {
        assert_eq!((&run["engine"], &run["verdict"]), (&"plain".into(), &"passed".into()), "{run:#}");
        let figure = |name: &str| {
            let figures = run["figures"].as_array().expect("figures");
            figures
                .iter()
                .find(|figure| figure["name"] == name)
                .unwrap_or_else(|| panic!("no {name}: {run:#}"))
        };
        assert!(figure("services-ready")["value"].as_f64().is_some_and(|seconds| seconds > 0.0), "{run:#}");
        assert!(figure("memory-node")["value"].as_f64().is_some_and(|mib| mib > 0.0), "{run:#}");
        assert!(figure("cpu-node")["value"].is_null(), "without frames nothing costs per frame: {run:#}");
    }
    for run in runs(1) {
        assert_eq!((&run["verdict"], &run["exit_code"]), (&"failed".into(), &4.into()), "{run:#}");
        assert!(run["reasons"].to_string().contains("Start it"), "{run:#}");
    }
    let medians = |choice: usize| outcome["engines"][choice]["medians"].as_array().expect("medians").len();
    assert!(medians(0) > 0 && medians(1) == 0, "{outcome:#}");

    // In turns: plain, broken, plain, broken, each with a folder of its own.
    let told =
        |choice: usize, round: usize| runs(choice)[round]["folder"].as_str().expect("a folder").to_owned();
    let folders = run_folders(folder.path());
    let names: Vec<_> = folders.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert_eq!(names, [told(0, 0), told(1, 0), told(0, 1), told(1, 1)]);
    for word in ["FAILED", "passed", "deploy to services ready, s", "round 2 of 2: Node=broken"] {
        assert!(said.contains(word), "`{word}` is missing:\n{said}");
    }
}

#[test]
fn a_choice_that_cannot_run_is_refused_before_anything_runs() {
    let folder = scenario();
    let mut command = Command::new(FOGLINE);
    command.args(["bench", "engines", "--engines", "plain,Node=nonsense"]).arg(folder.path());
    let output = command.output().expect("fogline runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nonsense"), "{said}");
    assert!(run_folders(folder.path()).is_empty());
}
