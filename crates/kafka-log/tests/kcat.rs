//! kcat, with the librdkafka of the distribution, judges. Skipped where it is not installed.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails loudly and says what it skips")]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::Fixture;

fn kcat(fixture: &Fixture, arguments: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new("kcat");
    command.args(["-b", &fixture.address(), "-X", "broker.address.family=v4"]).args(arguments);
    // Cargo puts the librdkafka that the Rust tests are linked with in the way.
    command.env_remove("LD_LIBRARY_PATH");
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("skipped: kcat cannot be run: {error}");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn kcat_lists_produces_and_consumes() {
    let fixture = Fixture::start();
    fixture.create_topic("t", 4);
    let Some(listing) = kcat(&fixture, &["-L"], "") else {
        return;
    };
    assert!(listing.contains("1 brokers") && listing.contains("topic \"t\" with 4 partitions"), "{listing}");
    let lines: String = (0..100).map(|n| format!("key-{n}:value {n}\n")).collect();
    for codec in ["none", "gzip", "lz4", "snappy", "zstd"] {
        let produce = ["-P", "-t", "t", "-p", "2", "-K", ":", "-H", "kind=test", "-z", codec];
        kcat(&fixture, &produce, &lines).unwrap();
    }
    let consume = ["-C", "-t", "t", "-p", "2", "-o", "beginning", "-e", "-q", "-f", "%o %k %s %h\n"];
    let got = kcat(&fixture, &consume, "").unwrap();
    let expected: String =
        (0..500).map(|n| format!("{n} key-{} value {} kind=test\n", n % 100, n % 100)).collect();
    assert_eq!(got, expected);
    let query = kcat(&fixture, &["-Q", "-t", "t:2:-1"], "").unwrap();
    assert!(query.contains("500"), "{query}");
}

#[test]
fn kcat_reads_as_a_group_and_commits() {
    let fixture = Fixture::start();
    fixture.create_topic("t", 2);
    let group = ["-G", "readers", "-X", "auto.offset.reset=earliest", "-e", "-q", "-f", "%s\n", "t"];
    if kcat(&fixture, &["-P", "-t", "t", "-X", "enable.idempotence=true"], "a\nb\nc\n").is_none() {
        return;
    }
    let mut first: Vec<String> = kcat(&fixture, &group, "").unwrap().lines().map(str::to_owned).collect();
    first.sort();
    assert_eq!(first, ["a", "b", "c"]);
    kcat(&fixture, &["-P", "-t", "t"], "d\n").unwrap();
    assert_eq!(kcat(&fixture, &group, "").unwrap(), "d\n", "the group goes on where it was");
}
