//! The host's end: takes requests, answers each when it is done.

mod answer;
mod children;
mod files;
mod jobs;
mod listener;
mod packet;
mod pool;
mod run;
pub(crate) mod samples;
mod sender;
mod streams;

use crate::error::{AgentError, Failure};
use crate::frame::{Frame, Kind};
use crate::limits::{EXEC_QUEUE_MAX, EXECS_MAX, PROBES_MAX, QUICK_QUEUE_MAX, QUICK_THREADS_MAX};
use crate::message::{Answer, Greeting, Request, check_greeting};
use crate::sys::set_close_on_exec;
use answer::Services;
use pool::Pool;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use streams::Streams;

/// What the agent is to its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Pid 1 of a pid namespace: reaps every process of the host, orphans too. No other code in the process may wait
    /// for children.
    Init,
    /// An ordinary process, which waits for its own children only (remote hosts, tests).
    Guest,
}

/// How an agent is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What it is to its host.
    pub role: Role,
    /// Where the output of jobs goes.
    pub job_directory: PathBuf,
}

impl Settings {
    /// The usual settings: jobs write into `/tmp/fogline/jobs`.
    pub fn new(role: Role) -> Self {
        Self { role, job_directory: PathBuf::from("/tmp/fogline/jobs") }
    }
}

/// The agent's life over a socket, with the usual settings. Returns when the peer closes the stream; what the agent
/// has started and is still running is killed then. As [`Role::Init`] the process must exit when this returns: the
/// kernel then ends the whole pid namespace.
///
/// # Errors
/// When the peer speaks something else, or a thread or descriptor cannot be had at the beginning.
pub fn serve(stream: UnixStream, role: Role) -> Result<(), AgentError> {
    let prepared = set_close_on_exec(&stream).and_then(|()| stream.try_clone());
    let read = prepared.map_err(|error| local(Failure::system("duplicate the stream", &error)))?;
    let write = stream.try_clone().map_err(|error| local(Failure::system("duplicate the stream", &error)))?;
    let result = serve_on(read, write, Settings::new(role));
    // Other threads may still hold duplicates; the peer shall know now.
    let _ = stream.shutdown(Shutdown::Both);
    result
}

/// The agent's life over any two streams: standard input and output under ssh, say. As [`serve`] otherwise.
///
/// # Errors
/// As [`serve`].
pub fn serve_on(
    read: impl Read,
    write: impl Write + Send + 'static,
    settings: Settings,
) -> Result<(), AgentError> {
    let services =
        Services::start(settings).map_err(|error| local(Failure::system("start the agent", &error)))?;
    let out: Out = Arc::new(Mutex::new(Box::new(write)));
    let agent = Agent {
        streams: Streams::new(Arc::clone(services.children()), Arc::clone(&out)),
        services: Arc::new(services),
        out,
        quick: Pool::new("quick", QUICK_THREADS_MAX, QUICK_QUEUE_MAX),
        execs: Pool::new("exec", EXECS_MAX, EXEC_QUEUE_MAX),
        waits: Pool::new("wait", EXECS_MAX, EXEC_QUEUE_MAX),
        probes: Pool::new("probe", PROBES_MAX, PROBES_MAX),
    };
    let result = agent.take_requests(read);
    agent.services.end();
    agent.streams.end();
    result
}

fn local(failure: Failure) -> AgentError {
    AgentError::Local { failure }
}

type Out = Arc<Mutex<Box<dyn Write + Send>>>;

struct Agent {
    services: Arc<Services>,
    streams: Arc<Streams>,
    out: Out,
    quick: Pool,
    execs: Pool,
    waits: Pool,
    probes: Pool,
}

impl Agent {
    fn take_requests(&self, read: impl Read) -> Result<(), AgentError> {
        let lost = |reason: String| AgentError::Lost { host: "the runner".to_owned(), reason };
        let header = serde_json::to_vec(&Greeting::ours()).map_err(|error| lost(error.to_string()))?;
        write_frame(&self.out, &Frame { kind: Kind::Greeting, id: 0, header, payload: Vec::new() });
        let mut read = io::BufReader::with_capacity(64 << 10, read);
        let mut greeted = false;
        loop {
            let frame = match Frame::read_from(&mut read) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) => return Err(lost(error.to_string())),
            };
            match (frame.kind, greeted) {
                (Kind::Greeting, false) => {
                    check_greeting(&frame.header).map_err(lost)?;
                    greeted = true;
                }
                (Kind::Request, true) => self.take(frame),
                (Kind::Stream, true) => self.streams.deliver(frame),
                (kind, _) => return Err(lost(format!("it sent a {kind:?} out of turn"))),
            }
        }
    }

    /// Hands a request to the threads for its kind, or refuses it.
    fn take(&self, frame: Frame) {
        let (id, payload) = (frame.id, frame.payload);
        let request: Request = match serde_json::from_slice(&frame.header) {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::new("read the request", error.to_string());
                return write_answer(&self.out, id, &Err(failure), Vec::new());
            }
        };
        let pool = match &request {
            Request::OpenProcess(_) | Request::OpenConnection(_) => return self.streams.open(id, request),
            Request::Exec(_) => &self.execs,
            Request::WaitJob { .. } | Request::EndJob { .. } => &self.waits,
            Request::ProbeSend(_) | Request::ProbeReport { .. } => &self.probes,
            _ => &self.quick,
        };
        let (services, out) = (Arc::clone(&self.services), Arc::clone(&self.out));
        let asked = Instant::now();
        let refused = pool.run(Box::new(move || {
            let answered = catch_unwind(AssertUnwindSafe(|| services.answer(request, payload, asked)));
            let (answer, payload) = answered.unwrap_or_else(|_| {
                (Err(Failure::new("answer", "the agent panicked; its standard error says where")), Vec::new())
            });
            write_answer(&out, id, &answer, payload);
        }));
        if let Err(message) = refused {
            write_answer(&self.out, id, &Err(Failure::new("take the request", message)), Vec::new());
        }
    }
}

fn write_answer(out: &Out, id: u64, answer: &Answer, payload: Vec<u8>) {
    // Answers are plain data of ours, which always serialise.
    let header = serde_json::to_vec(answer).unwrap_or_default();
    write_frame(out, &Frame { kind: Kind::Answer, id, header, payload });
}

fn write_frame(out: &Out, frame: &Frame) {
    // When the peer is gone nobody wants the answer, and the reading thread learns of it.
    let _ = frame.write_to(&mut *out.lock().unwrap_or_else(PoisonError::into_inner));
}
