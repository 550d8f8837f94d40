//! Running plays.

pub(crate) mod error;
mod item;
mod jobs;
mod pool;
mod record;
mod steps;
mod task;

use crate::cancel::Cancel;
use crate::context::Context;
use crate::play::{host_plays, step_as_written};
use crate::template::Engine;
use error::WorkflowError;
use fogline_agent::Client;
use fogline_journal::{Event, Journal, Play, RunFolder, RunPhase, append_play};
use fogline_plan::{Entry, Host, HostId, Phase};
use fogline_scenario::Step;
use jobs::WatchedJob;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use steps::Steps;

/// Runs the entries of a plan on live hosts.
#[derive(Debug)]
pub struct Workflow {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    hosts: Vec<Host>,
    agents: Vec<Client>,
    context: Context,
    folder: RunFolder,
    journal: Journal,
    cancel: Cancel,
    engine: Arc<Engine>,
    jobs: Mutex<Vec<WatchedJob>>,
    finalizing: AtomicBool,
}

/// What a phase did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseOutcome {
    /// Entries that had the phase.
    pub entries: usize,
    /// Tasks run, counted per host and item.
    pub tasks: usize,
    /// Of these, those that changed something.
    pub changed: usize,
    /// Of these, those that `when` left out.
    pub skipped: usize,
    /// Of these, those that failed while failures are ignored.
    pub failures_ignored: usize,
    /// Hosts that failed in a block and went to its `rescue`.
    pub rescued: usize,
    /// Jobs started.
    pub jobs: usize,
}

impl Workflow {
    /// A workflow on `agents`, which stand in the order of `hosts`.
    pub fn new(
        hosts: &[Host],
        agents: Vec<Client>,
        context: Context,
        folder: RunFolder,
        journal: Journal,
        cancel: Cancel,
    ) -> Self {
        let inner = Inner {
            hosts: hosts.to_vec(),
            agents,
            context,
            folder,
            journal,
            cancel,
            engine: Arc::new(Engine::new()),
            jobs: Mutex::default(),
            finalizing: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Starts the services: the launch tasks of `deployments`, recorded as the phase `services`.
    ///
    /// # Errors
    /// As [`Workflow::run_phase`].
    pub fn deploy(&self, deployments: &[Entry]) -> Result<PhaseOutcome, WorkflowError> {
        self.plays(deployments, Phase::Launch, RunPhase::Services)
    }

    /// Brings back what the services have recorded: the finalize tasks of `collections`, recorded as the phase `collect`.
    /// Each entry is tried, whatever became of the others, and of the jobs.
    ///
    /// # Errors
    /// The first thing that failed.
    pub fn collect(&self, collections: &[Entry]) -> Result<(), WorkflowError> {
        let tried = collections.iter().map(|entry| {
            self.plays(std::slice::from_ref(entry), Phase::Finalize, RunPhase::Collect).map(drop)
        });
        tried.collect::<Vec<_>>().into_iter().collect()
    }

    /// Runs one phase of `entries`: entry after entry in file order, each task on all hosts of its entry at once and
    /// to its end before the next begins. Every entry is written to `workflow-validate.out`, also one that fails. The
    /// caller journals the phase itself, around this.
    ///
    /// Jobs of earlier phases that have failed meanwhile end it before it begins; in finalize they do so only after
    /// its tasks, so that results are fetched all the same.
    ///
    /// # Errors
    /// When a task or a job fails, a host's agent is gone, the run folder cannot be written, or the run is stopped
    /// from outside; in that case it returns at once.
    pub fn run_phase(&self, entries: &[Entry], phase: Phase) -> Result<PhaseOutcome, WorkflowError> {
        if phase != Phase::Finalize {
            self.check_jobs()?;
            return self.plays(entries, phase, phase.into());
        }
        let early = self.inner.look_at_jobs()?;
        if let Some(failure) = early.first() {
            self.inner.journal.emit(Event::Warning { message: failure.to_string() })?;
        }
        self.inner.finalizing.store(true, Ordering::Relaxed);
        let done = self.plays(entries, phase, phase.into());
        match done {
            // What failed first explains what failed afterwards.
            Ok(_) | Err(WorkflowError::Task(_)) if !early.is_empty() => Err(WorkflowError::Jobs(early)),
            done => done,
        }
    }

    /// Looks whether jobs (`async` with `poll: 0`) have ended by themselves. Call it from time to time while the
    /// application runs, and at the end; each ended job is told once.
    ///
    /// # Errors
    /// [`WorkflowError::Jobs`] when some ended with something else than 0, before finalize or, other than by being
    /// stopped, in it; and when an agent is gone or the journal cannot be written.
    pub fn check_jobs(&self) -> Result<(), WorkflowError> {
        let failures = self.inner.look_at_jobs()?;
        if failures.is_empty() { Ok(()) } else { Err(WorkflowError::Jobs(failures)) }
    }

    /// Jobs that have not been seen to end.
    pub fn jobs_running(&self) -> usize {
        self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn plays(
        &self,
        entries: &[Entry],
        phase: Phase,
        as_phase: RunPhase,
    ) -> Result<PhaseOutcome, WorkflowError> {
        let mut outcome = PhaseOutcome::default();
        for entry in entries {
            if let Some(tasks) = entry.phases.get(&phase) {
                outcome.entries += 1;
                self.entry(entry, tasks, as_phase, &mut outcome)?;
            }
        }
        Ok(outcome)
    }

    fn entry(
        &self,
        entry: &Entry,
        steps: &[Step],
        phase: RunPhase,
        outcome: &mut PhaseOutcome,
    ) -> Result<(), WorkflowError> {
        let inner = &self.inner;
        let mut hosts = host_plays(entry, &inner.hosts, &inner.context, phase);
        let mut play = Play {
            phase: phase.name().to_uppercase(),
            play: json!([{ "hosts": entry.label, "tasks": steps.iter().map(step_as_written).collect::<Vec<Value>>() }]),
            extra_vars: inner.context.extra_vars(phase),
            hosts: hosts.iter().map(|host| host.name.clone()).collect(),
            results: Vec::new(),
        };
        let mut running =
            Steps { inner, entry: &entry.label, phase, returned: &mut play.results, totals: outcome };
        let done = running.run(steps, &mut hosts);
        let written = append_play(&inner.folder, &play);
        done?;
        Ok(written?)
    }
}

impl Inner {
    fn client(&self, host: HostId) -> Result<&Client, WorkflowError> {
        let unknown = || WorkflowError::Internal(format!("host {} has no agent", host.0));
        self.agents.get(host.0).ok_or_else(unknown)
    }
}
