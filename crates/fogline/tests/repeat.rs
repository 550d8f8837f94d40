//! `--repeat 1` makes two runs, as in E2Clab, each in a folder of its own.

mod support;

use serde_json::Value;
use std::process::Command;
use support::{FOGLINE, LENIENT, no_testbed, run_folders};

#[test]
fn one_repetition_makes_two_runs_that_know_their_number() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let layers = "environment: {local: {}}\nlayers:\n- name: fog\n  services: [{name: Node}]\n";
    let workflow = "- hosts: fog.*\n  launch:\n  - shell: echo {{ current_repeat }} > /opt/number; test ! -e /opt/old; touch /opt/old\n  \
                    finalize:\n  - fetch: {src: /opt/number, dest: '{{ working_dir }}/experiment-results/', flat: true}\n";
    std::fs::write(folder.path().join("layers_services.yaml"), layers).expect("layers");
    std::fs::write(folder.path().join("workflow.yaml"), workflow).expect("workflow");
    let mut command = Command::new(FOGLINE);
    let output = command
        .arg("deploy")
        .arg(folder.path())
        .args(["--duration", "1", "--repeat", "1"])
        .args(LENIENT)
        .output();
    let output = output.expect("fogline runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let runs = run_folders(folder.path());
    assert_eq!(runs.len(), 2);
    for (run, number) in runs.iter().zip(1..) {
        let fetched =
            std::fs::read_to_string(run.join("experiment-results/number")).expect("the fetched file");
        assert_eq!(fetched.trim(), number.to_string());
        let manifest = std::fs::read_to_string(run.join("fogline/manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_str(&manifest).expect("a manifest is JSON");
        assert_eq!(
            (&manifest["repeat"], &manifest["verdict"]),
            (&Value::from(number), &Value::from("passed"))
        );
    }
}
