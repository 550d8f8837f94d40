//! Foreign judges: iperf3 and ping, run inside hosts, find the delays, rates and losses that were asked for. As the
//! user who runs the tests and, when that is root, as an ordinary user too.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod judge;
mod support;

use judge::{Judge, Verdict};
use netem::DataPath;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::FOGLINE;

/// `nobody`: an ordinary user on every machine.
const ORDINARY: &str = "65534";
/// Set for the test program when it runs as an ordinary user: the `fogline` that this user may run.
const PROGRAM: &str = "FOGLINE_JUDGED_PROGRAM";

fn program() -> PathBuf {
    std::env::var_os(PROGRAM).map_or_else(|| FOGLINE.into(), PathBuf::from)
}

fn judged_over(path: DataPath) {
    match Judge::of(&program(), path) {
        Ok(judge) => judge.hear(),
        Err(Verdict::Skipped(why)) => eprintln!("skipped: {why}"),
        Err(Verdict::Broken(why)) => panic!("{path:?}: {why}"),
    }
}

#[test]
fn judges_agree_over_tap_devices() {
    judged_over(DataPath::Tap);
}

#[test]
fn judges_agree_over_packet_sockets() {
    judged_over(DataPath::Packet);
}

/// The two tests above again, by an ordinary user.
#[test]
fn judges_agree_with_an_ordinary_user() {
    if std::env::var_os(PROGRAM).is_some() {
        return;
    }
    let id = Command::new("id").arg("-u").output().expect("id runs");
    if id.stdout != b"0\n" {
        eprintln!("skipped: the tests are run by an ordinary user anyway");
        return;
    }
    let folder = tempfile::Builder::new().prefix("judges-").tempdir().expect("a folder");
    open(folder.path());
    let copy = |from: &Path, name: &str| {
        let to = folder.path().join(name);
        std::fs::copy(from, &to).expect("a program");
        open(&to);
        to
    };
    let fogline = copy(Path::new(FOGLINE), "fogline");
    let own = copy(&std::env::current_exe().expect("this program"), "judges");
    // Where /dev/net/tun is closed to users, root opens a node of its own for this test.
    let tun = folder.path().join("tun");
    let made = Command::new("mknod").args(["-m", "0666"]).arg(&tun).args(["c", "10", "200"]).status();
    assert!(made.expect("mknod runs").success(), "no device node for an ordinary user");
    let user = ["--reuid", ORDINARY, "--regid", ORDINARY, "--clear-groups", "--"];
    let mut command = Command::new("setpriv");
    command.args(user).arg(own).args(["judges_agree_over", "--nocapture", "--test-threads", "1"]);
    command.env(PROGRAM, fogline).env("FOGLINE_TUN", tun).current_dir(folder.path());
    let output = command.output().expect("setpriv runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 passed"), "{said}");
    eprintln!("as an ordinary user:\n{said}");
}

fn open(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
}
