//! A network that carries more than the emulator can keep up with is reported as invalid: by the exit code, in the
//! manifest and in the report, with the reason.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use support::{FOGLINE, Traces, no_testbed, run_folders};

/// Eight hosts that send small datagrams as fast as the kernel takes them: several times what one worker can move,
/// even where it has a core for itself. What beside that competes for the cores is an ordinary process.
const LAYERS: &str = "environment: {local: {}}\nlayers:\n\
    - name: cloud\n  services: [{name: Sink}]\n\
    - name: edge\n  services: [{name: Flooder, repeat: 7}]\n";
const NETWORK: &str = "networks:\n- {src: edge, dst: cloud, delay: 5ms}\n";

fn workflow(kind: &str) -> String {
    let sink = "$(getent hosts cloud-sink-1-1 | cut -d' ' -f1)";
    let flood = format!("fogline __traffic flood --to {sink}:9 {kind}");
    format!(
        "- hosts: cloud.*\n  launch:\n  - {{shell: fogline __traffic spin --threads 2 --seconds 6, async: 60, poll: 0}}\n\
         - hosts: edge.*\n  launch:\n  - shell: {flood}\n    async: 60\n    poll: 0\n"
    )
}

fn deploy(folder: &Path, flood: &str) -> (Option<i32>, String) {
    let files = [("layers_services", LAYERS), ("network", NETWORK), ("workflow", &workflow(flood))];
    for (name, text) in files {
        std::fs::write(folder.join(format!("{name}.yaml")), text).expect("a scenario file");
    }
    let output = Command::new(FOGLINE).arg("deploy").arg(folder).args(["--duration", "6"]).output();
    let output = output.expect("fogline runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

#[test]
fn an_emulator_that_cannot_keep_up_makes_the_run_invalid() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let before = Traces::now();
    let (code, said) = deploy(folder.path(), "--seconds 5");
    assert_eq!(code, Some(5), "{said}");
    assert_eq!(before, Traces::now(), "something was left behind");
    let run = run_folders(folder.path()).pop().expect("a run folder");
    let manifest = std::fs::read_to_string(run.join("fogline/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["verdict"], "invalid", "{manifest}");
    assert_eq!(manifest["exit_code"], 5, "{manifest}");
    let reasons: Vec<&str> =
        manifest["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let network = |reason: &&&str| reason.contains("late") || reason.contains("dropped");
    let reason =
        reasons.iter().find(network).unwrap_or_else(|| panic!("no word of the network: {reasons:?}"));
    assert!(reason.contains("bound"), "{reason}");
    let report = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(report.to_lowercase().contains("invalid"), "the report does not say that the run is invalid");
    assert!(report.contains(reason), "the report does not say why: {reason}");
    assert!(said.contains(reason), "the person is not told why: {said}");
}
