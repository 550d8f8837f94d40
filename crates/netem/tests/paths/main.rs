//! Hosts joined by a bridge of the kernel's, with and without its own emulation, and what devices of every path can do.
//!
//! Where the machine lacks what this needs, the tests say so and pass.
#![allow(unsafe_code, reason = "namespaces are entered, and sockets asked, by system calls")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says what it skips")]

mod bed;
mod devices;
mod scripts;
mod shaped;

use netem::DataPath;
use std::process::Command;

/// By which path the test run as a user sends its packets.
const PATH_VARIABLE: &str = "NETEM_TEST_PATH";

fn judge(path: DataPath) {
    devices::judge(path);
    if path == DataPath::Kernel {
        shaped::judge();
    }
}

fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn judge_as_root(path: DataPath) {
    if !is_root() {
        return eprintln!("skipped: not root");
    }
    judge(path);
}

/// Starts `in_a_user_namespace` in one.
fn judge_as_user(path: DataPath) {
    let mut command = Command::new(if is_root() { "setpriv" } else { "unshare" });
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare"]);
    }
    command.args(["--user", "--map-root-user", "--net"]);
    let mut trial = Command::new(command.get_program());
    let able = trial.args(command.get_args()).arg("true").output();
    if !able.is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: no user namespaces for users");
    }
    command.arg(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "in_a_user_namespace", "--nocapture"]);
    let output = command.env(PATH_VARIABLE, path.name()).output().unwrap();
    eprintln!("{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    assert!(output.status.success());
}

#[test]
#[ignore = "started by the tests without root in a namespace of its own"]
fn in_a_user_namespace() {
    // Whoever runs the ignored tests too gets here by no other test.
    let Ok(path) = std::env::var(PATH_VARIABLE) else { return eprintln!("skipped: nothing by itself") };
    judge(path.parse().unwrap());
}

#[test]
fn tap_devices_do_as_told_as_root() {
    if std::fs::File::options().read(true).write(true).open("/dev/net/tun").is_err() {
        return eprintln!("skipped: no /dev/net/tun for this user");
    }
    judge_as_root(DataPath::Tap);
}

#[test]
fn packet_devices_do_as_told_as_root() {
    judge_as_root(DataPath::Packet);
}

#[test]
fn packet_devices_do_as_told_without_root() {
    judge_as_user(DataPath::Packet);
}

#[test]
fn bridged_devices_do_as_told_as_root() {
    judge_as_root(DataPath::Bridge);
}

#[test]
fn bridged_devices_do_as_told_without_root() {
    judge_as_user(DataPath::Bridge);
}

#[test]
fn the_kernel_shapes_as_root() {
    judge_as_root(DataPath::Kernel);
}

#[test]
fn the_kernel_shapes_without_root() {
    judge_as_user(DataPath::Kernel);
}
