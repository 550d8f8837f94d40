//! Networks that change while an experiment runs, by hand and by schedule, seen by what runs on the hosts.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;
use support::{FOGLINE, LENIENT, Traces, no_testbed, run_folders, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);

const LAYERS: &str = "environment: {local: {}}\nlayers:\n- name: cloud\n  services: [{name: Node}]\n\
                      - name: fog\n  services: [{name: Node}]\n- name: edge\n  services: [{name: Node}]\n";

const NETWORK: &str = "networks:\n- {src: cloud, dst: fog, delay: 1ms, symmetric: true}\n";

/// Shell: repeats what follows it up to 600 times, each at most a second long, until it succeeds.
const UNTIL: &str = "n=0; until [ $n -ge 600 ] || (";
const DONE: &str = "); do n=$((n+1)); sleep 0.1; done; [ $n -lt 600 ]";
const PING: &str = "ping -c 1 -W 1 fog-node-1-1 >/dev/null";

/// Why these tests cannot run here, if so.
fn obstacle() -> Option<String> {
    if Command::new("ping").arg("-V").output().is_err() {
        return Some("there is no ping (Debian: iputils-ping)".to_owned());
    }
    no_testbed()
}

/// A scenario of three hosts; only cloud and fog have a rule.
fn scenario(folder: &Path, network: &str, workflow: &str) {
    std::fs::create_dir_all(folder).expect("a scenario folder");
    for (name, text) in [("layers_services", LAYERS), ("network", network), ("workflow", workflow)] {
        std::fs::write(folder.join(format!("{name}.yaml")), text).expect("a scenario file");
    }
}

/// `fogline network` with these words, on `folder`.
fn network(folder: &Path, words: &[&str]) -> Output {
    Command::new(FOGLINE).arg("network").args(words).arg(folder).output().expect("fogline runs")
}

