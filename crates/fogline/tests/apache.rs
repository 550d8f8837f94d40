//! The surveillance scenario on Apache Kafka, Apache Flink and Mosquitto: the same files, another engine.

#![allow(clippy::print_stdout, reason = "a test that takes a minute shows what it ran")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::results::{artifacts, assert_ledger, assert_results, copy_scenario, obstacle};
use support::{FOGLINE, LENIENT, Traces, run_folders};

/// What a run is to be.
struct Variant {
    engines: &'static [&'static str],
    /// Hosts of Kafka, and of Flink.
    machines: usize,
    /// Edge hosts, with forty cameras each.
    producers: usize,
}

/// The scenario with other numbers of hosts, in a folder of its own.
fn scenario(variant: &Variant, folder: &Path) {
    copy_scenario(folder);
    let path = folder.join("layers_services.yaml");
    let mut text = std::fs::read_to_string(&path).expect("the layers");
    for service in ["Flink", "Kafka"] {
        let quantity = format!("name: {service}\n        quantity: ");
        assert!(text.contains(&quantity), "{text}");
        text = text.replace(&format!("{quantity}1"), &format!("{quantity}{}", variant.machines));
    }
    let all = "name: Producer\n        quantity: 1\n        repeat: 7";
    assert!(text.contains(all), "{text}");
    let fewer = all.replace('7', &(variant.producers - 1).to_string());
    std::fs::write(&path, text.replace(all, &fewer)).expect("the layers");
}

/// Runs it to its trusted end; the run folder, or why it cannot run here.
fn run(variant: &Variant, folder: &Path) -> Result<PathBuf, String> {
    if let Some(obstacle) = obstacle() {
        return Err(obstacle);
    }
    scenario(variant, folder);
    let mut command = Command::new(FOGLINE);
    command.arg("deploy").arg(folder).arg(artifacts()).args(["--duration", "15"]).args(LENIENT);
    for engine in variant.engines {
        command.args(["--engine", engine]);
    }
    let output = command.output().expect("fogline runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(3) && said.contains("fogline fetch") {
        return Err(said);
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    println!("{said}");
    Ok(run_folders(folder).pop().expect("a run folder"))
}

/// Runs a variant and looks at everything that all of them promise.
fn trusted(variant: &Variant) -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().expect("a folder");
    let before = Traces::now();
    let run = match run(variant, folder.path()) {
        Ok(run) => run,
        Err(obstacle) => {
            println!("skipped: {obstacle}");
            return None;
        }
    };
    assert_results(&run, variant.producers * 40);
    assert_ledger(&run, variant.producers * 40);
    for service in ["kafka", "flink", "mosquitto"] {
        let records = run.join("monitoring-data").join(service);
        assert!(std::fs::read_dir(&records).is_ok_and(|mut d| d.next().is_some()), "nothing of {service}");
    }
    assert_eq!(before, Traces::now(), "something was left behind");
    Some((folder, run))
}

/// The lines of JSON that tasks of this name printed, as the journal has them.
fn answers(run: &Path, task: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("workflow-validate.out")).expect("the tasks");
    let mut found = Vec::new();
    let mut ours = false;
    for line in text.lines() {
        if let Some(name) = line.trim().strip_prefix("task: ") {
            ours = name.trim_matches(['"', '\'']) == task;
        }
        let Some(answer) = line.trim().strip_prefix("stdout: ").filter(|_| ours) else { continue };
        let unquoted = answer.strip_prefix('\'').and_then(|answer| answer.strip_suffix('\''));
        let unquoted = unquoted.map_or_else(|| answer.to_owned(), |inner| inner.replace("''", "'"));
        // A text in double quotes is escaped as in JSON.
        let text = serde_json::from_str::<String>(&unquoted).unwrap_or(unquoted);
        found.push(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{task}: {error}: {text}")));
    }
    found
}

#[test]
#[ignore = "starts Apache Kafka and Apache Flink: scripts/test runs it"]
fn the_whole_experiment_runs_on_the_real_cloud() {
    let variant = Variant { engines: &["apache"], machines: 1, producers: 8 };
    let Some((_folder, run)) = trusted(&variant) else { return };
    let cluster = answers(&run, "Wait until all task managers have come").remove(0);
    assert_eq!(cluster["overview"]["slots-total"], 32, "{cluster}");
    let job = answers(&run, "Wait until all of the job runs").remove(0);
    assert_eq!(job["state"], "RUNNING", "{job}");
    let vertices = job["vertices"].as_array().expect("vertices");
    assert!(!vertices.is_empty() && vertices.iter().all(|vertex| vertex["parallelism"] == 16), "{job}");
    for name in ["flink/cloud-flink-1-1.csv", "kafka/cloud-kafka-2-1.csv"] {
        let text = std::fs::read_to_string(run.join("monitoring-data").join(name)).expect(name);
        assert!(text.lines().count() > 2, "{name}: {text}");
    }
}

#[test]
#[ignore = "starts Apache Kafka with ZooKeeper and Apache Flink: scripts/test runs it"]
fn kafka_with_zookeeper_carries_it_too() {
    let variant = Variant { engines: &["apache", "Kafka=apache-zookeeper"], machines: 1, producers: 2 };
    let Some((_folder, run)) = trusted(&variant) else { return };
    let said = std::fs::read_to_string(run.join("workflow-validate.out")).expect("the tasks");
    assert!(said.contains("zookeeper.connect="), "no broker has asked for a ZooKeeper");
}

#[test]
#[ignore = "starts three Apache Kafka brokers and three hosts of Apache Flink: scripts/test runs it"]
fn three_machines_of_each_just_work() {
    let variant = Variant { engines: &["apache"], machines: 3, producers: 2 };
    let Some((_folder, run)) = trusted(&variant) else { return };
    let cluster = answers(&run, "Wait until all task managers have come").remove(0);
    assert_eq!(cluster["overview"]["taskmanagers"], 2, "{cluster}");
    let said = std::fs::read_to_string(run.join("workflow-validate.out")).expect("the tasks");
    assert!(said.contains("--replication 3"), "the topics are not replicated");
}
