//! What goes wrong on hosts ends in a clear message and a defined exit code, and releases everything.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use support::{FOGLINE, Traces, no_testbed, run_folders};

const LAYERS: &str = "environment: {local: {}}\nlayers:\n- name: fog\n  services: [{name: Mosquitto}]\n";

/// Deploys a one-host scenario with this workflow.
fn deploy(folder: &Path, workflow: &str, more: &[&str]) -> Output {
    std::fs::write(folder.join("layers_services.yaml"), LAYERS).expect("layers");
    std::fs::write(folder.join("workflow.yaml"), workflow).expect("workflow");
    let mut command = Command::new(FOGLINE);
    command.arg("deploy").arg(folder).args(["--duration", "3000"]).args(more).output().expect("fogline runs")
}

/// Deploys, and expects this exit code and all of these words on standard error.
fn fails(workflow: &str, more: &[&str], code: i32, words: &[&str]) {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let before = Traces::now();
    let output = deploy(folder.path(), workflow, more);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(before, Traces::now(), "something was left behind");
    let run = run_folders(folder.path()).pop().expect("a run folder");
    let manifest = std::fs::read_to_string(run.join("fogline/manifest.json")).expect("a manifest");
    assert!(manifest.contains("\"verdict\": \"failed\""), "{manifest}");
    assert!(run.join("report.html").is_file(), "a failed run has a report too");
}

#[test]
fn a_failing_task_names_host_place_and_cause() {
    let workflow = "- hosts: fog.*\n  prepare:\n  - name: Break\n    shell: echo no such thing >&2; exit 7\n";
    fails(workflow, &[], 4, &["workflow.yaml:3:5", "Break", "fog-mosquitto-1-1", "rc 7", "no such thing"]);
}

#[test]
fn a_port_in_use_is_named() {
    let workflow = "- hosts: fog.*\n  prepare:\n  - shell: broker mqtt --listen 0.0.0.0:1883\n";
    fails(workflow, &[], 4, &["1883", "in use"]);
}

#[test]
fn a_full_disk_is_named() {
    let workflow = "- hosts: fog.*\n  prepare:\n  - shell: dd if=/dev/zero of=/opt/large bs=1M count=64\n";
    fails(workflow, &["--disk", "16mib"], 4, &["fog-mosquitto-1-1", "No space left on device"]);
}

#[test]
fn a_broker_that_is_down_is_named() {
    let camera = "cctv camera --id c --data /opt/frames --mqtt 127.0.0.1:1 --for 1s --connect-timeout 1s --metrics /tmp/m";
    let workflow = format!(
        "- hosts: fog.*\n  prepare:\n  - file: {{path: /opt/frames, state: directory}}\n  \
         - {{copy: {{content: x, dest: /opt/frames/1.jpg}}}}\n  - shell: {camera}\n"
    );
    fails(&workflow, &[], 4, &["fog-mosquitto-1-1", "127.0.0.1:1"]);
}

#[test]
fn a_job_that_dies_while_the_application_runs_ends_the_run() {
    let workflow = "- hosts: fog.*\n  launch:\n  - {name: Flicker, shell: 'sleep 2; echo lamp broken >&2; exit 3', async: 100, poll: 0}\n";
    fails(workflow, &[], 4, &["Flicker", "fog-mosquitto-1-1", "lamp broken"]);
}

/// Deploys one host for a second where there is no TUN device.
fn without_tun(more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("layers_services.yaml"), LAYERS).expect("layers");
    let mut command = Command::new(FOGLINE);
    command.arg("deploy").arg(folder.path()).args(["--duration", "1", "--late-max", "10s"]).args(more);
    let output = command.env("FOGLINE_TUN", "/dev/no-such-tun").output().expect("fogline");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_missing_device_is_named_with_its_remedy() {
    let (code, said) = without_tun(&["--data-path", "tap"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("/dev/no-such-tun"), "{said}");
}

#[test]
fn without_a_device_packets_find_another_way() {
    if let Some(obstacle) = no_testbed() {
        eprintln!("skipped: {obstacle}");
        return;
    }
    let (code, said) = without_tun(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("packet sockets") && said.contains("/dev/no-such-tun"), "{said}");
}

#[test]
fn a_folder_that_is_no_scenario_starts_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(FOGLINE).arg("deploy").arg(folder.path()).output().expect("fogline runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("layers_services.yaml"), "{said}");
    assert!(run_folders(folder.path()).is_empty(), "a run folder was made");
}

#[test]
fn destroy_ends_a_running_experiment_and_is_idempotent() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("layers_services.yaml"), LAYERS).expect("layers");
    let log = folder.path().join("log");
    let mut runner = support::deploy(folder.path(), &log, &["--duration", "3000"]);
    let patience = std::time::Duration::from_secs(60);
    support::wait_for("the run phase", patience, || {
        let run = run_folders(folder.path()).pop()?;
        let events = std::fs::read_to_string(run.join("fogline/events.jsonl")).ok()?;
        events.contains("\"phase\":\"run\"").then_some(())
    });
    let destroy = || Command::new(FOGLINE).arg("destroy").arg(folder.path()).output().expect("fogline runs");
    let first = destroy();
    assert!(
        first.status.success()
            && String::from_utf8_lossy(&first.stdout).contains("1 running experiment ended")
    );
    assert_eq!(runner.wait().expect("a status").code(), Some(130));
    assert!(String::from_utf8_lossy(&destroy().stdout).contains("0 running experiments ended"));
}
