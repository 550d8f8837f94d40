//! What happens in a run, as typed events.

use crate::machine::Machine;
use crate::network::{NetworkChanged, NetworkMeasured};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An event with its time: one line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: u64,
    /// Seconds since the journal was opened, by the monotonic clock.
    pub elapsed_s: f64,
    /// What happened.
    pub event: Event,
}

/// Something that happened. In JSON the field `kind` names the variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The run begins.
    RunStarted(RunStarted),
    /// The run is over.
    RunEnded(RunEnded),
    /// A phase begins.
    PhaseStarted {
        /// Which.
        phase: RunPhase,
    },
    /// A phase is over.
    PhaseEnded {
        /// Which.
        phase: RunPhase,
        /// Whether it did what it should.
        ok: bool,
        /// How long it took, in milliseconds.
        elapsed_ms: f64,
    },
    /// A host answers.
    HostUp(HostUp),
    /// A task begins on a host.
    TaskStarted(TaskStarted),
    /// A task is over on a host.
    TaskEnded(Box<TaskEnded>),
    /// A job beside the workflow (`async`, `poll: 0`) was started.
    JobStarted(JobStarted),
    /// Such a job was seen to have ended.
    JobEnded(JobEnded),
    /// A network rule was measured between two hosts.
    NetworkMeasured(NetworkMeasured),
    /// The network became another one.
    NetworkChanged(NetworkChanged),
    /// The run goes on; look before you trust its results.
    Warning {
        /// What is the matter.
        message: String,
    },
    /// Worth knowing.
    Note {
        /// What.
        message: String,
    },
}

/// The run begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The scenario's name.
    pub scenario: String,
    /// The run folder's path.
    pub folder: String,
    /// Number of hosts.
    pub hosts: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Seconds between launch and finalize.
    pub duration_s: u64,
    /// Where it runs.
    pub machine: Machine,
}

/// The run is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnded {
    /// How it went.
    pub verdict: Verdict,
    /// The runner's exit code.
    pub exit_code: u8,
    /// Why, one sentence each; empty when it passed.
    pub reasons: Vec<String>,
}

/// How a run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything was done, and the results can be trusted.
    Passed,
    /// It went through, but its results must not be used. Early versions wrote `untrusted`.
    #[serde(alias = "untrusted")]
    Invalid,
    /// Something failed.
    Failed,
    /// It was stopped from outside.
    Interrupted,
}

/// The phases of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPhase {
    /// Parse, plan, render every template dry.
    Check,
    /// Expand the scenario.
    Plan,
    /// Bring up the hosts.
    Testbed,
    /// Start the services and wait until they are ready.
    Services,
    /// Shape the network and measure it.
    Network,
    /// `prepare` of the workflow.
    Prepare,
    /// `launch` of the workflow.
    Launch,
    /// The time between launch and finalize.
    Run,
    /// `finalize` of the workflow.
    Finalize,
    /// Bring back what the services have recorded.
    Collect,
    /// Evaluate and write the report.
    Report,
}

impl RunPhase {
    /// The name in events and on the screen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Plan => "plan",
            Self::Testbed => "testbed",
            Self::Services => "services",
            Self::Network => "network",
            Self::Prepare => "prepare",
            Self::Launch => "launch",
            Self::Run => "run",
            Self::Finalize => "finalize",
            Self::Collect => "collect",
            Self::Report => "report",
        }
    }
}

impl fmt::Display for RunPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<fogline_plan::Phase> for RunPhase {
    fn from(phase: fogline_plan::Phase) -> Self {
        match phase {
            fogline_plan::Phase::Prepare => Self::Prepare,
            fogline_plan::Phase::Launch => Self::Launch,
            fogline_plan::Phase::Finalize => Self::Finalize,
        }
    }
}

/// A host answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostUp {
    /// Its name.
    pub host: String,
    /// Its address.
    pub address: String,
    /// How long it took to come up, in milliseconds.
    pub elapsed_ms: f64,
}

/// A task begins on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStarted {
    /// The phase.
    pub phase: RunPhase,
    /// The workflow entry or service.
    pub entry: String,
    /// The host.
    pub host: String,
    /// The task's name, or the module's when it has none.
    pub task: String,
    /// The module.
    pub module: String,
    /// How many items of a loop, if it is a loop.
    pub items: Option<usize>,
}

/// A task, or one item of its loop, is over on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEnded {
    /// The phase.
    pub phase: RunPhase,
    /// The workflow entry or service.
    pub entry: String,
    /// The host.
    pub host: String,
    /// The task's name, or the module's when it has none.
    pub task: String,
    /// The module.
    pub module: String,
    /// Where the task stands, `file:line:column`.
    pub place: String,
    /// The loop's item, as text.
    pub item: Option<String>,
    /// Exit status of the command, if the module runs one.
    pub rc: Option<i32>,
    /// Whether it changed something.
    pub changed: bool,
    /// Whether it failed (also when the failure is ignored).
    pub failed: bool,
    /// Whether `when` left it out.
    pub skipped: bool,
    /// What the module says, mostly about a failure.
    pub message: Option<String>,
    /// The end of standard output.
    pub stdout_tail: String,
    /// The end of standard error.
    pub stderr_tail: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: f64,
}

/// A job beside the workflow was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStarted {
    /// The workflow entry or service.
    pub entry: String,
    /// The host.
    pub host: String,
    /// The task's name.
    pub task: String,
    /// The loop's item, as text.
    pub item: Option<String>,
    /// The job's number on its host.
    pub job: u64,
}

/// A job beside the workflow was seen to have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobEnded {
    /// The workflow entry or service.
    pub entry: String,
    /// The host.
    pub host: String,
    /// The task's name.
    pub task: String,
    /// The loop's item, as text.
    pub item: Option<String>,
    /// The job's number on its host.
    pub job: u64,
    /// Exit status; above 128 for a signal, as a shell says it.
    pub rc: i32,
    /// Whether it counts as a failure: it ended by itself with something else than 0.
    pub failed: bool,
    /// The end of standard error.
    pub stderr_tail: String,
    /// How long it ran, in milliseconds.
    pub elapsed_ms: f64,
}
