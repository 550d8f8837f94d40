//! The agent as its users see it: through a client, over a socket pair.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test program, though clippy sees that of `#[test]` only"
)]

mod connections;
mod exec;
mod files;
mod framing;
mod init;
mod jobs;
mod probes;
mod samples;
mod sessions;
mod streams;

use fogline_agent::{Client, Role, Settings, serve_on};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A guest agent in this process and its client.
struct Guest {
    client: Client,
    agent: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Guest {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let settings = Settings { job_directory: folder.path().join("jobs"), ..Settings::new(Role::Guest) };
        let agent = std::thread::spawn(move || {
            let read = theirs.try_clone().unwrap();
            serve_on(read, theirs, settings).unwrap();
        });
        Self { client: Client::new(ours, "guest").unwrap(), agent, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Drops the client, and returns when the agent has ended.
    fn end(self) {
        drop(self.client);
        self.agent.join().unwrap();
    }
}

/// Does `work` with a guest, which ends once all streams of the work are dropped.
fn with_guest(work: impl FnOnce(&Guest)) {
    let guest = Guest::start();
    work(&guest);
    guest.end();
}

/// Waits for a condition; panics with `what` when it never holds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < limit, "never happened: {what}");
        std::thread::yield_now();
    }
}

/// Whether a process exists (a zombie that nobody has reaped does not count).
fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z")))
}
