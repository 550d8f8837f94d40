//! The machine that an experiment ran on, as its kernel describes it.

use serde::{Deserialize, Serialize};
use std::fs;

/// The machine that an experiment ran on. Texts are empty and numbers 0 where the kernel does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel release, as `uname -r` prints it.
    pub kernel: String,
    /// Architecture, such as `x86_64`.
    pub architecture: String,
    /// The distribution's name and version, from `/etc/os-release`.
    pub system: String,
    /// The first processor's model name.
    pub cpu_model: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory, in KiB.
    pub memory_kib: u64,
}

impl Machine {
    /// Reads `/proc` and `/etc/os-release`.
    pub fn read() -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            system: field(&file("/etc/os-release"), "PRETTY_NAME", '=').trim_matches('"').to_owned(),
            cpu_model: field(&file("/proc/cpuinfo"), "model name", ':').to_owned(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_kib: memory_kib(&file("/proc/meminfo")),
        }
    }
}

fn memory_kib(meminfo: &str) -> u64 {
    let total = field(meminfo, "MemTotal", ':');
    total.trim_end_matches("kB").trim().parse().unwrap_or(0)
}

/// The value of the first line `key<separator>value`.
fn field<'t>(text: &'t str, key: &str, separator: char) -> &'t str {
    let pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).next().unwrap_or_default()
}
