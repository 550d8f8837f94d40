//! The metric files that `fetch` brought, wherever below `experiment-results/` they are.

use crate::ReportError;
use meter::{Account, Latency, Second};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders below `experiment-results/` are followed this deep.
const DEPTH_MAX: usize = 16;

/// The fact of a process that was asked to end before all its streams had ended.
const UNDRAINED: &str = "undrained";

/// The metric files of all processes.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// Accounts, by role and instance.
    pub(crate) accounts: Vec<Account>,
    /// Seconds of all processes, by role.
    pub(crate) seconds: BTreeMap<String, Vec<Second>>,
    /// Latencies of all processes and the whole run, by role and tag. Merged while reading: one interval is as
    /// large in memory as the whole.
    pub(crate) latencies: BTreeMap<(String, String), Latency>,
}

impl Results {
    /// Reads every account below `root` and the two files beside it.
    pub(crate) fn read(root: &Path) -> Result<Self, ReportError> {
        let mut paths = Vec::new();
        collect(root, 0, &mut paths)?;
        paths.sort();
        let mut results = Self::default();
        for path in paths {
            let account = Account::read(&path)?;
            let stem = format!("{}-{}", account.role, account.instance);
            let beside = |extension: &str| path.with_file_name(format!("{stem}.{extension}"));
            let (csv, hlog) = (beside("csv"), beside("hlog"));
            if csv.is_file() {
                results.seconds.entry(account.role.clone()).or_default().extend(meter::read_seconds(&csv)?);
            }
            if hlog.is_file() {
                for interval in meter::read_intervals(&hlog)? {
                    let key = (account.role.clone(), interval.tag);
                    results.latencies.entry(key).or_default().merge(&interval.latency);
                }
            }
            results.accounts.push(account);
        }
        Ok(results)
    }

    /// Sentences on processes that did not come to their orderly end, or ended before their streams did.
    pub(crate) fn incomplete(&self) -> Vec<String> {
        let mut cut: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let ended = |account: &Account| account.complete && !account.facts.contains_key(UNDRAINED);
        for account in self.accounts.iter().filter(|account| !ended(account)) {
            cut.entry(&account.role).or_default().push(&account.instance);
        }
        cut.into_iter()
            .map(|(role, instances)| {
                let shown = instances.iter().take(5).copied().collect::<Vec<_>>().join(", ");
                let more = if instances.len() > 5 { ", ..." } else { "" };
                format!("{} {role} processes did not come to an orderly end: {shown}{more}", instances.len())
            })
            .collect()
    }

    /// When the first and the last process of a role started, in nanoseconds since the Unix epoch.
    pub(crate) fn started(&self, role: &str) -> Option<(u64, u64)> {
        let starts = || self.of_role(role).map(|account| account.started_unix_ns);
        starts().min().zip(starts().max())
    }

    /// Accounts of one role.
    pub(crate) fn of_role(&self, role: &str) -> impl Iterator<Item = &Account> {
        self.accounts.iter().filter(move |account| account.role == role)
    }
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ReportError> {
    if depth > DEPTH_MAX || !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(ReportError::read(folder))? {
        let entry = entry.map_err(ReportError::read(folder))?;
        let kind = entry.file_type().map_err(ReportError::read(&entry.path()))?;
        if kind.is_dir() {
            collect(&entry.path(), depth + 1, found)?;
        } else if entry.file_name().to_string_lossy().ends_with(".account.json") {
            found.push(entry.path());
        }
    }
    Ok(())
}
