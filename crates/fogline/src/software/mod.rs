//! The software that engines other than the embedded one run: what it is, where it lies, what it needs.

pub(crate) mod lock;
mod places;
pub(crate) mod require;

use fogline_plan::Plan;
use lock::{Lock, plain};
use require::{Requirement, host_directories};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) use places::Places;

/// The packages that this program knows.
const LOCKS: [(&str, &str); 5] = [
    ("services/software/kafka.lock", include_str!("../../../../services/software/kafka.lock")),
    ("services/software/zookeeper.lock", include_str!("../../../../services/software/zookeeper.lock")),
    ("services/software/flink.lock", include_str!("../../../../services/software/flink.lock")),
    (
        "services/software/people-counting.lock",
        include_str!("../../../../services/software/people-counting.lock"),
    ),
    ("services/software/mosquitto.lock", include_str!("../../../../services/software/mosquitto.lock")),
];

/// A copy of its lock file lies in every package that was fetched.
pub(crate) const LOCK_FILE: &str = "software.lock";

/// All packages that this program knows, in the order of [`LOCKS`].
pub(crate) fn known() -> Vec<Lock> {
    // What is built in is held to its format by a test.
    LOCKS.iter().filter_map(|(file, text)| Lock::parse(file, text).ok()).collect()
}

/// The software of one experiment, all of it there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Software {
    /// Folders to mount on hosts, by package.
    pub(crate) folders: BTreeMap<String, PathBuf>,
    /// Versions by package, as far as known.
    pub(crate) versions: BTreeMap<String, String>,
}

/// Why an experiment cannot have its software.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What is missing, one line each.
    pub(crate) lines: Vec<String>,
    /// Commands that bring it.
    pub(crate) commands: Vec<String>,
}

/// What is wrong with a package's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Absent,
    Incomplete(String),
    OtherVersion(String),
}

/// Finds all packages that hosts of the plan ask for, and looks whether the machine has what these need.
///
/// # Errors
/// All that is missing, with what to do about it.
pub(crate) fn find(plan: &Plan, places: &Places) -> Result<Software, Missing> {
    let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
    for host in &plan.hosts {
        for name in &host.software {
            asked.entry(name).or_insert(&host.name);
        }
    }
    let known = known();
    let mut software = Software::default();
    let mut missing = Missing { lines: Vec::new(), commands: Vec::new() };
    let mut requires: BTreeSet<Requirement> = BTreeSet::new();
    for (name, host) in asked {
        let pinned = known.iter().find(|lock| lock.name == name);
        match look_for(name, pinned, places) {
            Ok(found) => {
                software.folders.extend(found.folder.map(|folder| (name.to_owned(), folder)));
                if let Some(lock) = found.lock {
                    software.versions.insert(name.to_owned(), lock.version);
                    requires.extend(lock.requires);
                }
            }
            Err(why) => {
                let title =
                    pinned.map_or_else(String::new, |lock| format!(" ({}, {})", lock.summary, lock.version));
                missing.lines.push(format!("software `{name}`{title}, for {host} and hosts like it: {why}"));
                missing.commands.push(command_for(name, pinned));
                requires.extend(pinned.iter().flat_map(|lock| lock.requires.clone()));
            }
        }
    }
    let directories = host_directories();
    for requirement in &requires {
        match requirement.look(&directories) {
            Ok(version) if version.is_empty() => {}
            Ok(version) => drop(software.versions.insert(requirement.program.clone(), version)),
            Err(lacking) => missing.lines.push(lacking.to_string()),
        }
    }
    if missing.lines.is_empty() { Ok(software) } else { Err(missing) }
}

/// The engine of each service, for the manifest.
pub(crate) fn engines(plan: &Plan) -> Value {
    let services = plan.services.iter();
    let engines =
        services.filter_map(|service| Some((service.name.clone(), service.variables.get("engine")?.clone())));
    Value::Object(engines.collect())
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.lines.join("\n  ");
        write!(out, "this machine lacks what the chosen engines run; nothing was started\n  {lines}")?;
        match self.commands.is_empty() {
            true => Ok(()),
            false => write!(out, "\nbring it with: {}", self.commands.join(" && ")),
        }
    }
}

