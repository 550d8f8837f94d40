//! `gauge` against a real Flink.
#![allow(clippy::print_stdout, reason = "a test that skips says so")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use support::{Cluster, GAUGE, Running, wait_for};

/// The lines of a file of samples, cells by column. Only whole lines.
fn samples(path: &std::path::Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let mut lines = whole.lines().map(cells);
    let header = lines.next().unwrap_or_default();
    lines
        .map(|line| {
            assert_eq!(line.len(), header.len(), "{line:?}");
            header.iter().cloned().zip(line).collect()
        })
        .collect()
}

/// The cells of a line; quoted ones may have commas.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().expect("a cell").push(c),
        }
    }
    cells
}

fn number(sample: &BTreeMap<String, String>, column: &str) -> Option<f64> {
    sample[column].parse().ok()
}

fn sampler(cluster: &Cluster) -> (Running, std::path::PathBuf) {
    let path = cluster.folder().join("monitoring/flink.csv");
    let mut command = Command::new(GAUGE);
    command.args(["sample", "flink", &cluster.url(), "--every", "500ms", "--out"]).arg(&path);
    (Running::spawn(&mut command), path)
}

fn cluster() -> Option<Cluster> {
    match support::flink() {
        Ok(jars) => Some(Cluster::start(jars)),
        Err(missing) => {
            println!("skipped: {missing}");
            None
        }
    }
}

#[test]
#[ignore = "starts Apache Flink: scripts/test runs it"]
fn a_job_is_waited_for_sampled_and_stopped() {
    let Some(mut cluster) = cluster() else { return };
    let url = cluster.url();
    wait_for("a job manager without task managers", || {
        let said = cluster.complaint(&["probe", "flink", &url, "--slots", "4", "--timeout", "1s"]);
        said.contains("0 of 1 task managers and 0 of 4 slots").then_some(())
    });
    cluster.start_task_manager();
    let answer = cluster.answer(&["probe", "flink", &url, "--slots", "4", "--timeout", "120s"]);
    assert_eq!(answer["overview"]["slots-total"], 4, "{answer}");
    assert_eq!(answer["taskmanagers"]["taskmanagers"][0]["slotsNumber"], 4, "{answer}");

    cluster.submit("ticks", None);
    let answer = cluster.answer(&["job", &url, "--name", "ticks", "--timeout", "120s"]);
    assert_eq!((&answer["state"], &answer["parallelism"]), (&"RUNNING".into(), &2.into()), "{answer}");
    let vertices = answer["vertices"].as_array().expect("vertices");
    assert!(vertices.len() == 2 && vertices.iter().all(|vertex| vertex["running"] == 2), "{answer}");

    let (sampler, path) = sampler(&cluster);
    let sample = wait_for("a sample with all figures", || {
        samples(&path).into_iter().find(|sample| {
            sample["vertex"].starts_with("counted, by key")
                && number(sample, "records_in_per_s").is_some_and(|rate| rate > 0.0)
                && number(sample, "checkpoints_completed").is_some_and(|count| count > 0.0)
                && number(sample, "idle_ms_per_s").is_some_and(|idle| idle > 500.0)
        })
    });
    let filled = sample.iter().filter(|(_, cell)| cell.is_empty()).map(|(column, _)| column.as_str());
    let empty: Vec<&str> = filled.collect();
    assert_eq!(empty, ["pending_records", "records_lag_max", "watermark_lag_ms"], "only sources have these");
    assert_eq!((sample["subtasks"].as_str(), sample["restarts"].as_str()), ("2", "0"));
    assert!(
        samples(&path).iter().any(|sample| number(sample, "busy_ms_per_s").is_some_and(|busy| busy > 0.0))
    );

    let said = cluster.complaint(&["job", &url, "--name", "ticks", "--until", "finished", "--timeout", "1s"]);
    assert!(said.contains("is not finished after 1s: it is RUNNING"), "{said}");
    let folder = format!("file://{}/savepoints", cluster.folder().display());
    let stop = ["cancel", &url, "--name", "ticks", "--savepoint", &folder, "--timeout", "120s"];
    let answer = cluster.answer(&stop);
    assert_eq!(answer["state"], "FINISHED", "{answer}");
    let savepoint =
        answer["savepoint"].as_str().and_then(|at| at.strip_prefix("file:")).expect("a savepoint");
    assert!(fs::read_dir(savepoint).expect("the savepoint's folder").next().is_some());
    assert_eq!(cluster.answer(&["job", &url, "--name", "ticks", "--until", "finished"])["state"], "FINISHED");
    let said = cluster.complaint(&["cancel", &url, "--name", "nobody"]);
    assert!(said.contains("has no job named `nobody`; it has `ticks` (FINISHED)"), "{said}");
    assert_eq!(sampler.terminate(), Some(0));
}

#[test]
#[ignore = "starts Apache Flink: scripts/test runs it"]
fn a_failing_job_says_why_and_a_cluster_that_restarts_leaves_a_gap() {
    let Some(mut cluster) = cluster() else { return };
    let url = cluster.url();
    cluster.start_task_manager();
    cluster.answer(&["probe", "flink", &url, "--slots", "4", "--timeout", "120s"]);
    let (sampler, path) = sampler(&cluster);

    cluster.submit("doomed", Some("the camera is on fire"));
    let said =
        cluster.complaint(&["job", &url, "--name", "doomed", "--until", "finished", "--timeout", "120s"]);
    assert!(said.contains("restarts again and again") && said.contains("the camera is on fire"), "{said}");
    let answer = cluster.answer(&["cancel", &url, "--name", "doomed", "--timeout", "120s"]);
    assert_eq!(answer["state"], "CANCELED", "{answer}");
    assert!(answer["restarts"].as_u64().is_some_and(|restarts| restarts >= 3), "{answer}");
    let said = cluster.complaint(&["job", &url, "--name", "doomed", "--timeout", "10s"]);
    assert!(said.contains("is CANCELED"), "{said}");

    cluster.submit("ticks", None);
    cluster.answer(&["job", &url, "--name", "ticks", "--timeout", "120s"]);
    cluster.kill_task_manager();
    cluster.start_task_manager();
    wait_for("a restart in the samples", || {
        let restarted = |sample: &BTreeMap<String, String>| {
            sample["job"] == "ticks" && number(sample, "restarts").is_some_and(|restarts| restarts >= 1.0)
        };
        samples(&path).iter().any(restarted).then_some(())
    });
    let answer = cluster.answer(&["job", &url, "--name", "ticks", "--timeout", "120s"]);
    assert!(answer["restarts"].as_u64().is_some_and(|restarts| restarts >= 1), "{answer}");

    cluster.kill_job_manager();
    let before = wait_for("silence", || {
        let said = cluster.complaint(&["probe", "flink", &url, "--timeout", "1s"]);
        said.contains("does not answer").then(|| samples(&path).len())
    });
    cluster.start_job_manager();
    wait_for("samples after the gap", || (samples(&path).len() > before).then_some(()));
    assert_eq!(sampler.terminate(), Some(0));
}
