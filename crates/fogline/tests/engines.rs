//! What each engine would start, without starting it; and engines that are not there.

mod support;

use std::process::{Command, Output};
use support::{FOGLINE, repository};

fn fogline(arguments: &[&str]) -> Output {
    let scenario = repository().join("scenarios/smart-surveillance");
    let artifacts = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(artifacts.path().join("dataset")).expect("a data set");
    std::fs::copy(scenario.join("artifacts/job.json"), artifacts.path().join("job.json")).expect("the job");
    let mut command = Command::new(FOGLINE);
    command.arg(arguments[0]).arg(&scenario).arg(artifacts.path()).args(&arguments[1..]);
    command.output().expect("fogline runs")
}

/// The commands that start the services of the surveillance scenario, and its job.
fn commands(engines: &[&str]) -> String {
    let mut arguments = vec!["plan", "--json"];
    for engine in engines {
        arguments.extend(["--engine", engine]);
    }
    let output = fogline(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut said = String::new();
    for command in plan["commands"].as_array().expect("commands") {
        let text = |key: &str| command[key].as_str().unwrap_or_default();
        let job = text("host") == "cloud-flink-1-1" && text("phase") == "launch";
        if text("phase") == "services" && !["2", "3", "4"].contains(&mosquitto(text("host"))) || job {
            said.push_str(&format!("== {} {} / {}\n", text("phase"), text("host"), text("task")));
            said.push_str(&format!("{}\n", text("command").trim_end()));
        }
    }
    said
}

/// The number of a gateway's host; all of them are alike.
fn mosquitto(host: &str) -> &str {
    host.strip_prefix("fog-mosquitto-").and_then(|rest| rest.split('-').next()).unwrap_or_default()
}

#[test]
fn containers_are_started_as_e2clab_starts_them() {
    insta::assert_snapshot!("docker", commands(&["docker"]));
}

#[test]
fn apache_is_started_as_ordinary_processes() {
    insta::assert_snapshot!("apache", commands(&["apache"]));
}

#[test]
fn kafka_with_zookeeper_is_one_service_s_choice() {
    let commands = commands(&["apache", "Kafka=apache-zookeeper"]);
    assert!(commands.contains("zookeeper-server-start.sh"), "{commands}");
    assert!(commands.contains("flink-process jobmanager"), "the others stay as asked:\n{commands}");
    assert!(!commands.contains("process.roles"), "{commands}");
}

#[test]
fn engines_that_are_not_there_are_named() {
    for (engine, named) in [
        ("apach", "no service of this scenario has an engine `apach`"),
        ("Kafka=apach", "service `Kafka` has no engine `apach`"),
        ("Kafak=apache", "`Kafak`, which is no service"),
        ("Kafka=", "SERVICE=ENGINE"),
    ] {
        let output = fogline(&["check", "--engine", engine]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{engine}: {said}");
        assert!(said.contains(named), "{engine}: {said}");
    }
}