/// A package that is there; without a folder when it comes with the system.
struct Found {
    folder: Option<PathBuf>,
    lock: Option<Lock>,
}

fn look_for(name: &str, pinned: Option<&Lock>, places: &Places) -> Result<Found, String> {
    if !plain(name) {
        return Err("its name is no name of a folder: use a-z, 0-9, `.`, `_`, `-`".to_owned());
    }
    if let Some(lock) = pinned.filter(|lock| lock.files.is_empty() && lock.made_by.is_none()) {
        return Ok(Found { folder: None, lock: Some(lock.clone()) });
    }
    let folders = places.of(name);
    let mut faults = Vec::new();
    for folder in &folders {
        match package(name, pinned, folder) {
            Ok(lock) => return Ok(Found { folder: Some(folder.clone()), lock }),
            Err(Fault::Absent) => {}
            Err(Fault::Incomplete(what)) => faults.push(format!("{} lacks {what}", folder.display())),
            Err(Fault::OtherVersion(version)) => {
                faults.push(format!("{} is of version {version}, not the pinned one", folder.display()));
            }
        }
    }
    if faults.is_empty() {
        let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        faults.push(format!("looked for it in {}", looked.join(" and ")));
    }
    Err(faults.join("; "))
}

/// Whether a folder is the package, whole; what it is, if it says so or is known.
fn package(name: &str, pinned: Option<&Lock>, folder: &Path) -> Result<Option<Lock>, Fault> {
    let mut entries = std::fs::read_dir(folder).map_err(|_| Fault::Absent)?;
    if entries.next().is_none() {
        return Err(Fault::Absent);
    }
    let own = std::fs::read_to_string(folder.join(LOCK_FILE)).ok();
    let own = own.and_then(|text| Lock::parse(&format!("{name}.lock"), &text).ok());
    let lock = match (own, pinned) {
        (Some(own), Some(pinned)) if own.text != pinned.text => return Err(Fault::OtherVersion(own.version)),
        (Some(own), _) => own,
        // A folder that somebody put there by hand is taken as it is, but for what is built here.
        (None, Some(pinned)) if pinned.made_by.is_some() => pinned.clone(),
        (None, pinned) => {
            return Ok(pinned.map(|pinned| Lock { version: "own".to_owned(), ..pinned.clone() }));
        }
    };
    match lacks(&lock, folder) {
        Some(what) => Err(Fault::Incomplete(what)),
        None => Ok(Some(lock)),
    }
}

/// How a package is there, and in which folder: `here`, `damaged`, `other version`, `missing`, or `system` for what is
/// looked for only when it is used.
pub(crate) fn state(lock: &Lock, places: &Places) -> (&'static str, Option<PathBuf>) {
    if lock.files.is_empty() && lock.made_by.is_none() {
        return ("system", None);
    }
    let mut worst = ("missing", None);
    for folder in places.of(&lock.name) {
        match package(&lock.name, Some(lock), &folder) {
            Ok(_) => return ("here", Some(folder)),
            Err(Fault::Absent) => {}
            Err(Fault::Incomplete(_)) => worst = ("damaged", Some(folder)),
            Err(Fault::OtherVersion(_)) => worst = ("other version", Some(folder)),
        }
    }
    worst
}

/// The first file that is not there with its size.
fn lacks(lock: &Lock, folder: &Path) -> Option<String> {
    let there = |path: &str, bytes: Option<u64>| {
        let metadata = std::fs::metadata(folder.join(path));
        metadata.is_ok_and(|found| found.is_file() && bytes.is_none_or(|bytes| found.len() == bytes))
    };
    lock.expected().find(|(path, bytes)| !there(path, *bytes)).map(|(path, _)| path)
}

/// What brings a package.
pub(crate) fn command_for(name: &str, pinned: Option<&Lock>) -> String {
    match pinned.and_then(|lock| lock.made_by.clone()) {
        Some(command) => command,
        None if pinned.is_some() => format!("fogline fetch {name}"),
        None => format!("fogline fetch PATH/TO/{name}.lock"),
    }
}

#[cfg(test)]
mod tests;
