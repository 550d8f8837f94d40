//! The run folder from outside: its names, its journal, its lock, its validation files.

use fogline_journal::{
    Clock, Event, FileDigest, Journal, Manifest, Play, RunEnded, RunFolder, RunPhase, Runner, RunnerLock,
    Verdict, append_play, digest_files, read_events, read_network_validation, write_network_validation,
    write_services,
};
use fogline_plan::{Host, HostId, Plan, Service};
use serde_json::json;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// 2026-11-23 12:03:05 UTC.
const SECOND: u64 = 1_795_435_385_000_000_000;

fn folder() -> (tempfile::TempDir, RunFolder) {
    let scenario = tempfile::tempdir().expect("a temporary folder");
    let folder = RunFolder::create(scenario.path(), &Clock::fixed(SECOND)).expect("a run folder");
    (scenario, folder)
}

#[test]
fn runs_within_one_second_get_folders_of_their_own() {
    let (scenario, first) = folder();
    let second = RunFolder::create(scenario.path(), &Clock::fixed(SECOND)).unwrap();
    let third = RunFolder::create(scenario.path(), &Clock::fixed(SECOND)).unwrap();
    assert_eq!(first.name(), "20261123-120305");
    assert_eq!(second.name(), "20261123-120305-2");
    assert_eq!(third.name(), "20261123-120305-3");
    fs::create_dir(scenario.path().join("artifacts")).unwrap();
    fs::create_dir(scenario.path().join("20261123-120305-x")).unwrap();
    let listed = RunFolder::list(scenario.path()).unwrap();
    assert_eq!(listed, [first.clone(), second, third]);
    assert_eq!(RunFolder::open(first.root()).unwrap(), first);
}

#[test]
fn names_are_those_that_existing_scripts_look_for() {
    let (_scenario, folder) = folder();
    let below =
        |path: std::path::PathBuf| path.strip_prefix(folder.root()).unwrap().to_str().unwrap().to_owned();
    assert_eq!(below(folder.layers_services_validate()), "layers_services-validate.yaml");
    assert_eq!(below(folder.network_validate_of("cloud.*-fog")), "network-validate/cloud._-fog.json");
    assert_eq!(below(folder.network_validate_of("../x")), "network-validate/.._x.json");
    assert_eq!(below(folder.workflow_validate()), "workflow-validate.out");
    assert_eq!(below(folder.dstat_of("edge-producer-1-1")), "dstat/edge-producer-1-1.csv");
    assert_eq!(below(folder.experiment_results()), "experiment-results");
    assert_eq!(below(folder.manifest()), "fogline/manifest.json");
    assert_eq!(below(folder.events()), "fogline/events.jsonl");
    assert_eq!(below(folder.network()), "fogline/network.json");
    assert_eq!(below(folder.network_plan()), "fogline/network-plan.json");
    assert_eq!(below(folder.network_verdict()), "fogline/network-verdict.json");
    assert_eq!(below(folder.control()), "fogline/control.sock");
    assert_eq!(below(folder.ledger()), "fogline/ledger.csv");
    assert_eq!(below(folder.lock()), "fogline/runner.lock");
    assert_eq!(below(folder.report()), "report.html");
}

#[test]
fn a_folder_that_is_no_run_is_refused_by_name() {
    let other = tempfile::tempdir().unwrap();
    let message = RunFolder::open(other.path()).unwrap_err().to_string();
    assert!(message.contains("not a run folder"), "{message}");
    assert!(message.contains(other.path().to_str().unwrap()), "{message}");
    let missing = other.path().join("nowhere");
    let message = RunFolder::create(&missing, &Clock::fixed(SECOND)).unwrap_err().to_string();
    assert!(message.contains("nowhere"), "{message}");
}

