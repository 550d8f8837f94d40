//! All processes of a session.

use crate::sys::process::SIGKILL;
use crate::sys::terminal::{SIGCONT, SIGHUP, signal_process};
use std::collections::BTreeSet;

/// Looks for processes that were started meanwhile, at most; each look finds all that those before it have left.
const LOOKS_MAX: usize = 16;

/// Tells all processes of the session that its terminal, or whoever talked to it, is gone. Those that ignore the signal
/// (`nohup`) live on, as do those that have a session of their own (`setsid`).
pub(super) fn hang_up(leader: i32) {
    each_member(leader, |pid| {
        signal_process(pid, SIGHUP);
        // One that is stopped would not hear of it.
        signal_process(pid, SIGCONT);
    });
}

/// Kills all processes of the session.
pub(super) fn kill(leader: i32) {
    each_member(leader, |pid| signal_process(pid, SIGKILL));
}

fn each_member(leader: i32, tell: impl Fn(i32)) {
    let mut told = BTreeSet::new();
    for _ in 0..LOOKS_MAX {
        let new: Vec<i32> = members(leader).into_iter().filter(|pid| !told.contains(pid)).collect();
        if new.is_empty() {
            return;
        }
        for pid in new {
            tell(pid);
            told.insert(pid);
        }
    }
}

fn members(leader: i32) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|pid| session_of(*pid) == Some(leader)).collect()
}

/// The session of a process; `None` when it is gone or dead.
fn session_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything, so fields count from the last one: state, parent, group, session.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let alive = !matches!(fields.next()?, "Z" | "X");
    fields.nth(2)?.parse().ok().filter(|_| alive)
}
