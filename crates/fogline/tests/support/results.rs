//! The surveillance scenario, and what a run of it leaves.

use super::{no_testbed, repository};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The scenario's artifacts, the data set among them.
pub(crate) fn artifacts() -> PathBuf {
    repository().join("scenarios/smart-surveillance/artifacts")
}

/// The scenario in a folder of its own, so that its run folder is the test's.
pub(crate) fn copy_scenario(folder: &Path) {
    let original = repository().join("scenarios/smart-surveillance");
    for name in ["layers_services.yaml", "network.yaml", "workflow.yaml"] {
        std::fs::copy(original.join(name), folder.join(name)).expect("a scenario file");
    }
}

/// Why the experiment cannot run here, if so.
pub(crate) fn obstacle() -> Option<String> {
    if !artifacts().join("dataset/dataset.json").is_file() {
        return Some("there is no data set (scripts/test prepares it)".to_owned());
    }
    no_testbed()
}

/// The accounts of a role, each with its files beside it.
pub(crate) fn accounts(folder: &Path, prefix: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("results").filter_map(Result::ok) {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() {
                open.push(path);
            } else if name.starts_with(prefix) && name.ends_with(".account.json") {
                for beside in ["csv", "hlog"] {
                    let beside = path.with_file_name(name.replace("account.json", beside));
                    assert!(beside.is_file(), "{} is missing", beside.display());
                }
                let text = std::fs::read_to_string(&path).expect("an account");
                found.push(serde_json::from_str(&text).expect("an account is JSON"));
            }
        }
    }
    found
}

/// Every process left its files, and all cameras had windows.
pub(crate) fn assert_results(run: &Path, cameras: usize) {
    let results = run.join("experiment-results");
    for (prefix, processes) in
        [("camera-", cameras), ("gateway-", 4), ("job-", 1), ("in-sink-", 1), ("out-sink-", 1)]
    {
        let accounts = accounts(&results, prefix);
        assert_eq!(accounts.len(), processes, "{prefix}");
        assert!(accounts.iter().all(|account| account["complete"] == true), "a {prefix} process was cut off");
    }
    let windows = accounts(&results, "out-sink-").remove(0);
    let windows = windows["cameras"].as_object().expect("cameras");
    let seen = windows.values().filter(|camera| camera["in"].as_u64().unwrap_or(0) > 0).count();
    assert_eq!(seen, cameras, "cameras with windows in out-uni-data");
}

/// The ledger has all cameras and explains every frame.
pub(crate) fn assert_ledger(run: &Path, cameras: usize) {
    let ledger = std::fs::read_to_string(run.join("fogline/ledger.csv")).expect("the ledger");
    let rows: Vec<&str> = ledger.lines().skip(1).collect();
    assert_eq!(rows.len(), cameras);
    assert!(rows.iter().all(|row| row.ends_with(",0")), "unexplained frames:\n{ledger}");
}