#[test]
fn events_come_back_as_they_were_and_listeners_hear_them_in_order() {
    let (_scenario, folder) = folder();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let listener = Box::new(move |record: &fogline_journal::Record| ear.lock().unwrap().push(record.clone()));
    let journal = Journal::open(&folder, &Clock::fixed(SECOND), vec![listener]).unwrap();
    let done: Result<u32, fogline_journal::JournalError> = journal.phase(RunPhase::Prepare, || Ok(7));
    assert_eq!(done.unwrap(), 7);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || {
                for note in 0..50 {
                    journal.emit(Event::Note { message: format!("{thread} {note} \"ü\"\n") }).unwrap();
                }
            });
        }
    });
    let ended = RunEnded { verdict: Verdict::Failed, exit_code: 4, reasons: vec!["a task failed".into()] };
    journal.emit(Event::RunEnded(ended.clone())).unwrap();
    let events = read_events(&folder).unwrap();
    assert!(!events.cut);
    assert_eq!(events.records.len(), 203);
    assert_eq!(events.records, *heard.lock().unwrap());
    assert_eq!(events.records[0].event, Event::PhaseStarted { phase: RunPhase::Prepare });
    assert!(matches!(events.records[1].event, Event::PhaseEnded { phase: RunPhase::Prepare, ok: true, .. }));
    assert_eq!(events.records[202].event, Event::RunEnded(ended));
    assert!(events.records.is_sorted_by(|a, b| a.elapsed_s <= b.elapsed_s));
    let lines = fs::read_to_string(folder.events()).unwrap();
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["unix_ns"], json!(SECOND));
    assert_eq!(last["event"]["kind"], json!("run_ended"));
    assert_eq!(last["event"]["verdict"], json!("failed"));
}

#[test]
fn a_cut_last_line_is_told_and_a_broken_earlier_one_is_named() {
    let (_scenario, folder) = folder();
    let journal = Journal::open(&folder, &Clock::fixed(SECOND), Vec::new()).unwrap();
    journal.emit(Event::Note { message: "whole".into() }).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(folder.events()).unwrap();
    file.write_all(b"{\"unix_ns\":1,\"elap").unwrap();
    let events = read_events(&folder).unwrap();
    assert!(events.cut);
    assert_eq!(events.records.len(), 1);
    file.write_all(b"\n").unwrap();
    let message = read_events(&folder).unwrap_err().to_string();
    assert!(message.contains("events.jsonl") && message.contains("line 2"), "{message}");
}

