//! Every name in the run folder.

use crate::lock::{self, Runner};
use crate::{Clock, JournalError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Runs of one scenario that may begin within one second before creation is refused.
const SAME_SECOND_MAX: u32 = 1000;

/// The folder of one run. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// Makes `<scenario_dir>/<YYYYMMDD-HHMMSS>/` with its sub folders. A second run within the same second gets the
    /// suffix `-2`, and so on.
    ///
    /// # Errors
    /// When the scenario folder is missing, not writable, or its disk is full.
    pub fn create(scenario_dir: &Path, clock: &Clock) -> Result<Self, JournalError> {
        let absolute =
            fs::canonicalize(scenario_dir).map_err(|e| JournalError::new("open", scenario_dir, e))?;
        let second = clock.second_name();
        let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
        for attempt in 1..=SAME_SECOND_MAX {
            let name = if attempt == 1 { second.clone() } else { format!("{second}-{attempt}") };
            let folder = Self { root: absolute.join(name) };
            match fs::create_dir(&folder.root) {
                Ok(()) => return folder.with_sub_folders(),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => taken = e,
                Err(e) => return Err(JournalError::new("create", &folder.root, e)),
            }
        }
        Err(JournalError::new("create", &absolute.join(second), taken))
    }

    /// Opens an existing run folder to read it.
    ///
    /// # Errors
    /// When `path` is not a folder, or has no `fogline/` in it and so is not a run folder.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let root = fs::canonicalize(path).map_err(|e| JournalError::new("open", path, e))?;
        let folder = Self { root };
        if folder.fogline().is_dir() {
            return Ok(folder);
        }
        let what =
            "not a run folder: it has no folder named fogline (a run folder is <scenario>/<YYYYMMDD-HHMMSS>)";
        Err(JournalError::new("open", path, io::Error::new(io::ErrorKind::NotFound, what)))
    }

    /// The run folders of a scenario, oldest first. Other entries of the scenario folder are passed over.
    ///
    /// # Errors
    /// When the scenario folder cannot be listed.
    pub fn list(scenario_dir: &Path) -> Result<Vec<Self>, JournalError> {
        let failed = |e| JournalError::new("list", scenario_dir, e);
        let mut names = Vec::new();
        for entry in fs::read_dir(scenario_dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(key) = name.to_str().and_then(run_order) {
                names.push((key, scenario_dir.join(&name)));
            }
        }
        names.sort();
        Ok(names.into_iter().filter_map(|(_, path)| Self::open(&path).ok()).collect())
    }

    fn with_sub_folders(self) -> Result<Self, JournalError> {
        for sub in [self.fogline(), self.network_validate(), self.dstat(), self.experiment_results()] {
            fs::create_dir(&sub).map_err(|e| JournalError::new("create", &sub, e))?;
        }
        Ok(self)
    }

    /// The folder itself; `working_dir` of the finalize phase.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder's name, `YYYYMMDD-HHMMSS`.
    pub fn name(&self) -> &str {
        self.root.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// `layers_services-validate.yaml`: hosts, addresses, services, roles.
    pub fn layers_services_validate(&self) -> PathBuf {
        self.root.join("layers_services-validate.yaml")
    }

    /// `network-validate/`: per rule, what was asked and what was measured.
    pub fn network_validate(&self) -> PathBuf {
        self.root.join("network-validate")
    }

    /// `network-validate/<rule>.json`. Characters that file names should not have become `_`.
    pub fn network_validate_of(&self, rule: &str) -> PathBuf {
        self.network_validate().join(format!("{}.json", file_name(rule)))
    }

    /// `workflow-validate.out`: every command as run, host by host, with its result.
    pub fn workflow_validate(&self) -> PathBuf {
        self.root.join("workflow-validate.out")
    }

    /// `dstat/`: one CSV per host.
    pub fn dstat(&self) -> PathBuf {
        self.root.join("dstat")
    }

    /// `dstat/<host>.csv`: CPU, memory, network and disk per second.
    pub fn dstat_of(&self, host: &str) -> PathBuf {
        self.dstat().join(format!("{}.csv", file_name(host)))
    }

    /// `experiment-results/`: what `fetch` brought.
    pub fn experiment_results(&self) -> PathBuf {
        self.root.join("experiment-results")
    }

    /// `monitoring-data/`: what engines say of themselves, a folder per engine.
    pub fn monitoring_data(&self) -> PathBuf {
        self.root.join("monitoring-data")
    }

    /// `monitoring-data/flink/`: CSV files of `gauge sample flink`, one per cluster.
    pub fn flink_metrics(&self) -> PathBuf {
        self.monitoring_data().join("flink")
    }

    /// `monitoring-data/kafka/`: lists of Kafka's JmxTool, one per broker.
    pub fn kafka_metrics(&self) -> PathBuf {
        self.monitoring_data().join("kafka")
    }

    /// `fogline/`: what the runner itself records.
    pub fn fogline(&self) -> PathBuf {
        self.root.join("fogline")
    }

    /// `fogline/manifest.json`.
    pub fn manifest(&self) -> PathBuf {
        self.fogline().join("manifest.json")
    }

    /// `fogline/events.jsonl`.
    pub fn events(&self) -> PathBuf {
        self.fogline().join("events.jsonl")
    }

    /// `fogline/network.json`: the emulator's link counters and lateness.
    pub fn network(&self) -> PathBuf {
        self.fogline().join("network.json")
    }

    /// `fogline/network-plan.json`: the rules as planned, each with its links, and the scheduled changes.
    pub fn network_plan(&self) -> PathBuf {
        self.fogline().join("network-plan.json")
    }

    /// `fogline/network-verdict.json`: the bounds in force, and where the emulator did not keep them.
    pub fn network_verdict(&self) -> PathBuf {
        self.fogline().join("network-verdict.json")
    }

    /// `fogline/control.sock`: where the runner takes changes of the network, and lets hosts be entered, while it lasts.
    pub fn control(&self) -> PathBuf {
        self.fogline().join("control.sock")
    }

    /// `fogline/ledger.csv`: for each camera, where its frames went.
    pub fn ledger(&self) -> PathBuf {
        self.fogline().join("ledger.csv")
    }

    /// `fogline/runner.lock`: held by the runner while it lives.
    pub fn lock(&self) -> PathBuf {
        self.fogline().join("runner.lock")
    }

    /// `report.html`.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Whether the runner of this folder is alive.
    ///
    /// # Errors
    /// When the lock file exists but cannot be read.
    pub fn runner(&self) -> Result<Runner, JournalError> {
        lock::look(&self.lock())
    }
}

/// Sorting key of a run folder's name: the second, then the number within it. `None` for other names.
fn run_order(name: &str) -> Option<(String, u32)> {
    let (second, number) = match name.char_indices().nth(15) {
        None => (name, 1),
        Some((15, '-')) => (&name[..15], name[16..].parse().ok()?),
        Some(_) => return None,
    };
    let shaped =
        second.bytes().enumerate().all(|(at, b)| if at == 8 { b == b'-' } else { b.is_ascii_digit() });
    (second.len() == 15 && shaped).then(|| (second.to_owned(), number))
}

/// `text` with every character that a file name should not have replaced by `_`.
fn file_name(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = text.chars().map(safe).collect();
    if name.trim_matches('.').is_empty() { format!("_{name}") } else { name }
}
