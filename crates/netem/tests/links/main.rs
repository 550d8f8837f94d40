//! Real sockets in real network namespaces, over the emulator: as root and as a user without any rights.
//!
//! Where the machine lacks what this needs, the tests say so and pass.
#![allow(unsafe_code, reason = "namespaces are entered, and segments asked for, by system calls")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says what it skips and what it measured")]

mod basics;
mod bed;
mod changes;
mod families;
mod mishaps;
mod rights;
mod sharing;

use bed::{Bed, PATIENCE, receive, socket_address};
use link::Bounds;
use netem::DataPath;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const D: usize = 3;
/// Where the test run as a user finds a TUN device that it may open.
const TUN_VARIABLE: &str = "NETEM_TEST_TUN";
/// By which path it sends its packets.
const PATH_VARIABLE: &str = "NETEM_TEST_PATH";

/// Everything, each on a bed of its own.
fn judge(path: DataPath, tun: &Path) {
    basics::judge(path, tun);
    changes::judge(path, tun);
    families::judge(path, tun);
    mishaps::judge(path, tun);
    sharing::judge(path, tun);
}

fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn links_keep_their_word_as_root() {
    if !is_root() {
        return eprintln!("skipped: not root");
    }
    if let Err(error) = File::options().read(true).write(true).open("/dev/net/tun") {
        return eprintln!("skipped: /dev/net/tun: {error}");
    }
    judge(DataPath::Tap, Path::new("/dev/net/tun"));
}

#[test]
fn links_over_packet_sockets_keep_their_word_as_root() {
    if !is_root() {
        return eprintln!("skipped: not root");
    }
    judge(DataPath::Packet, Path::new("/nowhere"));
}

#[test]
fn links_keep_their_word_without_root() {
    let folder = tempfile::tempdir().unwrap();
    let tun = if is_root() {
        // Others must get at the device; the node that udev makes is open to all on most distributions.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let node = folder.path().join("tun");
        let made = Command::new("mknod").args(["-m", "666"]).arg(&node).args(["c", "10", "200"]).status();
        if !made.is_ok_and(|status| status.success()) {
            return eprintln!("skipped: can't make a device node");
        }
        node
    } else {
        PathBuf::from("/dev/net/tun")
    };
    judge_as_user(DataPath::Tap, &["test", "-w"], &tun);
}

#[test]
fn links_over_packet_sockets_keep_their_word_without_root() {
    judge_as_user(DataPath::Packet, &["test", "-d"], Path::new("/"));
}

/// Starts `in_a_user_namespace` in one, if `check` succeeds with `tun` there.
fn judge_as_user(path: DataPath, check: &[&str], tun: &Path) {
    let mut command = Command::new(if is_root() { "setpriv" } else { "unshare" });
    if is_root() {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare"]);
    }
    command.args(["--user", "--map-root-user", "--net"]);
    let mut trial = Command::new(command.get_program());
    let able = trial.args(command.get_args()).args(check).arg(tun).output();
    match able {
        Ok(output) if output.status.success() => {}
        other => return eprintln!("skipped: no user namespace, or no TUN device for users: {other:?}"),
    }
    let this = std::env::current_exe().unwrap();
    command.arg(this).args(["--ignored", "--exact", "in_a_user_namespace", "--nocapture"]);
    let output = command.env(TUN_VARIABLE, tun).env(PATH_VARIABLE, path.name()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    eprintln!("{}", String::from_utf8_lossy(&text));
    assert!(output.status.success());
}

#[test]
#[ignore = "started by the tests without root in a namespace of its own"]
fn in_a_user_namespace() {
    // Whoever runs the ignored tests too gets here by no other test.
    let Ok(path) = std::env::var(PATH_VARIABLE) else { return eprintln!("skipped: nothing by itself") };
    let tun = std::env::var(TUN_VARIABLE).expect("beside the path");
    let raised = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    assert_ne!(raised.split_whitespace().nth(1), Some("0"), "without real privileges: {raised}");
    judge(path.parse().unwrap(), Path::new(&tun));
}

/// A device taken away is reported, and the others go on.
#[test]
fn a_removed_device_is_reported() {
    let tun = Path::new("/dev/net/tun");
    if !is_root() || File::options().read(true).write(true).open(tun).is_err() {
        return eprintln!("skipped: not root, or no /dev/net/tun");
    }
    let bed = Bed::new(tun, &["a", "b", "c"].map(str::to_owned), Vec::new());
    let removed = bed.inside(C, || Command::new("ip").args(["link", "delete", "net0"]).status());
    if !removed.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: no ip on this machine");
    }
    let deadline = Instant::now() + PATIENCE;
    while bed.emulator.snapshot().devices[C].failure.is_none() {
        assert!(Instant::now() < deadline, "the loss of a device went unnoticed");
        thread::yield_now();
    }
    let (sender, receiver) = (bed.udp(A), bed.udp(B));
    sender.send_to(b"on", socket_address(C)).unwrap();
    sender.send_to(b"on", socket_address(B)).unwrap();
    assert_eq!(receive(&receiver, &mut [0; 8]).unwrap().0, 2);
    let snapshot = bed.emulator.stop();
    assert!(snapshot.devices[C].refused > 0 && snapshot.devices[B].failure.is_none(), "{snapshot:?}");
    assert!(
        snapshot
            .violations(&Bounds::default())
            .iter()
            .any(|violation| violation.starts_with("the device of c failed")),
        "{snapshot:?}"
    );
}
