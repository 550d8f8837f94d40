//! What a testbed could leave behind.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// Looks again and again until `found` gives something, or fails at the deadline.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "{what} within {DEADLINE:?}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// All live processes (this one aside) whose command line holds `marker`.
pub(crate) fn processes(marker: &str) -> Vec<u32> {
    let own = std::process::id();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(marker.len()).any(|part| part == marker.as_bytes())
        })
        .collect()
}

pub(crate) fn assert_no_process(marker: &str) {
    let marker = &format!("{marker}\0");
    wait_for(&format!("processes of {marker} are gone"), || processes(marker).is_empty().then_some(()));
}

/// Namespaces of a process.
pub(crate) fn namespaces(pid: &str) -> Vec<String> {
    ["net", "mnt", "pid", "uts", "ipc"]
        .iter()
        .filter_map(|kind| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .map(|link| link.display().to_string())
        .collect()
}

/// Whether some process is in one of these namespaces.
pub(crate) fn in_use(namespaces_sought: &[String]) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let name = entry.unwrap().file_name();
        let Some(pid) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else { return false };
        namespaces(pid).iter().any(|namespace| namespaces_sought.contains(namespace))
    })
}

pub(crate) fn mounts() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// The names that the lab's store has where it is mounted.
pub(crate) fn assert_no_file() {
    for name in ["/tmp/hosts", "/tmp/owned", "/tmp/programs", "/tmp/software", "/opt/fogline"] {
        assert!(!Path::new(name).exists(), "{name} was left behind");
    }
}
