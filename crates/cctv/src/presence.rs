//! The files by which a role tells others that it runs (`.pid`) and that it is ready (`.ready`).
//!
//! A pid file holds the pid and the process's start time in clock ticks since boot (field 22 of
//! `/proc/PID/stat`), so that a pid that was given to another process is not mistaken for the role.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// A running role's pid and ready files; both are removed when it ends in order.
#[derive(Debug)]
pub(crate) struct Presence {
    pid: PathBuf,
    ready: PathBuf,
}

impl Presence {
    /// Makes the metrics directory where needed and writes the pid file of this process.
    pub(crate) fn announce(metrics: &Path, role: &str, instance: &str) -> Result<Self, Failure> {
        let write = || -> io::Result<Self> {
            fs::create_dir_all(metrics)?;
            let presence = Self {
                pid: path(metrics, role, instance, "pid"),
                ready: path(metrics, role, instance, "ready"),
            };
            if presence.ready.exists() {
                fs::remove_file(&presence.ready)?;
            }
            let pid = std::process::id();
            let started = start_ticks(pid).ok_or(io::Error::other("/proc/self/stat is not readable"))?;
            fs::write(&presence.pid, format!("{pid} {started}\n"))?;
            Ok(presence)
        };
        write().map_err(|error| {
            Failure::failed(format!("cannot write into the metrics directory {}: {error}", metrics.display()))
        })
    }

    /// Tells that the role now takes what is sent to it.
    pub(crate) fn ready(&self) -> Result<(), Failure> {
        fs::write(&self.ready, format!("{}\n", crate::clock::unix_ns()))
            .map_err(|error| Failure::failed(format!("cannot write {}: {error}", self.ready.display())))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // The directory may be gone with the host; then there is nobody left to mislead.
        let _ = fs::remove_file(&self.pid);
    }
}

/// The file `<role>-<instance>.<extension>` in `metrics`.
pub(crate) fn path(metrics: &Path, role: &str, instance: &str, extension: &str) -> PathBuf {
    metrics.join(format!("{role}-{instance}.{extension}"))
}

/// A process found by its pid file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The instance's name.
    pub(crate) instance: String,
    /// Its process.
    pub(crate) pid: u32,
    started: u64,
}

impl Found {
    /// Whether the process is still there (a zombie is not).
    pub(crate) fn alive(&self) -> bool {
        start_ticks(self.pid) == Some(self.started)
    }
}

/// Instances of `role` that have left a file with `extension` in `metrics`, sorted.
pub(crate) fn instances(metrics: &Path, role: &str, extension: &str) -> Result<Vec<String>, Failure> {
    let unreadable = |error: io::Error| {
        Failure::failed(format!("cannot read the metrics directory {}: {error}", metrics.display()))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(metrics).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let instance = name.to_str().and_then(|name| {
            name.strip_prefix(role)?.strip_prefix('-')?.strip_suffix(extension)?.strip_suffix('.')
        });
        if let Some(instance) = instance {
            found.push(instance.to_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// The processes of `role` whose pid files are in `metrics`, whether alive or not.
pub(crate) fn processes(metrics: &Path, role: &str) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for instance in instances(metrics, role, "pid")? {
        let file = path(metrics, role, &instance, "pid");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::failed(format!("cannot read {}: {error}", file.display()))),
        };
        let mut words = text.split_whitespace();
        let parsed = words.next().and_then(|w| w.parse().ok()).zip(words.next().and_then(|w| w.parse().ok()));
        let (pid, started) = parsed.ok_or_else(|| {
            Failure::failed(format!("{} does not hold a pid and a start time", file.display()))
        })?;
        found.push(Found { instance, pid, started });
    }
    Ok(found)
}

/// When a process started, in clock ticks since boot; `None` when it is gone or a zombie. The command's name
/// in parentheses may hold anything, so fields are counted from its closing parenthesis (proc(5)).
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_found_while_it_runs_and_gone_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let presence = Presence::announce(dir.path(), "in-sink", "a.1").unwrap();
        let found = processes(dir.path(), "in-sink").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].instance.as_str(), found[0].pid), ("a.1", std::process::id()));
        assert!(found[0].alive());
        assert!(
            !Found { started: found[0].started + 1, ..found[0].clone() }.alive(),
            "a reused pid is another process"
        );
        assert_eq!(processes(dir.path(), "sink").unwrap(), []);
        drop(presence);
        assert_eq!(processes(dir.path(), "in-sink").unwrap(), []);
    }

    #[test]
    fn a_broken_pid_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("job-x.pid"), "soon\n").unwrap();
        assert!(processes(dir.path(), "job").unwrap_err().message.contains("job-x.pid"));
    }
}
