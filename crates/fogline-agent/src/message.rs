//! The headers of frames: requests, answers, greetings.

use crate::agent::Role;
use crate::digest::Digest;
use crate::error::Failure;
use crate::exec::{ExecRequest, Exit};
use crate::file::{FileStat, Put};
use crate::job::{JobId, JobStatus};
use crate::probe::{ProbeListen, ProbePlan, ProbePort, ProbeReport, ProbeSent};
use crate::stream::{ConnectRequest, ProcessRequest};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The protocol's name in greetings.
pub(crate) const PROTOCOL: &str = "fogline-agent";
/// The protocol's version; the two sides must agree exactly, as they are built together.
pub(crate) const VERSION: u32 = 2;

/// The first frame of each side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) protocol: String,
    pub(crate) version: u32,
}

impl Greeting {
    pub(crate) fn ours() -> Self {
        Self { protocol: PROTOCOL.to_owned(), version: VERSION }
    }
}

/// What the runner asks. Bulk bytes (input, file content) are the frame's payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    Info,
    Exec(ExecRequest),
    StartJob { label: String, exec: ExecRequest },
    Job { id: JobId },
    Jobs,
    WaitJob { id: JobId, timeout: Duration },
    EndJob { id: JobId, grace: Duration },
    Put { destination: PathBuf, mode: Mode, digest: Digest },
    PutOpen { destination: PathBuf, mode: Mode, bytes: u64, digest: Digest },
    PutChunk { temporary: PathBuf, offset: u64 },
    PutCommit { temporary: PathBuf, destination: PathBuf, mode: Mode, bytes: u64, digest: Digest },
    PutAbort { temporary: PathBuf },
    Link { target: PathBuf, destination: PathBuf },
    Get { path: PathBuf },
    GetChunk { path: PathBuf, offset: u64, bytes: u64 },
    Stat { path: PathBuf },
    MakeDirectory { path: PathBuf, mode: Option<u32> },
    Remove { path: PathBuf },
    StartSamples { csv: PathBuf, interval: Duration },
    StopSamples,
    ProbeListen(ProbeListen),
    ProbeSend(ProbePlan),
    ProbeReport { token: u64, quiet: Duration },
    OpenProcess(ProcessRequest),
    OpenConnection(ConnectRequest),
}

/// Permission bits of a file that is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// Exactly these.
    Exactly(u32),
    /// An existing file's own, these for a new one.
    IfNew(u32),
}

/// What the agent answers.
pub(crate) type Answer = Result<Reply, Failure>;

/// A successful answer. Bulk bytes are the frame's payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Info(AgentInfo),
    Exec { exit: Exit, stdout_bytes: usize, truncated: bool, elapsed: Duration },
    JobStarted { id: JobId },
    Jobs(Vec<JobHeader>),
    Put(Put),
    Opened { temporary: PathBuf },
    Got { bytes: u64, digest: Digest },
    Stat(Option<FileStat>),
    ProbePort(ProbePort),
    ProbeSent(ProbeSent),
    ProbeReport(ProbeReport),
    Streaming,
}

/// A job's status without its tails, which lie one after the other in the payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobHeader {
    pub(crate) status: JobStatus,
    pub(crate) stdout_bytes: usize,
    pub(crate) stderr_bytes: usize,
}

/// Who answers on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// Its role.
    pub role: Role,
    /// Its process id as its host sees it (1 for [`Role::Init`]).
    pub pid: u32,
    /// The program's version.
    pub version: String,
}

/// Whether the peer's greeting fits ours; if not, why.
pub(crate) fn check_greeting(header: &[u8]) -> Result<(), String> {
    let theirs: Greeting =
        serde_json::from_slice(header).map_err(|error| format!("its greeting cannot be read: {error}"))?;
    let ours = Greeting::ours();
    if theirs == ours {
        return Ok(());
    }
    Err(format!(
        "it speaks {} version {}, this side {} version {}: use the same build on both sides",
        theirs.protocol, theirs.version, ours.protocol, ours.version
    ))
}
