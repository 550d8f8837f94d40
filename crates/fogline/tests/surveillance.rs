//! The whole smart surveillance experiment, as root and as an ordinary user: 320 cameras, real brokers, every frame
//! accounted for.

#![allow(clippy::print_stdout, reason = "a test that takes a minute shows what it ran")]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use support::results::{artifacts, assert_ledger, assert_results, copy_scenario, obstacle};
use support::{FOGLINE, LENIENT, Traces, run_folders};

/// `nobody`: an ordinary user on every machine.
const ORDINARY: &str = "65534";

fn assert_trusted(output: &Output, scenario: &Path) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    println!("{said}");
    let run = run_folders(scenario).pop().expect("a run folder");
    assert_hosts(&run);
    assert_results(&run, 320);
    assert_ledger(&run, 320);
    assert_network(&run);
    assert_links(&run);
    for name in ["report.html", "workflow-validate.out", "fogline/manifest.json", "fogline/network.json"] {
        assert!(run.join(name).metadata().is_ok_and(|file| file.len() > 100), "{name} is missing or empty");
    }
    assert_eq!(std::fs::read_dir(run.join("dstat")).expect("dstat").count(), 15);
}

fn assert_hosts(run: &Path) {
    let text = std::fs::read_to_string(run.join("layers_services-validate.yaml")).expect("the services");
    let hosts: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    assert_eq!(hosts.len(), 15, "{text}");
}

/// All 80 ordered pairs of the file are links, packets came through every one of them before the launch, and on every
/// gateway both rules had traffic both ways.
fn assert_links(run: &Path) {
    let text = std::fs::read_to_string(run.join("fogline/network.json")).expect("the network's account");
    let network: Value = serde_json::from_str(&text).expect("JSON");
    let links = network["links"].as_array().expect("links");
    assert_eq!(links.len(), 80);
    for gateway in (1..=4).map(|number| format!("fog-mosquitto-{number}-1")) {
        for layer in ["cloud-", "edge-"] {
            for (own, other) in [("source", "destination"), ("destination", "source")] {
                let busy = links.iter().any(|link| {
                    link[own] == gateway.as_str()
                        && link[other].as_str().is_some_and(|name| name.starts_with(layer))
                        && link["delivered"]["packets"].as_u64() > Some(0)
                });
                assert!(busy, "nothing with {gateway} as {own} and {layer} as {other}");
            }
        }
    }
}

/// Rate within 5 %, delay within 1 ms each way, loss within one sixth, and every pair measured.
fn assert_network(run: &Path) {
    let folder = run.join("network-validate");
    let (mut rules, mut pairs) = (0, 0);
    for entry in std::fs::read_dir(&folder).expect("network-validate").filter_map(Result::ok) {
        let text = std::fs::read_to_string(entry.path()).expect("a rule");
        let rule: Value = serde_json::from_str(&text).expect("a rule is JSON");
        let pair = |of: &str, asked: &str, measured: &str| {
            let number = |key: &str| rule[of][key].as_f64().unwrap_or_else(|| panic!("{of}.{key}: {text}"));
            (number(asked), number(measured))
        };
        let (asked, measured) = pair("delay", "asked_ms", "one_way_ms_p50");
        assert!((measured - asked).abs() <= 1.0, "delay {measured} ms instead of {asked}");
        let (asked, measured) = pair("rate", "asked_bits_per_s", "measured_bits_per_s");
        assert!((measured / asked - 1.0).abs() <= 0.05, "rate {measured} instead of {asked}");
        let (asked, measured) = pair("loss", "asked", "measured");
        assert!((measured / asked - 1.0).abs() <= 1.0 / 6.0, "loss {measured} instead of {asked}");
        assert_eq!(rule["delay"]["silent_pairs"], Value::Array(Vec::new()), "{text}");
        pairs += rule["pairs_measured"].as_u64().expect("a number of pairs");
        rules += 1;
    }
    assert_eq!((rules, pairs), (4, 80));
}

#[test]
fn the_experiment_can_be_trusted_and_leaves_nothing() {
    if let Some(obstacle) = obstacle() {
        eprintln!("skipped: {obstacle}");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    copy_scenario(folder.path());
    let before = Traces::now();
    let mut command = Command::new(FOGLINE);
    let output = command
        .arg("deploy")
        .arg(folder.path())
        .arg(artifacts())
        .args(["--duration", "10"])
        .args(LENIENT)
        .output();
    assert_trusted(&output.expect("fogline runs"), folder.path());
    assert_eq!(before, Traces::now(), "something was left behind");
    as_ordinary_user();
}

/// The same again under an ordinary user, when root runs the tests. In one test with the run above, so that the two
/// do not share the cores.
fn as_ordinary_user() {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    if id.stdout != b"0\n" {
        println!("already an ordinary user: no second run");
        return;
    }
    let folder = tempfile::Builder::new().prefix("surveillance-").tempdir().expect("a folder");
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod")
    };
    open(folder.path(), 0o755);
    let programs = Path::new(FOGLINE).parent().expect("a folder of programs");
    for program in ["fogline", "cctv", "broker"] {
        std::fs::copy(programs.join(program), folder.path().join(program)).expect("a program");
        open(&folder.path().join(program), 0o755);
    }
    let scenario = folder.path().join("scenario");
    std::fs::create_dir(&scenario).expect("a scenario folder");
    copy_scenario(&scenario);
    open(&scenario, 0o777);
    // Where /dev/net/tun is closed to users, root opens a node of its own for this test.
    let tun = folder.path().join("tun");
    let made = Command::new("mknod")
        .args(["-m", "0666"])
        .arg(&tun)
        .args(["c", "10", "200"])
        .status()
        .expect("mknod runs");
    assert!(made.success(), "no device node for an ordinary user");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(artifacts())
        .arg(folder.path().join("artifacts"))
        .status()
        .expect("cp runs");
    assert!(copied.success(), "the artifacts cannot be copied");
    let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path().join("artifacts")).status();
    assert!(opened.expect("chmod runs").success());
    let user = ["--reuid", ORDINARY, "--regid", ORDINARY, "--clear-groups", "--"];
    let mut command = Command::new("setpriv");
    command.args(user).arg(folder.path().join("fogline")).arg("deploy").arg(&scenario);
    command.arg(folder.path().join("artifacts")).args(["--duration", "10"]).args(LENIENT);
    let output = command.env("FOGLINE_TUN", &tun).current_dir(folder.path()).output().expect("setpriv runs");
    assert_trusted(&output, &scenario);
}
