//! Software of engines: asked for before anything starts, on the hosts that name it, and written down.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use support::{FOGLINE, LENIENT, no_testbed, run_folders};

const LAYERS: &str = "environment: {local: {}}\nlayers:\n- name: cloud\n  services: [{name: Engine}]\n\
                      - name: edge\n  services: [{name: Client}]\n";
const ENGINE: &str = "service: Engine\ndefault_engine: plain\nengines:\n  plain:\n    port: 7000\n  \
                      tuned:\n    software: [tuned-engine]\n    port: 7000\n";
const WORKFLOW: &str = "- hosts: cloud.*\n  launch:\n  - shell: cat /opt/fogline/software/tuned-engine/libs/a.jar\n\
                        - hosts: edge.*\n  launch:\n  - shell: test ! -e /opt/fogline/software/tuned-engine\n";

/// A scenario whose service has an engine with software.
fn scenario() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("services")).expect("a folder");
    for (name, text) in
        [("layers_services.yaml", LAYERS), ("workflow.yaml", WORKFLOW), ("services/Engine.yaml", ENGINE)]
    {
        std::fs::write(folder.path().join(name), text).expect("a scenario file");
    }
    folder
}

/// Runs fogline on the scenario, with its software in `software`.
fn fogline(words: &[&str], scenario: &Path, software: &Path) -> Output {
    let mut command = Command::new(FOGLINE);
    command.arg(words[0]).arg(scenario).args(&words[1..]).env("FOGLINE_SOFTWARE", software);
    command.output().expect("fogline runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_missing_is_named_before_anything_starts() {
    let (folder, software) = (scenario(), tempfile::tempdir().expect("a folder"));
    let missing = ["software `tuned-engine`", "cloud-engine-1-1", "bring it with: fogline fetch"];
    let deploy = ["deploy", "--engine", "Engine=tuned"];
    let output = fogline(&deploy, folder.path(), software.path());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let looked = software.path().join("tuned-engine").display().to_string();
    for word in missing.into_iter().chain([looked.as_str(), "nothing was started"]) {
        assert!(said(&output).contains(word), "`{word}` is missing:\n{}", said(&output));
    }
    assert!(run_folders(folder.path()).is_empty(), "a run was begun");
    // Another machine may have it: the scenario is right.
    let output = fogline(&["check", "--engine", "Engine=tuned"], folder.path(), software.path());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("warning: ") && said(&output).contains(missing[0]), "{}", said(&output));
    // The other engine needs none of it.
    let output = fogline(&["check"], folder.path(), software.path());
    assert!(!said(&output).contains("tuned-engine"), "{}", said(&output));
}

#[test]
fn half_a_package_and_a_missing_program_are_refused() {
    let (folder, software) = (scenario(), tempfile::tempdir().expect("a folder"));
    let package = software.path().join("tuned-engine");
    std::fs::create_dir_all(package.join("libs")).expect("a folder");
    let head = "summary: an engine\nversion: 3.1\nlicence: MIT\nfolder: libs\nrequires: fogline-no-such-program \
                no-such-package\n\n";
    let text = format!("{head}test.fogline:a:1.0  {}  5\n", "0".repeat(64));
    std::fs::write(package.join("software.lock"), text).expect("a lock file");
    let deploy = ["deploy", "--engine", "Engine=tuned"];
    let output = fogline(&deploy, folder.path(), software.path());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("lacks libs/a-1.0.jar"), "{}", said(&output));
    std::fs::write(package.join("libs/a-1.0.jar"), "alpha").expect("a jar");
    let output = fogline(&deploy, folder.path(), software.path());
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("no `fogline-no-such-program`") && said.contains("no-such-package"), "{said}");
    assert!(!said.contains("lacks libs"), "{said}");
}

#[test]
fn hosts_that_ask_have_it_and_the_manifest_says_so() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let (folder, software) = (scenario(), tempfile::tempdir().expect("a folder"));
    let package = software.path().join("tuned-engine");
    std::fs::create_dir_all(package.join("libs")).expect("a folder");
    std::fs::write(package.join("libs/a.jar"), "alpha").expect("a jar");
    let lock = "summary: an engine\nversion: 3.1\nlicence: MIT\nrequires: sh dash\n";
    std::fs::write(package.join("software.lock"), lock).expect("a lock file");
    let words = [&["deploy", "--engine", "Engine=tuned", "--duration", "1"], &LENIENT[..]].concat();
    let output = fogline(&words, folder.path(), software.path());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let run = run_folders(folder.path()).pop().expect("a run folder");
    let manifest = std::fs::read_to_string(run.join("fogline/manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["versions"]["tuned-engine"], "3.1");
    assert_eq!(manifest["facts"]["engines"]["Engine"], "tuned");
}
