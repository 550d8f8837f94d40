//! Apache Kafka and Apache Flink as plain processes on 127.0.0.1, for the tests that start them.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what it skips, and fails loudly")]

pub(crate) mod flink;
pub(crate) mod kafka;
pub(crate) mod process;
pub(crate) mod topic;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest any single step may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// A folder of fetched software, or `None`, said loudly, where it is not here. Looks in `$FOGLINE_SOFTWARE` and only there, or beside the
/// programs that were built and in the cache of `fogline fetch`; `inside` is a file or folder that it must have.
pub(crate) fn software(name: &str, inside: &str) -> Option<PathBuf> {
    if !Command::new("java")
        .arg("-version")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: no java; install the package openjdk-17-jre-headless");
        return None;
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let built = PathBuf::from(env!("CARGO_BIN_EXE_cctv")).parent().map(|folder| folder.join("software"));
    let cache = variable("FOGLINE_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("fogline")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/fogline")))
        .map(|cache| cache.join("software"));
    let folders: Vec<PathBuf> = match variable("FOGLINE_SOFTWARE") {
        Some(folder) => vec![folder],
        None => [built, cache].into_iter().flatten().collect(),
    };
    let found = folders.iter().map(|folder| folder.join(name)).find(|folder| folder.join(inside).exists());
    if found.is_none() {
        eprintln!("skipped: no {name}/{inside} in any of {folders:?}; `fogline fetch {name}` gets it");
    }
    found
}

/// Waits for a condition, and fails the test when it does not come.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
