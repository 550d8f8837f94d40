//! Commands, jobs, samples and probes.

use super::Client;
use crate::error::{AgentError, Failure};
use crate::exec::{ExecRequest, ExecResult};
use crate::job::{JobId, JobRequest, JobStatus};
use crate::limits::{CALL_DEADLINE, END_GRACE, STDIN_BYTES_MAX};
use crate::message::{AgentInfo, JobHeader, Reply, Request};
use crate::probe::{ProbeListen, ProbePlan, ProbePort, ProbeReport, ProbeSent};
use std::path::Path;
use std::time::Duration;

/// Requests of one `start_jobs` that are under way at once.
const STARTS_UNDER_WAY: usize = 64;

impl Client {
    /// Who answers. Also the way to learn that the agent is up.
    ///
    /// # Errors
    /// [`AgentError::Lost`], or [`AgentError::Deadline`] after `deadline`.
    pub fn info(&self, deadline: Duration) -> Result<AgentInfo, AgentError> {
        match self.call(&Request::Info, Vec::new(), deadline)? {
            (Reply::Info(info), _) => Ok(info),
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started (no such program or directory, too many wait), or the agent is gone. A command that
    /// fails or times out is a result.
    pub fn exec(&self, request: &ExecRequest) -> Result<ExecResult, AgentError> {
        let stdin = checked_stdin(request)?;
        let deadline = request.timeout + END_GRACE + CALL_DEADLINE;
        match self.call(&Request::Exec(request.clone()), stdin, deadline)? {
            (Reply::Exec { exit, stdout_bytes, truncated, elapsed }, mut stdout) => {
                let stderr = stdout.split_off(stdout_bytes.min(stdout.len()));
                Ok(ExecResult { exit, stdout, stderr, truncated, elapsed })
            }
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// Starts a command and leaves it running until its time-out; its output goes to files on the host.
    ///
    /// # Errors
    /// When it cannot be started, too many jobs run, or the agent is gone.
    pub fn start_job(&self, request: &JobRequest) -> Result<JobId, AgentError> {
        self.start_jobs(std::slice::from_ref(request))?
            .pop()
            .unwrap_or_else(|| Err(self.unexpected(&Reply::Done)))
    }

    /// Starts many jobs without waiting for one before asking for the next; results in the order of the requests.
    ///
    /// # Errors
    /// The outer error when the agent is gone; the inner ones as [`Client::start_job`].
    pub fn start_jobs(&self, requests: &[JobRequest]) -> Result<Vec<Result<JobId, AgentError>>, AgentError> {
        let mut started = Vec::with_capacity(requests.len());
        for batch in requests.chunks(STARTS_UNDER_WAY) {
            let mut under_way = Vec::with_capacity(batch.len());
            for job in batch {
                let stdin = checked_stdin(&job.exec)?;
                let request = Request::StartJob { label: job.label.clone(), exec: job.exec.clone() };
                under_way.push(self.send(&request, stdin, CALL_DEADLINE)?);
            }
            started.extend(under_way.into_iter().map(|pending| match pending.wait()? {
                (Reply::JobStarted { id }, _) => Ok(id),
                (other, _) => Err(self.unexpected(&other)),
            }));
        }
        Ok(started)
    }

    /// How a job is doing, with the last bytes of its output.
    ///
    /// # Errors
    /// When the job is unknown or the agent is gone.
    pub fn job(&self, id: JobId) -> Result<JobStatus, AgentError> {
        self.one_job(&Request::Job { id }, CALL_DEADLINE)
    }

    /// How all jobs are doing, in order of their start, with shorter tails than [`Client::job`] gives.
    ///
    /// # Errors
    /// When the agent is gone.
    pub fn jobs(&self) -> Result<Vec<JobStatus>, AgentError> {
        self.many_jobs(&Request::Jobs, CALL_DEADLINE)
    }

    /// Waits until a job has ended or `timeout` has passed; its status then.
    ///
    /// # Errors
    /// When the job is unknown or the agent is gone.
    pub fn wait_job(&self, id: JobId, timeout: Duration) -> Result<JobStatus, AgentError> {
        self.one_job(&Request::WaitJob { id, timeout }, timeout + CALL_DEADLINE)
    }

    /// Asks a job's process group to end (`SIGTERM`), kills it after `grace`, and returns once the job has ended. A
    /// job that has ended already is left alone.
    ///
    /// # Errors
    /// When the job is unknown, does not even end when killed, or the agent is gone.
    pub fn end_job(&self, id: JobId, grace: Duration) -> Result<JobStatus, AgentError> {
        self.one_job(&Request::EndJob { id, grace }, grace + CALL_DEADLINE)
    }

    /// Writes one line of samples per `interval` into `csv` on the host, until the agent ends or
    /// [`Client::stop_samples`]. The columns are [`SAMPLE_COLUMNS`](crate::SAMPLE_COLUMNS).
    ///
    /// `/proc/stat` speaks of the whole machine, also inside a namespace, so CPU and memory are sums over the processes
    /// in the host's `/proc`.
    ///
    /// # Errors
    /// When the file cannot be made, samples are already taken, or the agent is gone.
    pub fn start_samples(&self, csv: &Path, interval: Duration) -> Result<(), AgentError> {
        let request = Request::StartSamples { csv: csv.to_owned(), interval };
        self.done(&request, Vec::new(), CALL_DEADLINE)
    }

    /// Writes a last line and stops. Does nothing when no samples are taken.
    ///
    /// # Errors
    /// When a line could not be written (disk full, say) or the agent is gone.
    pub fn stop_samples(&self) -> Result<(), AgentError> {
        self.done(&Request::StopSamples, Vec::new(), CALL_DEADLINE)
    }

    /// Opens a port that receives probes.
    ///
    /// # Errors
    /// When the socket cannot be opened or the agent is gone.
    pub fn probe_listen(&self, listen: &ProbeListen) -> Result<ProbePort, AgentError> {
        match self.call(&Request::ProbeListen(listen.clone()), Vec::new(), CALL_DEADLINE)? {
            (Reply::ProbePort(port), _) => Ok(port),
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// Sends probes, and returns when all are sent and the echoes are in or given up.
    ///
    /// # Errors
    /// When the plan is unusable, the socket cannot be opened, or the agent is gone.
    pub fn probe_send(&self, plan: &ProbePlan) -> Result<ProbeSent, AgentError> {
        let deadline = plan.duration + plan.echo_wait + CALL_DEADLINE;
        match self.call(&Request::ProbeSend(plan.clone()), Vec::new(), deadline)? {
            (Reply::ProbeSent(sent), _) => Ok(sent),
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    /// Closes a probe port once nothing has arrived for `quiet` (at most ten seconds), and tells what it received.
    ///
    /// # Errors
    /// When the port is unknown or its life was over, or the agent is gone.
    pub fn probe_report(&self, port: &ProbePort, quiet: Duration) -> Result<ProbeReport, AgentError> {
        let request = Request::ProbeReport { token: port.token, quiet };
        match self.call(&request, Vec::new(), quiet + CALL_DEADLINE)? {
            (Reply::ProbeReport(report), _) => Ok(report),
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    fn one_job(&self, request: &Request, deadline: Duration) -> Result<JobStatus, AgentError> {
        self.many_jobs(request, deadline)?.pop().ok_or_else(|| self.unexpected(&Reply::Jobs(Vec::new())))
    }

    fn many_jobs(&self, request: &Request, deadline: Duration) -> Result<Vec<JobStatus>, AgentError> {
        match self.call(request, Vec::new(), deadline)? {
            (Reply::Jobs(headers), payload) => {
                Ok(with_tails(headers, &payload).ok_or_else(|| self.unexpected(&Reply::Jobs(Vec::new())))?)
            }
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    pub(super) fn done(
        &self,
        request: &Request,
        payload: Vec<u8>,
        deadline: Duration,
    ) -> Result<(), AgentError> {
        match self.call(request, payload, deadline)? {
            (Reply::Done, _) => Ok(()),
            (other, _) => Err(self.unexpected(&other)),
        }
    }

    pub(super) fn unexpected(&self, reply: &Reply) -> AgentError {
        let text = format!("{reply:?}");
        let failure =
            Failure::new("use the answer", format!("{} does not fit the request", name_of_debug(&text)));
        AgentError::Refused { host: self.host().to_owned(), failure }
    }
}

fn name_of_debug(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(text)
}

fn checked_stdin(request: &ExecRequest) -> Result<Vec<u8>, AgentError> {
    if request.stdin.len() > STDIN_BYTES_MAX {
        let message =
            format!("{} bytes of input, at most {STDIN_BYTES_MAX}: put a file instead", request.stdin.len());
        return Err(AgentError::Local { failure: Failure::new("send the input", message) });
    }
    Ok(request.stdin.clone())
}

/// Cuts the payload into the tails that the headers announce.
fn with_tails(headers: Vec<JobHeader>, payload: &[u8]) -> Option<Vec<JobStatus>> {
    let mut rest = payload;
    let mut take = |bytes: usize| {
        let (tail, after) = rest.split_at_checked(bytes)?;
        rest = after;
        Some(tail.to_vec())
    };
    headers
        .into_iter()
        .map(|header| {
            let stdout_tail = take(header.stdout_bytes)?;
            let stderr_tail = take(header.stderr_bytes)?;
            Some(JobStatus { stdout_tail, stderr_tail, ..header.status })
        })
        .collect()
}
