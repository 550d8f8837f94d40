//! One run: this very program as a child, and what its run folder says.

use super::figures::{Figure, figures};
use super::{Choice, EngineBenchArgs, ServiceHosts};
use crate::sys;
use fogline_journal::{Event, Manifest, RunFolder, RunPhase, Verdict, read_events};
use fogline_report::Evaluation;
use fogline_workflow::Cancel;
use serde::Serialize;
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often the child is looked after, and Ctrl-C with it.
const LOOK: Duration = Duration::from_millis(100);
/// How long a child gets to release everything when somebody asks to stop.
const GRACE: Duration = Duration::from_secs(60);

/// Why the benchmark stops.
pub(super) enum Stop {
    /// Somebody asked.
    Interrupted,
    /// Something that should not happen.
    Broken(String),
}

/// A run and its figures.
#[derive(Debug, Serialize)]
pub(super) struct Trial {
    /// The choice of engines.
    pub(super) engine: String,
    /// Which round, from 1.
    pub(super) round: u32,
    /// The run folder's name; absent when the run did not come to have one.
    pub(super) folder: Option<String>,
    /// The child's exit code; absent when a signal ended it.
    pub(super) exit_code: Option<i32>,
    /// `passed`, `invalid`, `failed`, `interrupted`; absent when the run did not come to have one.
    pub(super) verdict: Option<Verdict>,
    /// Why it did not pass, a sentence each.
    pub(super) reasons: Vec<String>,
    /// What it came to, as far as it went.
    pub(super) figures: Vec<Figure>,
}

impl Trial {
    /// Runs the scenario once.
    pub(super) fn make(
        args: &EngineBenchArgs,
        choice: &Choice,
        services: &ServiceHosts,
        round: u32,
        cancel: &Cancel,
    ) -> Result<Self, Stop> {
        let before = folders(&args.scenario)?;
        let status = deploy(args, choice, cancel)?;
        let new = folders(&args.scenario)?.into_iter().find(|folder| !before.contains(folder));
        let mut trial = Self {
            engine: choice.name.clone(),
            round,
            folder: None,
            exit_code: status.code(),
            verdict: None,
            reasons: Vec::new(),
            figures: Vec::new(),
        };
        match new {
            None => trial.reasons.push(format!("`fogline deploy` left no run folder: {status}")),
            Some(path) => {
                trial.folder = path.file_name().map(|name| name.to_string_lossy().into_owned());
                if let Err(why) = trial.read(&path, services) {
                    trial.reasons.push(why);
                }
            }
        }
        Ok(trial)
    }

    /// Whether its figures count.
    pub(super) fn passed(&self) -> bool {
        self.verdict == Some(Verdict::Passed) && !self.figures.is_empty()
    }

    fn read(&mut self, path: &Path, services: &ServiceHosts) -> Result<(), String> {
        let folder = RunFolder::open(path).map_err(|error| error.to_string())?;
        let manifest = Manifest::read(&folder).map_err(|error| error.to_string())?;
        self.verdict = manifest.verdict;
        self.reasons.extend(manifest.reasons.iter().cloned());
        let evaluation = Evaluation::of(&folder).map_err(|error| error.to_string())?;
        let ready = services_ready_s(&folder).map_err(|error| error.to_string())?;
        self.figures = figures(&evaluation.figures(&manifest), manifest.duration_s, ready, services);
        Ok(())
    }
}

/// Seconds from the run's begin until all services answered.
fn services_ready_s(folder: &RunFolder) -> Result<Option<f64>, fogline_journal::JournalError> {
    let ended =
        |event: &Event| matches!(event, Event::PhaseEnded { phase: RunPhase::Services, ok: true, .. });
    let events = read_events(folder)?;
    Ok(events.records.iter().find(|record| ended(&record.event)).map(|record| record.elapsed_s))
}

fn folders(scenario: &Path) -> Result<BTreeSet<PathBuf>, Stop> {
    let folders = RunFolder::list(scenario).map_err(|error| Stop::Broken(error.to_string()))?;
    Ok(folders.iter().map(|folder| folder.root().to_owned()).collect())
}

/// `fogline deploy` from begin to end. What it says goes to standard error.
fn deploy(args: &EngineBenchArgs, choice: &Choice, cancel: &Cancel) -> Result<ExitStatus, Stop> {
    let broken = |error: std::io::Error| Stop::Broken(format!("cannot run `fogline deploy`: {error}"));
    let mut command = Command::new(std::env::current_exe().map_err(broken)?);
    command
        .arg("deploy")
        .arg(&args.scenario)
        .args(&args.artifacts)
        .args(["--duration", &args.duration.to_string()]);
    command.args(choice.options()).args(&args.options).env_remove("FOGLINE_ENGINE");
    let said = std::io::stderr().as_fd().try_clone_to_owned().map_err(broken)?;
    // Ctrl-C is for this process, which passes it on: a group of its own keeps the child from hearing it twice.
    command.stdin(Stdio::null()).stdout(Stdio::from(said)).process_group(0);
    sys::die_with_parent(&mut command);
    let mut child = command.spawn().map_err(broken)?;
    loop {
        if let Some(status) = child.try_wait().map_err(broken)? {
            return Ok(status);
        }
        if cancel.wait(LOOK).is_err() {
            end(&mut child);
            return Err(Stop::Interrupted);
        }
    }
}

/// Asks a child to end and to release everything; kills it when it does not.
fn end(child: &mut Child) {
    let deadline = Instant::now() + GRACE;
    // A child that has ended meanwhile needs no signal.
    let _ = sys::signal_group(child, signal_hook::consts::SIGTERM);
    while child.try_wait().is_ok_and(|status| status.is_none()) {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        std::thread::park_timeout(LOOK);
    }
}
