//! Running the real program and looking at what it leaves.

#![allow(dead_code, reason = "every test file uses its own part of this")]

pub(crate) mod experiment;
pub(crate) mod results;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub(crate) const FOGLINE: &str = env!("CARGO_BIN_EXE_fogline");

/// Bounds that a machine keeps which is busy with other things: these tests are not about punctuality.
pub(crate) const LENIENT: [&str; 4] = ["--late-max", "10s", "--drops-max", "10%"];

/// The repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/fogline lies two levels down")
}

/// Why hosts cannot be made here, if so; tests say it and skip.
pub(crate) fn no_testbed() -> Option<String> {
    let lab_command = (FOGLINE.into(), vec!["__lab".to_owned()]);
    let options = fogline_testbed::LocalOptions { lab_command, ..fogline_testbed::LocalOptions::default() };
    match fogline_testbed::probe_rights_with(&options) {
        Ok(_) => None,
        Err(fogline_testbed::TestbedError::Right(missing)) => Some(missing.to_string()),
        Err(broken) => panic!("the rights cannot be probed: {broken}"),
    }
}

/// The run folders in a scenario folder.
pub(crate) fn run_folders(scenario: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(scenario).expect("the scenario folder").filter_map(Result::ok);
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.join("fogline").is_dir()).collect();
    folders.sort();
    folders
}

/// Starts `fogline deploy` in the background, its output in `log`.
pub(crate) fn deploy(scenario: &Path, log: &Path, more: &[&str]) -> Child {
    deploy_as(Command::new(FOGLINE), scenario, log, more)
}

/// As [`deploy`], with a command that runs `fogline`.
pub(crate) fn deploy_as(mut fogline: Command, scenario: &Path, log: &Path, more: &[&str]) -> Child {
    let output = std::fs::File::create(log).expect("a log file");
    fogline
        .arg("deploy")
        .arg(scenario)
        .args(more)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a second handle"))
        .stderr(output)
        .spawn()
        .expect("fogline starts")
}

/// Waits until `found` gives something, at most `patience`.
pub(crate) fn wait_for<T>(what: &str, patience: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: nothing within {patience:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A process, so that a recycled number is not mistaken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    started: u64,
}

/// Every process of the machine with its parent.
fn processes() -> BTreeMap<u32, (u32, Process)> {
    let numbers = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name is in parentheses and may hold anything, so fields count from the last parenthesis.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let dead = fields.first().is_some_and(|state| *state == "Z" || *state == "X");
            let process = Process { pid, started: fields.get(19)?.parse().ok()? };
            (!dead).then_some((pid, (fields.get(1)?.parse().ok()?, process)))
        })
        .collect()
}

/// All living descendants of `root`, itself left out.
pub(crate) fn descendants(root: u32) -> BTreeSet<Process> {
    let all = processes();
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(parent) = open.pop() {
        for (pid, (of, process)) in &all {
            if *of == parent && found.insert(*process) {
                open.push(*pid);
            }
        }
    }
    found
}

/// Those of `watched` that still live.
pub(crate) fn alive(watched: &BTreeSet<Process>) -> Vec<Process> {
    let all = processes();
    watched
        .iter()
        .filter(|process| all.get(&process.pid).is_some_and(|(_, now)| now == *process))
        .copied()
        .collect()
}

/// What could be left behind outside the run folder: mounts, named namespaces, temporary files, devices.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    mounts: String,
    named_namespaces: Vec<String>,
    temporary: Vec<String>,
    devices: Vec<String>,
}

impl Traces {
    /// As things are now.
    pub(crate) fn now() -> Self {
        let names = |folder: &Path, kept: fn(&str) -> bool| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
            let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let mut names: Vec<String> = names.filter(|name| kept(name)).collect();
            names.sort();
            names
        };
        Self {
            mounts: std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo"),
            named_namespaces: names(Path::new("/run/netns"), |_| true),
            temporary: names(&std::env::temp_dir(), |name| name.contains("fogline")),
            devices: names(Path::new("/sys/class/net"), |_| true),
        }
    }
}