/// As [`network`], which has to succeed; its answer.
fn changed(folder: &Path, words: &[&str]) -> Value {
    let output = network(folder, &[words, &["--json"]].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("an answer is JSON")
}

/// As [`network`], which has to fail with this exit code and these words.
fn refused(folder: &Path, words: &[&str], code: i32, expected: &[&str]) {
    let output = network(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    for word in expected {
        assert!(said.contains(word), "{words:?}: `{word}` is missing:\n{said}");
    }
}

fn events(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("fogline/events.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["event"].clone())).collect()
}

/// Waits for an event with these values; the runner must not end before.
fn await_event(runner: &mut Child, folder: &Path, log: &Path, kind: &str, key: &str, value: &str) -> PathBuf {
    wait_for(&format!("{kind} {value}"), PATIENCE, || {
        let ended = runner.try_wait().expect("a status");
        assert!(ended.is_none(), "the runner ended: {}", std::fs::read_to_string(log).unwrap_or_default());
        let run = run_folders(folder).pop()?;
        let found = events(&run).iter().any(|event| event["kind"] == kind && event[key] == value);
        found.then_some(run)
    })
}

/// (who, which way, what, how many links) of all changes that the journal tells of.
fn told(run: &Path) -> Vec<(String, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let changes = events(run).into_iter().filter(|event| event["kind"] == "network_changed");
    changes
        .map(|event| {
            let links = event["links"].as_u64().unwrap_or_default();
            (text(&event["by"]), text(&event["turn"]), text(&event["what"]), links)
        })
        .collect()
}

fn manifest(run: &Path) -> Value {
    let text = std::fs::read_to_string(run.join("fogline/manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("a manifest is JSON")
}

#[test]
fn a_running_network_is_cut_healed_and_slowed_by_hand() {
    if let Some(obstacle) = obstacle() {
        eprintln!("skipped: {obstacle}");
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    // Longer than the address of a socket can be.
    let folder = scratch.path().join("a-folder-whose-name-is-long".repeat(4)).join("scenario");
    let slow = "ping -c 1 -W 2 fog-node-1-1 | grep -Eq 'time=[3-9][0-9][0-9]'";
    let workflow = format!(
        "- hosts: cloud.*\n  launch:\n  - {{name: Reach, shell: '{UNTIL}{PING}{DONE}'}}\n  \
         - {{name: Lose, shell: '{UNTIL}! {PING}{DONE}'}}\n  - {{name: Find, shell: '{UNTIL}{PING}{DONE}'}}\n  \
         - {{name: Slow, shell: \"{UNTIL}{slow}{DONE}\"}}\n"
    );
    scenario(&folder, NETWORK, &workflow);
    let (log, before) = (scratch.path().join("log"), Traces::now());
    let mut runner = support::deploy(&folder, &log, &[&["--duration", "1"], &LENIENT[..]].concat());
    let mut awaits = |name: &str| await_event(&mut runner, &folder, &log, "task_started", "task", name);
    let run = awaits("Lose");
    assert_eq!(changed(&folder, &["cut", "--src", "cloud", "--dst", "fog"])["links"], 1);
    awaits("Find");
    assert_shown(&folder);
    assert_guarded(&run);
    refused(&folder, &["cut", "--host", "fgo"], 2, &["fgo", "did you mean"]);
    refused(&folder, &["cut", "--src", "edge", "--dst", "cloud"], 2, &["no rule shapes edge -> cloud"]);
    refused(
        &folder,
        &["set", "--src", "cloud", "--dst", "fog", "--rate", "5mbits"],
        2,
        &["5mbits", "150mbit"],
    );
    refused(&folder, &["set", "--src", "cloud", "--dst", "fog"], 2, &["--delay"]);
    assert_eq!(changed(&folder, &["heal"])["what"], "healed");
    refused(&folder, &["heal"], 2, &["nothing was changed by hand"]);
    awaits("Slow");
    let slow = ["set", "--src", "cloud", "--dst", "fog", "--symmetric", "--delay", "200ms"];
    assert_eq!(changed(&run, &slow)["links"], 2, "a run folder is as good as its scenario's");
    assert_eq!(
        runner.wait().expect("a status").code(),
        Some(0),
        "{}",
        std::fs::read_to_string(&log).unwrap()
    );
    assert_eq!(before, Traces::now(), "something was left behind");
    assert!(!run.join("fogline/control.sock").exists(), "the socket outlived its run");
    refused(&folder, &["show"], 2, &["is over"]);
    let row =
        |by: &str, turn: &str, what: &str, links| (by.to_owned(), turn.to_owned(), what.to_owned(), links);
    assert_eq!(
        told(&run),
        [
            row("hand", "begins", "cloud -> fog: cut", 1),
            row("hand", "ends", "everywhere: what was set by hand", 1),
            row("hand", "begins", "cloud <-> fog: delay 200ms", 2),
            row("runner", "ends", "everything", 2),
        ]
    );
    let page = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.contains("cloud &lt;-&gt; fog: delay 200ms"), "the report tells of the changes");
}

/// The network as shown while cloud to fog is cut.
fn assert_shown(folder: &Path) {
    let shown = changed(folder, &["show", "--links"]);
    let rules = shown["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), 2, "{shown}");
    let links = &rules[0]["now"][0];
    assert_eq!((&rules[0]["source"], &links["links"]), (&Value::from("cloud"), &Value::from(1)));
    assert_eq!((&links["by_hand"], &links["in_force"]["cut"]), (&Value::from(true), &Value::from(true)));
    assert!(links["packets"]["cut"].as_u64() > Some(0), "{links}");
    assert_eq!(links["each"][0]["source"], "cloud-node-1-1");
    assert_eq!(rules[1]["now"][0]["in_force"]["cut"], Value::from(false));
    let text = network(folder, &["show"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("cut (by hand)") && text.contains("as asked"), "{text}");
}

/// The socket is this user's alone, and answers garbage in words.
fn assert_guarded(run: &Path) {
    let socket = run.join("fogline/control.sock");
    let mode = socket.metadata().expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let folder = std::fs::File::open(run.join("fogline")).expect("the folder");
    let short = format!("/proc/self/fd/{}/control.sock", std::os::fd::AsRawFd::as_raw_fd(&folder));
    let long = vec![b'x'; 100_000];
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"{\"show\": 1}\n", b"\xff\xfe\n", b"no end", &long] {
        let mut stream = UnixStream::connect(&short).expect("the runner listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // The runner may hang up before it has read all of what is too long.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = String::new();
        let read = stream.read_to_string(&mut said);
        assert!(said.contains("refused") || (read.is_err() && garbage.len() > 65536), "{said:?} {read:?}");
    }
}

#[test]
fn scheduled_changes_happen_and_are_told() {
    if let Some(obstacle) = obstacle() {
        eprintln!("skipped: {obstacle}");
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let network = format!(
        "{NETWORK}changes:\n- {{at: 1s, for: 5s, src: fog, dst: cloud, cut: true}}\n\
         - {{at: 7s, src: cloud, dst: fog, symmetric: true, delay: 20ms}}\n"
    );
    // The job sees the other host vanish and come back; the run goes through only if it does.
    let workflow = format!(
        "- hosts: cloud.*\n  launch:\n  \
         - {{name: Watch, shell: '{UNTIL}! {PING}{DONE} && {UNTIL}{PING}{DONE} && touch /opt/seen', async: 300, poll: 0}}\n  \
         finalize:\n  - {{name: Seen, shell: '{UNTIL}test -e /opt/seen{DONE}'}}\n"
    );
    scenario(scratch.path(), &network, &workflow);
    let mut command = Command::new(FOGLINE);
    command.arg("deploy").arg(scratch.path()).args(["--duration", "9"]).args(LENIENT);
    let output = command.output().expect("fogline runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let run = run_folders(scratch.path()).pop().expect("a run folder");
    let told = told(&run);
    let shape: Vec<(&str, &str, u64)> =
        told.iter().map(|(by, turn, _, links)| (by.as_str(), turn.as_str(), *links)).collect();
    let timeline = "timeline";
    let expected =
        [(timeline, "begins", 1), (timeline, "ends", 1), (timeline, "begins", 2), ("runner", "ends", 2)];
    assert_eq!(shape, expected, "{told:?}");
    assert!(told[0].2.contains("cut") && told[2].2.contains("delay 20ms"), "{told:?}");
    let at = |turn: &str| {
        let mut changes = events(&run).into_iter().filter(|event| event["by"] == timeline);
        changes.find(|event| event["turn"] == turn).and_then(|event| event["at_s"].as_f64())
    };
    assert_eq!((at("begins"), at("ends")), (Some(1.0), Some(6.0)));
    let page = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.contains(&told[0].2.replace('>', "&gt;")), "the report tells of {}", told[0].2);
}

#[test]
fn a_bound_that_is_not_kept_makes_the_run_invalid() {
    if let Some(obstacle) = obstacle() {
        eprintln!("skipped: {obstacle}");
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let workflow = "- hosts: cloud.*\n  launch:\n  - shell: ping -c 20 -i 0.05 fog-node-1-1\n";
    scenario(scratch.path(), &format!("{NETWORK}bounds: {{late: 5s, drops: 1%}}\n"), workflow);
    let mut command = Command::new(FOGLINE);
    command.arg("deploy").arg(scratch.path()).args(["--duration", "1", "--late-max", "1ns"]);
    command.args(["--data-path", "packet", "--workers", "2"]);
    let output = command.output().expect("fogline runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("invalid: the run went through, but its results must not be used"), "{said}");
    let run = run_folders(scratch.path()).pop().expect("a run folder");
    let manifest = manifest(&run);
    assert_eq!((&manifest["verdict"], &manifest["exit_code"]), (&"invalid".into(), &5.into()));
    assert_eq!((&manifest["data_path"], &manifest["workers"]), (&"packet".into(), &2.into()));
    let account = std::fs::read_to_string(run.join("fogline/network.json")).expect("the network's account");
    assert!(account.contains("af_packet"), "{account}");
    assert_eq!((&manifest["bounds"]["late"], &manifest["bounds"]["drops"]), (&"1ns".into(), &"1%".into()));
    let reason = manifest["reasons"][0].as_str().expect("a reason");
    assert!(reason.contains("left late") && reason.contains("bound"), "{reason}");
    let again = Command::new(FOGLINE).arg("report").arg(&run).output().expect("fogline runs");
    assert_eq!(again.status.code(), Some(5), "the report says the same from the run folder alone");
    assert!(String::from_utf8_lossy(&again.stdout).contains(reason));
    let page = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.contains("INVALID") && page.contains("left late"));
}

#[test]
fn of_several_experiments_the_run_folder_is_named_and_a_killed_one_is_over() {
    if let Some(obstacle) = obstacle() {
        eprintln!("skipped: {obstacle}");
        return;
    }
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path().join("scenario");
    scenario(&folder, NETWORK, "- hosts: cloud.*\n  launch: [{shell: 'true'}]\n");
    refused(&folder, &["show"], 2, &["no experiment that is running"]);
    refused(&scratch.path().join("nowhere"), &["show"], 2, &["nowhere"]);
    let mut started = Vec::new();
    for number in ["1", "2"] {
        let log = scratch.path().join(number);
        let mut runner = support::deploy(&folder, &log, &["--duration", "300"]);
        let run = wait_for("the run phase", PATIENCE, || {
            assert!(
                runner.try_wait().expect("a status").is_none(),
                "{}",
                std::fs::read_to_string(&log).unwrap()
            );
            let known: Vec<PathBuf> = started.iter().map(|(_, run): &(Child, PathBuf)| run.clone()).collect();
            let run = run_folders(&folder).into_iter().find(|run| !known.contains(run))?;
            events(&run).iter().any(|event| event["phase"] == "run").then_some(run)
        });
        started.push((runner, run));
    }
    let names: Vec<String> = started.iter().map(|(_, run)| run.display().to_string()).collect();
    refused(&folder, &["show"], 2, &["2 experiments are running", &names[0], &names[1]]);
    let (mut second, second_run) = started.remove(1);
    assert_eq!(changed(&second_run, &["cut", "--host", "fog"])["links"], 2);
    assert_eq!(changed(&second_run, &["show"])["rules"].as_array().map(Vec::len), Some(2));
    second.kill().expect("SIGKILL");
    second.wait().expect("a status");
    refused(&second_run, &["heal"], 2, &["is over"]);
    assert_eq!(changed(&folder, &["show"])["rules"][0]["now"][0]["by_hand"], false, "the other one runs on");
    let (mut first, _) = started.remove(0);
    first.kill().expect("SIGKILL");
    first.wait().expect("a status");
    refused(&folder, &["heal"], 2, &["is over"]);
}
