//! What Flink answers, as far as it is needed, and the questions.

use crate::Failure;
use crate::rest::{Rest, RestError, cause};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// `/overview`.
#[derive(Debug, Deserialize)]
pub(crate) struct Overview {
    pub(crate) taskmanagers: u32,
    #[serde(rename = "slots-total")]
    pub(crate) slots_total: u32,
}

/// One job of `/jobs/overview`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct JobLine {
    pub(crate) jid: String,
    pub(crate) name: String,
    #[serde(rename = "start-time")]
    pub(crate) start_time: i64,
    pub(crate) state: State,
}

#[derive(Debug, Deserialize)]
struct JobLines {
    jobs: Vec<JobLine>,
}

/// A job's state, by Flink's name for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct State(pub(crate) String);

impl State {
    /// Whether the job is over for good.
    pub(crate) fn is_end(&self) -> bool {
        ["FINISHED", "CANCELED", "FAILED"].contains(&self.0.as_str())
    }
}

/// `/jobs/<id>`.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) jid: String,
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) vertices: Vec<Vertex>,
}

/// A vertex: operators that run in one thread, in so many subtasks.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Vertex {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parallelism: u32,
    tasks: BTreeMap<String, u32>,
}

impl Vertex {
    /// How many of its subtasks run.
    pub(crate) fn running(&self) -> u32 {
        self.tasks.get("RUNNING").copied().unwrap_or(0)
    }
}

/// `counts` of `/jobs/<id>/checkpoints`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Checkpoints {
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

#[derive(Debug, Deserialize)]
struct CheckpointsAnswer {
    counts: Checkpoints,
}

#[derive(Debug, Deserialize)]
struct Exceptions {
    #[serde(rename = "exceptionHistory")]
    history: History,
}

#[derive(Debug, Deserialize)]
struct History {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    stacktrace: String,
}

/// All jobs that the cluster remembers.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn jobs(rest: &Rest, patience: Duration) -> Result<Vec<JobLine>, RestError> {
    rest.get::<JobLines>("/jobs/overview", &[], patience).map(|answer| answer.jobs)
}

/// Of the jobs called `name` the one that started last.
pub(crate) fn newest<'a>(jobs: &'a [JobLine], name: &str) -> Option<&'a JobLine> {
    jobs.iter().filter(|job| job.name == name).max_by_key(|job| job.start_time)
}

/// There is no job called `name`; the message has those that there are.
pub(crate) fn no_job(rest: &Rest, name: &str, jobs: &[JobLine]) -> Failure {
    let known: Vec<String> = jobs.iter().map(|job| format!("`{}` ({})", job.name, job.state.0)).collect();
    let known =
        if known.is_empty() { " and no other".to_owned() } else { format!("; it has {}", known.join(", ")) };
    Failure::NoJob { url: rest.url().to_string(), name: name.to_owned(), known }
}

/// One job.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn job(rest: &Rest, id: &str, patience: Duration) -> Result<Job, RestError> {
    rest.get(&format!("/jobs/{id}"), &[], patience)
}

/// A job's checkpoints so far; none when it makes none.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn checkpoints(rest: &Rest, id: &str, patience: Duration) -> Result<Checkpoints, RestError> {
    match rest.get::<CheckpointsAnswer>(&format!("/jobs/{id}/checkpoints"), &[], patience) {
        Ok(answer) => Ok(answer.counts),
        Err(error) if error.is_missing() => Ok(Checkpoints::default()),
        Err(error) => Err(error),
    }
}

/// Where the newest failure of a job began, in a line; `None` when there was none.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn root_exception(rest: &Rest, id: &str, patience: Duration) -> Result<Option<String>, RestError> {
    let answer: Exceptions = rest.get(&format!("/jobs/{id}/exceptions"), &[], patience)?;
    Ok(answer.history.entries.first().and_then(|entry| cause(&entry.stacktrace)))
}
