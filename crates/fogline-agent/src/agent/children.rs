//! Child processes, and who waits for them.
//!
//! As pid 1 one thread alone reaps, whatever ends: the agent's own children, whose status it keeps for whoever asks,
//! and orphans, which nobody asks for. It looks at an ended child without reaping it, takes the lock that starting a
//! child holds, and only then reaps: so no status is missed, no process id is used again while the table still
//! has the old one, and the standard library may reap a child that failed to start.

use super::Role;
use crate::sys::process;
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often pid 1 looks for orphans while it has no children of its own: processes that entered the namespace from
/// outside can leave some.
const ORPHAN_LOOK: Duration = Duration::from_millis(250);
/// How long the reaper may take from a child's end to its status.
const REAP_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Children {
    role: Role,
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    /// Process groups that were started and whose leader has not been collected.
    groups: HashSet<i32>,
    /// Set when the agent ends: nothing is started any more, though requests may still wait.
    closed: bool,
    /// As pid 1: whether the reaping thread runs.
    reaping: bool,
    /// As pid 1: ended children whose status nobody has collected.
    ended: HashMap<i32, ExitStatus>,
}

/// A started child, leader of its own process group.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    descriptor: Arc<OwnedFd>,
    child: Child,
}

impl Process {
    /// Readable once the process has ended.
    pub(super) fn ended(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// The descriptor behind [`Process::ended`], to wait on without holding the process.
    pub(super) fn shared_descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.descriptor)
    }

    /// Sends a signal to the whole group.
    pub(super) fn signal(&self, signal: i32) -> io::Result<bool> {
        process::signal_group(self.pid, signal)
    }
}

impl Children {
    /// The table.
    pub(super) fn new(role: Role) -> Arc<Self> {
        Arc::new(Self { role, table: Mutex::default(), changed: Condvar::new() })
    }

    /// Starts `command` in a process group of its own (which the caller has asked for with `process_group(0)`). As
    /// pid 1 the first call also starts the reaping thread, which lasts as long as the process: a host that starts
    /// nothing has nothing to reap.
    pub(super) fn spawn(self: &Arc<Self>, command: &mut Command) -> io::Result<Process> {
        let mut table = self.locked();
        if table.closed {
            return Err(io::Error::other("the agent is about to end"));
        }
        if self.role == Role::Init && !table.reaping {
            let reaped = Arc::clone(self);
            std::thread::Builder::new().name("reaper".to_owned()).spawn(move || reaped.reap_for_ever())?;
            table.reaping = true;
        }
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let descriptor = match process::open_pid(pid) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        table.groups.insert(pid);
        drop(table);
        self.changed.notify_all();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok(Process { pid, stdin, stdout, stderr, descriptor: Arc::new(descriptor), child })
    }

    /// The status of a child whose [`Process::ended`] is readable.
    pub(super) fn collect(&self, process: &mut Process) -> io::Result<ExitStatus> {
        if self.role == Role::Guest {
            let status = process.child.wait();
            self.locked().groups.remove(&process.pid);
            return status;
        }
        let limit = Instant::now() + REAP_DEADLINE;
        let mut table = self.locked();
        loop {
            if let Some(status) = table.ended.remove(&process.pid) {
                table.groups.remove(&process.pid);
                return Ok(status);
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            table = self.changed.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Kills every group that is left, when the agent ends, and starts no more.
    pub(super) fn kill_all(&self) {
        let mut table = self.locked();
        table.closed = true;
        for group in table.groups.drain() {
            let _ = process::signal_group(group, process::SIGKILL);
        }
    }

    fn reap_for_ever(&self) {
        loop {
            let ended = process::peek_ended_child();
            let mut table = self.locked();
            match ended {
                Ok(Some(pid)) => {
                    if let Ok(Some(status)) = process::reap(pid)
                        && table.groups.contains(&pid)
                    {
                        table.ended.insert(pid, status);
                        self.changed.notify_all();
                    }
                }
                Ok(None) | Err(_) => {
                    let waited = self.changed.wait_timeout(table, ORPHAN_LOOK);
                    table = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
            drop(table);
        }
    }

    /// A poisoned lock only says that another thread panicked; the table is sound after every statement.
    fn locked(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
