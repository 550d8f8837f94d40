//! Commands that go on while the experiment does.

use crate::exec::{ExecRequest, Exit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A job of one host; numbers are never used twice in an agent's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A command to start and leave running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRequest {
    /// What the user will recognise it by.
    pub label: String,
    /// The command. Its time-out is the job's limit.
    pub exec: ExecRequest,
}

/// How a job is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job.
    pub id: JobId,
    /// Its label.
    pub label: String,
    /// Process id as its host sees it; also the id of its process group.
    pub pid: i32,
    /// How it ended; `None` while it runs.
    pub exit: Option<Exit>,
    /// Last bytes of its standard output.
    #[serde(skip)]
    pub stdout_tail: Vec<u8>,
    /// Last bytes of its standard error.
    #[serde(skip)]
    pub stderr_tail: Vec<u8>,
    /// File on the host that takes its standard output.
    pub stdout_path: PathBuf,
    /// File on the host that takes its standard error.
    pub stderr_path: PathBuf,
    /// Whether an output file grew beyond [`JOB_OUTPUT_BYTES_MAX`](crate::limits::JOB_OUTPUT_BYTES_MAX) and was cut.
    pub cut: bool,
    /// How long it has run, or ran.
    pub elapsed: Duration,
}
