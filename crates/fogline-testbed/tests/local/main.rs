//! The local testbed from outside, as the current user and, when that is root, as an ordinary user too.
//!
//! A harness of its own, because this program must be able to become the lab (`__lab`) before it has any thread,
//! and a runner that the tests kill (`__runner`).
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test program, though clippy cannot see that")]

mod changes;
mod death;
mod hosts;
mod paths;
mod setting;
mod traces;

use fogline_testbed::{Right, TestbedError, lab_main, probe_rights_with};
use netem::DataPath;
use setting::Setting;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};

type Case = (&'static str, fn(&Setting));

const CASES: [Case; 21] = [
    ("rights_are_found_out", rights_are_found_out),
    ("hosts_have_names_and_reach_each_other", hosts::have_names_and_reach_each_other),
    ("hosts_keep_their_files_to_themselves", hosts::keep_their_files_to_themselves),
    ("hosts_find_programs_and_cannot_change_them", hosts::find_programs_and_cannot_change_them),
    ("hosts_find_the_software_that_they_ask_for", hosts::find_the_software_that_they_ask_for),
    ("hosts_share_a_limit_on_data", hosts::share_a_limit_on_data),
    ("hosts_cannot_see_each_others_processes", hosts::cannot_see_each_others_processes),
    ("links_delay_and_count", hosts::links_delay_and_count),
    ("links_have_congestion_controls", hosts::links_have_congestion_controls),
    ("hosts_speak_ipv6_at_once", hosts::speak_ipv6_at_once),
    ("paths_are_chosen_and_named", paths::are_chosen_and_named),
    ("paths_of_the_kernel_carry_packets", paths::of_the_kernel_carry_packets),
    ("changes_are_obeyed_at_once", changes::are_obeyed_at_once),
    ("changes_are_refused_by_name", changes::are_refused_by_name),
    ("troubles_are_named_and_leave_nothing", hosts::troubles_are_named_and_leave_nothing),
    ("release_leaves_nothing", death::release_leaves_nothing),
    ("a_testbed_outlives_the_thread_that_made_it", death::a_testbed_outlives_its_thread),
    ("a_runner_killed_while_it_deploys_leaves_nothing", death::runner_killed_while_deploying),
    ("a_runner_killed_later_leaves_nothing", death::runner_killed_later),
    ("a_killed_lab_leaves_nothing", death::lab_killed),
    ("a_killed_host_is_lost_alone", death::host_killed),
];

/// What is tried again with a closed TUN node.
const CLOSED_NODE: [&str; 6] =
    ["rights", "paths", "hosts_have_names", "ipv6", "links_delay", "release_leaves_nothing"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("__lab") => lab_main(),
        Some("__runner") => death::runner(&arguments[1..]),
        Some("__suite") => suite(&arguments[1..]),
        _ => {
            let filters: Vec<String> = arguments.into_iter().filter(|name| !name.starts_with('-')).collect();
            let own = suite(&filters);
            if own != ExitCode::SUCCESS || !setting::is_root() { own } else { as_ordinary_user(&filters) }
        }
    }
}

fn suite(filters: &[String]) -> ExitCode {
    let setting = Setting::new();
    let user = if setting::is_root() { "root" } else { "an ordinary user" };
    if let Err(TestbedError::Right(right)) = probe_rights_with(&setting.options()) {
        eprintln!("local testbed as {user}: SKIPPED, {right}");
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, case) in CASES {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        let start = std::time::Instant::now();
        let outcome = std::panic::catch_unwind(|| case(&setting));
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        failed += usize::from(outcome.is_err());
        eprintln!("test {name} as {user} ... {word} ({} ms)", start.elapsed().as_millis());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the suite again as user 65534. That user may not read this program where it was built, nor open a TUN node
/// that belongs to root alone, so root prepares copies of both in a directory that goes away afterwards.
fn as_ordinary_user(filters: &[String]) -> ExitCode {
    let directory = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    open(directory.path(), 0o755);
    let program = directory.path().join("local-test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    open(&program, 0o755);
    let tun = directory.path().join("tun");
    let made = Command::new("mknod").arg(&tun).args(["c", "10", "200"]).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("local testbed as an ordinary user: SKIPPED, root cannot make a device node here");
        return ExitCode::SUCCESS;
    }
    open(&tun, 0o666);
    let own = run_as_ordinary_user(&program, &tun, filters);
    if own != ExitCode::SUCCESS || !filters.is_empty() {
        return own;
    }
    // As most machines have it that are not managed by udev: hosts are joined by packet sockets then.
    open(&tun, 0o600);
    eprintln!("and with a TUN node that this user may not open:");
    run_as_ordinary_user(&program, &tun, &CLOSED_NODE.map(str::to_owned))
}

fn run_as_ordinary_user(program: &Path, tun: &Path, filters: &[String]) -> ExitCode {
    let status = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(program)
        .arg("__suite")
        .args(filters)
        .env("FOGLINE_TUN", tun)
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("local testbed as an ordinary user: SKIPPED, setpriv: {error}");
            ExitCode::SUCCESS
        }
    }
}

fn rights_are_found_out(setting: &Setting) {
    let options = setting.options();
    let rights = probe_rights_with(&options).unwrap();
    assert!(setting::is_root() || rights.user_namespace);
    let mut none = setting.options();
    none.tun = "/nonexistent/tun".into();
    let rights = probe_rights_with(&none).unwrap();
    assert!(rights.notes[0].contains("/nonexistent/tun"), "{:?}", rights.notes);
    none.path = Some(DataPath::Tap);
    match probe_rights_with(&none) {
        Err(TestbedError::Right(right)) => {
            assert_eq!(right.right, Right::Tap);
            assert!(right.to_string().contains("/nonexistent/tun"), "{right}");
        }
        other => panic!("{other:?}"),
    }
    setting.assert_clear();
}
