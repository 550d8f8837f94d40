//! Holds ARCHITECTURE.md's table of rooms to account: a crate uses only the crates that the table allows.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/fogline lies two levels down")
}

/// crate -> our crates that it links (not dev-dependencies), by `cargo metadata`.
fn linked() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace_root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    packages
        .iter()
        .map(|package| {
            let uses = package["dependencies"].as_array().expect("dependencies").iter();
            let uses = uses.filter(|dependency| dependency["kind"].is_null());
            let names = uses.filter_map(|dependency| dependency["name"].as_str());
            let names = names.filter(|name| ours.contains(name)).map(str::to_owned).collect();
            (package["name"].as_str().expect("name").to_owned(), names)
        })
        .collect()
}

/// crate -> our crates that the page allows it. Family names are written without their prefix there.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(workspace_root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let table: BTreeMap<String, String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(name, rest)| {
            (name.to_owned(), rest.trim_end_matches(" |").rsplit('|').next().unwrap_or("").to_owned())
        })
        .collect();
    let names: BTreeSet<String> = table.keys().cloned().collect();
    let full = |short: &str| {
        [short.to_owned(), format!("fogline-{short}")].into_iter().find(|name| names.contains(name))
    };
    table
        .iter()
        .map(|(name, uses)| match uses.trim() {
            "all above" => (name.clone(), names.clone()),
            uses => (name.clone(), uses.split(',').filter_map(|short| full(short.trim())).collect()),
        })
        .collect()
}

#[test]
fn every_crate_has_a_room_and_stays_in_it() {
    let allowed = allowed();
    for (name, uses) in linked() {
        let room = allowed.get(&name).unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for `{name}`"));
        let strangers: Vec<&String> = uses.difference(room).collect();
        assert!(strangers.is_empty(), "`{name}` uses {strangers:?}, which ARCHITECTURE.md does not allow");
    }
}

#[test]
fn the_two_families_do_not_name_each_other() {
    let application = ["cctv", "frame", "vision", "kafka-log", "broker", "gauge"];
    for (name, uses) in linked() {
        let runner = name.starts_with("fogline") || name == "netem";
        let crossed = uses.iter().any(|used| {
            if runner {
                application.contains(&used.as_str())
            } else {
                used.starts_with("fogline") || used == "netem"
            }
        });
        assert!(!crossed, "`{name}` reaches into the other family: {uses:?}");
    }
}