#[test]
fn a_full_disk_is_told_and_listeners_still_hear() {
    let (_scenario, folder) = folder();
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this machine has no /dev/full");
        return;
    }
    std::os::unix::fs::symlink("/dev/full", folder.events()).unwrap();
    let heard = Arc::new(Mutex::new(0));
    let ear = Arc::clone(&heard);
    let listener = Box::new(move |_: &fogline_journal::Record| *ear.lock().unwrap() += 1);
    let journal = Journal::open(&folder, &Clock::fixed(SECOND), vec![listener]).unwrap();
    let message = journal.emit(Event::Note { message: "lost".into() }).unwrap_err().to_string();
    assert!(message.contains("events.jsonl") && message.contains("free some space"), "{message}");
    assert_eq!(*heard.lock().unwrap(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let (_scenario, folder) = folder();
    fs::remove_dir(folder.network_validate()).unwrap();
    fs::write(folder.network_validate(), "a file in the way").unwrap();
    let message = write_network_validation(&folder, "a-b", &json!({})).unwrap_err().to_string();
    assert!(message.contains("cannot create") && message.contains("network-validate"), "{message}");
}

#[test]
fn the_lock_tells_whether_the_runner_lives() {
    let (_scenario, folder) = folder();
    assert_eq!(folder.runner().unwrap(), Runner::Gone);
    let lock = RunnerLock::acquire(&folder).unwrap();
    assert_eq!(folder.runner().unwrap(), Runner::Alive(std::process::id()));
    let message = RunnerLock::acquire(&folder).unwrap_err().to_string();
    assert!(message.contains("another runner is at work"), "{message}");
    drop(lock);
    assert_eq!(folder.runner().unwrap(), Runner::Gone);
    assert!(RunnerLock::acquire(&folder).is_ok());
}

#[test]
fn the_manifest_comes_back_and_names_files_by_checksum() {
    let (scenario, folder) = folder();
    fs::write(scenario.path().join("network.yaml"), "abc").unwrap();
    let files = digest_files(scenario.path(), &["network.yaml"]).unwrap();
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(files, [FileDigest { name: "network.yaml".into(), bytes: 3, sha256: known.into() }]);
    assert!(digest_files(scenario.path(), &["none.yaml"]).unwrap_err().to_string().contains("none.yaml"));
    let mut manifest = Manifest { format: Manifest::FORMAT, scenario_files: files, ..Manifest::default() };
    manifest.machine = fogline_journal::Machine::read();
    assert!(
        !manifest.machine.kernel.is_empty() && manifest.machine.cores > 0 && manifest.machine.memory_kib > 0
    );
    manifest.write(&folder).unwrap();
    manifest.verdict = Some(Verdict::Passed);
    manifest.write(&folder).unwrap();
    assert_eq!(Manifest::read(&folder).unwrap(), manifest);
    manifest.format = 2;
    manifest.write(&folder).unwrap();
    assert!(Manifest::read(&folder).unwrap_err().to_string().contains("format 2 is newer"));
}

fn host(name: &str, address: &str, layer: &str, roles: &[&str]) -> Host {
    Host {
        name: name.into(),
        address: address.parse().expect("an address"),
        layer: layer.into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        monitored: false,
        software: Vec::new(),
    }
}

fn service(key: &str, layer: &str, host: usize) -> Service {
    Service {
        key: key.into(),
        layer: layer.into(),
        name: "X".into(),
        sub_service: None,
        host: HostId(host),
        port: None,
        variables: serde_json::Map::new(),
    }
}

#[test]
fn services_are_listed_as_e2clab_lists_them() {
    let (_scenario, folder) = folder();
    let plan = Plan {
        scenario: "s".into(),
        hosts: vec![
            host("fog-mosquitto-1-1", "10.99.0.12", "fog", &["Mosquitto", "fog_Mosquitto", "fog"]),
            host("cloud-flink-1-1", "10.99.0.11", "cloud", &["Flink", "cloud", "monitoring"]),
        ],
        services: vec![
            service("fog.mosquitto.1.1", "fog", 0),
            service("cloud.flink.1.job_manager.1", "cloud", 1),
            service("cloud.flink.1.task_manager.1", "cloud", 1),
        ],
        deployments: Vec::new(),
        collections: Vec::new(),
        rules: Vec::new(),
        links: Vec::new(),
        changes: Vec::new(),
        bounds: Default::default(),
        entries: Vec::new(),
        monitoring: None,
    };
    write_services(&folder, &plan).unwrap();
    insta::assert_snapshot!(fs::read_to_string(folder.layers_services_validate()).unwrap());
}

#[test]
fn plays_are_appended_as_documents_that_a_safe_loader_reads() {
    let (_scenario, folder) = folder();
    let mut play = Play {
        phase: "PREPARE".into(),
        play: json!([{"name": "Create the topics", "shell": "cctv topic create --kafka {{ _self.url }}"}]),
        extra_vars: serde_json::Map::from_iter([("duration".to_owned(), json!(60))]),
        hosts: vec!["cloud-kafka-2-1".into()],
        results: vec![
            json!({"host": "cloud-kafka-2-1", "status": "OK", "rc": 0, "stdout": "one\n  two\n\nthree"}),
        ],
    };
    append_play(&folder, &play).unwrap();
    play.phase = "LAUNCH".into();
    play.results = Vec::new();
    append_play(&folder, &play).unwrap();
    let text = fs::read_to_string(folder.workflow_validate()).unwrap();
    insta::assert_snapshot!(text);
    let script = "import sys, yaml; print([(d['TASK'], d['RETURN']) for d in yaml.safe_load_all(sys.stdin)])";
    let python = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(fs::File::open(folder.workflow_validate()).unwrap())
        .output();
    match python {
        Ok(answer) if answer.status.success() => {
            let said = String::from_utf8(answer.stdout).unwrap();
            assert!(said.contains("PREPARE") && said.contains(r"one\n  two\n\nthree"), "{said}");
        }
        _ => eprintln!("skipped: no python3 with yaml to judge the file"),
    }
}

#[test]
fn network_measurements_come_back_by_rule() {
    let (_scenario, folder) = folder();
    write_network_validation(&folder, "fog-edge", &json!({"delay_ms": 50.2})).unwrap();
    write_network_validation(&folder, "cloud-fog", &json!({"delay_ms": 5.1})).unwrap();
    let read: Vec<(String, serde_json::Value)> = read_network_validation(&folder).unwrap();
    let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["cloud-fog", "fog-edge"]);
    assert_eq!(read[0].1["delay_ms"], json!(5.1));
}
