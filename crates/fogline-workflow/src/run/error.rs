//! What ends a phase.

use crate::cancel::Cancelled;
use fogline_agent::AgentError;
use fogline_journal::{JournalError, RunPhase};
use fogline_scenario::Place;
use std::fmt;

/// Lines of output that a message repeats.
const LINES_MAX: usize = 12;

/// Why a phase did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    /// A task failed.
    #[error("{0}")]
    Task(Box<TaskFailure>),
    /// Jobs that should have gone on have failed.
    #[error("{}", jobs_text(.0))]
    Jobs(Vec<JobFailure>),
    /// A host's agent is gone, or does not answer.
    #[error("{0}")]
    Agent(#[from] AgentError),
    /// The run folder cannot be written.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// The run was stopped from outside.
    #[error("{0}")]
    Cancelled(#[from] Cancelled),
    /// Something that should not happen.
    #[error("internal error: {0}")]
    Internal(String),
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// The phase.
    pub phase: RunPhase,
    /// The workflow entry or service.
    pub entry: String,
    /// The first host on which it failed.
    pub host: String,
    /// On how many further hosts, or items of them, it failed too.
    pub others: usize,
    /// The task's name.
    pub task: String,
    /// The module.
    pub module: String,
    /// The loop's item, as text.
    pub item: Option<String>,
    /// Where the culprit stands: the task, or the argument.
    pub place: Place,
    /// Exit status of the command, if there was one.
    pub rc: Option<i32>,
    /// What is wrong.
    pub message: String,
    /// The end of standard output.
    pub stdout_tail: String,
    /// The end of standard error.
    pub stderr_tail: String,
}

/// A job that ended by itself with something else than 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailure {
    /// The workflow entry or service.
    pub entry: String,
    /// The host.
    pub host: String,
    /// The task's name.
    pub task: String,
    /// The loop's item, as text.
    pub item: Option<String>,
    /// Where the task stands.
    pub place: Place,
    /// Exit status; above 128 for a signal, 124 when it outlived its `async` limit.
    pub rc: i32,
    /// The end of standard error.
    pub stderr_tail: String,
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: task \"{}\" ({}) failed on {}", self.place, self.task, self.module, self.host)?;
        write_item(f, self.item.as_deref())?;
        write!(f, ": {}", self.message)?;
        if let Some(rc) = self.rc {
            write!(f, " (rc {rc})")?;
        }
        match self.others {
            0 => {}
            1 => f.write_str("; it failed once more")?,
            n => write!(f, "; it failed {n} more times")?,
        }
        // Many programs complain on standard output.
        let said = if self.stderr_tail.trim().is_empty() { &self.stdout_tail } else { &self.stderr_tail };
        write_lines(f, said)
    }
}

impl fmt::Display for JobFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: job \"{}\" on {}", self.place, self.task, self.host)?;
        write_item(f, self.item.as_deref())?;
        match self.rc {
            124 => f.write_str(" was still running at its async limit and was ended")?,
            rc => write!(f, " ended by itself with rc {rc}")?,
        }
        write_lines(f, &self.stderr_tail)
    }
}

fn write_item(f: &mut fmt::Formatter<'_>, item: Option<&str>) -> fmt::Result {
    item.map_or(Ok(()), |item| write!(f, " (item {item})"))
}

fn write_lines(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES_MAX)..];
    shown.iter().try_for_each(|line| write!(f, "\n  | {line}"))
}

fn jobs_text(jobs: &[JobFailure]) -> String {
    let first = jobs.first().map_or_else(String::new, ToString::to_string);
    match jobs.len() {
        0 | 1 => first,
        n => format!("{n} jobs failed; the first: {first}"),
    }
}
