//! Whatever ends a run, at whatever moment, the run folder is all that is left.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::{Traces, alive, deploy, descendants, no_testbed, run_folders, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

/// The phases in which a run is ended, each with the event that shows that it has come so far.
const MOMENTS: [(&str, &str); 7] = [
    ("testbed", r#""kind":"phase_started","phase":"testbed""#),
    ("services", r#""kind":"phase_started","phase":"services""#),
    ("network", r#""kind":"phase_started","phase":"network""#),
    ("prepare", r#""kind":"task_started","phase":"prepare""#),
    ("launch", r#""kind":"task_started","phase":"launch""#),
    ("run", r#""kind":"phase_started","phase":"run""#),
    ("finalize", r#""kind":"task_started","phase":"finalize""#),
];

/// Two hosts, a link, a job beside the workflow, and a long task in the phase where the run is to be ended.
fn scenario(folder: &Path, phase: &str) {
    let seconds = |of: &str| if of == phase { 300 } else { 0 };
    let layers = "environment: {local: {}}\nmonitoring: {type: dstat}\nlayers:\n\
                  - name: cloud\n  services: [{name: Server, roles: [monitoring]}]\n\
                  - name: edge\n  services: [{name: Client, roles: [monitoring]}]\n";
    let network =
        "networks:\n- {src: cloud, dst: edge, delay: 5ms, rate: 100mbit, loss: 5%, symmetric: true}\n";
    let workflow = format!(
        "- hosts: edge.client.*\n  prepare:\n  - shell: touch /opt/written /etc/written /var/written; sleep {}\n  \
         launch:\n  - {{shell: sleep 1000, async: 2000, poll: 0}}\n  - shell: sleep {}\n  finalize:\n  - shell: sleep {}\n",
        seconds("prepare"),
        seconds("launch"),
        seconds("finalize")
    );
    for (name, text) in [("layers_services", layers), ("network", network), ("workflow", workflow.as_str())] {
        std::fs::write(folder.join(format!("{name}.yaml")), text).expect("a scenario file");
    }
}

/// Deploys, sends `signal` to the runner in `phase`, and looks at what is left. Returns the exit code, if any.
fn end_in(phase: &str, sign: &str, signal: &str) -> Option<i32> {
    let scratch = tempfile::Builder::new().prefix("leave-nothing-").tempdir().expect("a folder");
    let folder = scratch.path().join("scenario");
    std::fs::create_dir(&folder).expect("a scenario folder");
    scenario(&folder, phase);
    let log = scratch.path().join("log");
    let before = Traces::now();
    let duration = if phase == "finalize" { "1" } else { "300" };
    let mut runner = deploy(&folder, &log, &["--duration", duration]);
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_for(&format!("{signal} in {phase}"), PATIENCE, || {
        assert!(
            runner.try_wait().expect("a status").is_none(),
            "{phase}: the runner ended by itself:\n{}",
            said()
        );
        let run = run_folders(&folder).pop()?;
        let events = std::fs::read_to_string(run.join("fogline/events.jsonl")).ok()?;
        events.replace(' ', "").contains(sign).then_some(())
    });
    let mut watched: BTreeSet<_> = descendants(runner.id());
    let killed =
        Command::new("kill").args(["-s", signal, &runner.id().to_string()]).status().expect("kill runs");
    assert!(killed.success(), "{phase}: {signal} could not be sent");
    watched.extend(descendants(runner.id()));
    let status = wait_for(&format!("the runner's end after {signal} in {phase}"), PATIENCE, || {
        runner.try_wait().expect("a status")
    });
    wait_for(&format!("the end of all processes after {signal} in {phase}"), PATIENCE, || {
        alive(&watched).is_empty().then_some(())
    });
    assert_eq!(before, Traces::now(), "{signal} in {phase} left something behind");
    let left: BTreeSet<String> = std::fs::read_dir(&folder)
        .expect("the scenario folder")
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    assert_eq!(left.len(), 4, "{signal} in {phase} left more than the run folder: {left:?}");
    status.code()
}

#[test]
fn a_run_that_is_ended_anywhere_leaves_its_folder_and_nothing_else() {
    if let Some(missing) = no_testbed() {
        eprintln!("skipped: {missing}");
        return;
    }
    for (phase, sign) in MOMENTS {
        assert_eq!(end_in(phase, sign, "KILL"), None, "a killed runner has no exit code");
        assert_eq!(end_in(phase, sign, "INT"), Some(130), "Ctrl-C in {phase}");
    }
}
