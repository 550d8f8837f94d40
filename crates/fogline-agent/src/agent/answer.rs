//! From a request to its answer.

use super::children::Children;
use super::jobs::Jobs;
use super::listener::Listeners;
use super::samples::Sampler;
use super::{Role, Settings, files, run, sender};
use crate::error::Failure;
use crate::message::{AgentInfo, Answer, JobHeader, Reply, Request};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// All that the agent keeps between requests.
pub(super) struct Services {
    role: Role,
    children: Arc<Children>,
    jobs: Arc<Jobs>,
    sampler: Sampler,
    listeners: Listeners,
}

impl Services {
    pub(super) fn start(settings: Settings) -> io::Result<Self> {
        let children = Children::new(settings.role);
        let jobs = Jobs::new(Arc::clone(&children), settings.job_directory)?;
        let (sampler, listeners) = (Sampler::default(), Listeners::default());
        Ok(Self { role: settings.role, children, jobs, sampler, listeners })
    }

    /// Who waits for the children.
    pub(super) fn children(&self) -> &Arc<Children> {
        &self.children
    }

    /// Ends what runs; the peer is gone.
    pub(super) fn end(&self) {
        self.children.kill_all();
        self.listeners.end();
        // A line that cannot be written any more has nobody to tell.
        let _ = self.sampler.stop();
    }

    /// The answer and its payload. `asked` is when the request came in.
    pub(super) fn answer(&self, request: Request, payload: Vec<u8>, asked: Instant) -> (Answer, Vec<u8>) {
        match self.reply(request, payload, asked) {
            Ok((reply, payload)) => (Ok(reply), payload),
            Err(failure) => (Err(failure), Vec::new()),
        }
    }

    fn reply(&self, request: Request, payload: Vec<u8>, asked: Instant) -> Result<(Reply, Vec<u8>), Failure> {
        let reply = match request {
            Request::Info => Reply::Info(AgentInfo {
                role: self.role,
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
            Request::Exec(mut exec) => {
                exec.stdin = payload;
                return run::run(&self.children, &exec, asked).map(|result| {
                    let mut output = result.stdout;
                    let stdout_bytes = output.len();
                    output.extend_from_slice(&result.stderr);
                    let (exit, truncated, elapsed) = (result.exit, result.truncated, result.elapsed);
                    (Reply::Exec { exit, stdout_bytes, truncated, elapsed }, output)
                });
            }
            Request::StartJob { label, mut exec } => {
                exec.stdin = payload;
                Reply::JobStarted { id: self.jobs.start(label, &exec)? }
            }
            Request::Job { id } => return self.jobs.status(id).map(jobs),
            Request::Jobs => return Ok(jobs(self.jobs.list())),
            Request::WaitJob { id, timeout } => return self.jobs.wait(id, timeout).map(jobs),
            Request::EndJob { id, grace } => return self.jobs.end(id, grace).map(jobs),
            Request::StartSamples { csv, interval } => {
                self.sampler.start(&csv, interval)?;
                Reply::Done
            }
            Request::StopSamples => {
                self.sampler.stop()?;
                Reply::Done
            }
            Request::ProbeListen(listen) => Reply::ProbePort(self.listeners.open(&listen)?),
            Request::ProbeSend(plan) => Reply::ProbeSent(sender::send(&plan)?),
            Request::ProbeReport { token, quiet } => Reply::ProbeReport(self.listeners.report(token, quiet)?),
            request => return file_reply(request, &payload),
        };
        Ok((reply, Vec::new()))
    }
}

fn jobs((headers, tails): (Vec<JobHeader>, Vec<u8>)) -> (Reply, Vec<u8>) {
    (Reply::Jobs(headers), tails)
}

fn file_reply(request: Request, payload: &[u8]) -> Result<(Reply, Vec<u8>), Failure> {
    let reply = match request {
        Request::Put { destination, mode, digest } => {
            Reply::Put(files::put(&destination, mode, digest, payload)?)
        }
        Request::PutOpen { destination, mode, bytes, digest } => {
            match files::put_open(&destination, mode, bytes, digest)? {
                Ok(temporary) => Reply::Opened { temporary },
                Err(put) => Reply::Put(put),
            }
        }
        Request::PutChunk { temporary, offset } => {
            files::put_chunk(&temporary, offset, payload)?;
            Reply::Done
        }
        Request::PutCommit { temporary, destination, mode, bytes, digest } => {
            Reply::Put(files::put_commit(&temporary, &destination, mode, bytes, digest)?)
        }
        Request::PutAbort { temporary } => {
            files::put_abort(&temporary)?;
            Reply::Done
        }
        Request::Link { target, destination } => Reply::Put(files::link(&target, &destination)?),
        Request::Get { path } => {
            let (bytes, digest, first) = files::get(&path)?;
            return Ok((Reply::Got { bytes, digest }, first));
        }
        Request::GetChunk { path, offset, bytes } => {
            return files::get_chunk(&path, offset, bytes).map(|chunk| (Reply::Done, chunk));
        }
        Request::Stat { path } => Reply::Stat(files::stat(&path)?),
        Request::MakeDirectory { path, mode } => Reply::Put(files::make_directory(&path, mode)?),
        Request::Remove { path } => Reply::Put(files::remove(&path)?),
        _ => return Err(Failure::new("answer", "this agent does not know the request")),
    };
    Ok((reply, Vec::new()))
}
