//! Requests out, answers in, matched by number.

use super::stream::Arrivals;
use crate::error::{AgentError, Failure};
use crate::frame::{Frame, Kind};
use crate::limits::WINDOW_BYTES;
use crate::message::{Answer, Greeting, Reply, Request};
use crate::stream::{Part, cost};
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, bounded, unbounded};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Frames that wait to be written; a caller that finds this full waits until its deadline.
const OUT_QUEUE_MAX: usize = 64;

/// What may wait for the taker of a stream, by its cost: the windows of two channels, and parts without data.
const HELD_MAX: usize = 3 * WINDOW_BYTES;

type Delivery = (Answer, Vec<u8>);

/// Who waits for what; shared with the reading thread, which must not keep the connection alive.
#[derive(Debug, Default)]
struct Waiting {
    calls: HashMap<u64, Sender<Delivery>>,
    streams: HashMap<u64, Taker>,
    lost: Option<String>,
}

/// Who takes the parts of a stream. The channel is bounded by what they cost.
#[derive(Debug)]
struct Taker {
    parts: Sender<(Part, Vec<u8>)>,
    held: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub(super) struct Connection {
    host: String,
    out: Sender<Frame>,
    next_id: AtomicU64,
    waiting: Arc<Mutex<Waiting>>,
}

/// A request that was sent and not yet answered.
#[derive(Debug)]
pub(super) struct Pending {
    id: u64,
    name: String,
    host: String,
    answer: Receiver<Delivery>,
    deadline: Duration,
    sent: Instant,
    waiting: Arc<Mutex<Waiting>>,
}

/// A poisoned lock only says that another thread panicked; the map itself is sound after every statement.
fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    pub(super) fn start(
        read: impl Read + Send + 'static,
        write: impl Write + Send + 'static,
        host: &str,
    ) -> io::Result<Self> {
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (out, frames) = bounded(OUT_QUEUE_MAX);
        let written = Arc::clone(&waiting);
        std::thread::Builder::new().name(format!("to {host}")).spawn(move || {
            if let Err(reason) = write_frames(write, &frames) {
                lose(&written, reason);
            }
        })?;
        let answered = Arc::clone(&waiting);
        std::thread::Builder::new().name(format!("from {host}")).spawn(move || {
            let reason = read_answers(read, &answered);
            lose(&answered, reason);
        })?;
        Ok(Self { host: host.to_owned(), out, next_id: AtomicU64::new(1), waiting })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn lost(&self) -> Option<AgentError> {
        let reason = locked(&self.waiting).lost.clone()?;
        Some(AgentError::Lost { host: self.host.clone(), reason })
    }

    pub(super) fn send(
        &self,
        request: &Request,
        payload: Vec<u8>,
        deadline: Duration,
    ) -> Result<Pending, AgentError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.submit(id, request, payload, deadline)
    }

    /// Asks for a stream; its number, the pending answer, and where its parts arrive until [`Connection::forget`].
    pub(super) fn open(
        &self,
        request: &Request,
        deadline: Duration,
    ) -> Result<(u64, Pending, Arrivals), AgentError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (taken, parts) = unbounded();
        let held: Arc<AtomicUsize> = Arc::default();
        // Before the request, so that no part can come too early.
        locked(&self.waiting).streams.insert(id, Taker { parts: taken, held: Arc::clone(&held) });
        match self.submit(id, request, Vec::new(), deadline) {
            Ok(pending) => Ok((id, pending, Arrivals { parts, held })),
            Err(error) => {
                self.forget(id);
                Err(error)
            }
        }
    }

    /// Takes no more parts of a stream.
    pub(super) fn forget(&self, stream: u64) {
        locked(&self.waiting).streams.remove(&stream);
    }

    /// Sends a frame that has no answer.
    pub(super) fn post(&self, frame: Frame, deadline: Duration) -> Result<(), AgentError> {
        self.out.send_timeout(frame, deadline).map_err(|error| match error {
            SendTimeoutError::Timeout(_) => {
                let (host, call) = (self.host.clone(), "a part of a stream".to_owned());
                AgentError::Deadline { host, call, after: deadline }
            }
            SendTimeoutError::Disconnected(_) => self.lost().unwrap_or_else(|| AgentError::Lost {
                host: self.host.clone(),
                reason: "the stream closed".to_owned(),
            }),
        })
    }

    fn submit(
        &self,
        id: u64,
        request: &Request,
        payload: Vec<u8>,
        deadline: Duration,
    ) -> Result<Pending, AgentError> {
        let local = |message: String| AgentError::Local { failure: Failure::new("send a request", message) };
        let header = serde_json::to_vec(request).map_err(|error| local(error.to_string()))?;
        if header.len() + payload.len() + 64 > crate::frame::BYTES_MAX {
            return Err(local(format!(
                "{} bytes are more than a frame takes ({})",
                header.len() + payload.len(),
                crate::frame::BYTES_MAX
            )));
        }
        let (answered, answer) = bounded(1);
        {
            let mut waiting = locked(&self.waiting);
            if let Some(reason) = &waiting.lost {
                return Err(AgentError::Lost { host: self.host.clone(), reason: reason.clone() });
            }
            waiting.calls.insert(id, answered);
        }
        let pending = Pending {
            id,
            name: name_of(&header),
            host: self.host.clone(),
            answer,
            deadline,
            sent: Instant::now(),
            waiting: Arc::clone(&self.waiting),
        };
        match self.out.send_timeout(Frame { kind: Kind::Request, id, header, payload }, deadline) {
            Ok(()) => Ok(pending),
            Err(SendTimeoutError::Timeout(_)) => Err(pending.late()),
            Err(SendTimeoutError::Disconnected(_)) => Err(pending.lost()),
        }
    }
}

impl Pending {
    /// Waits for the answer until the deadline, counted from the sending.
    pub(super) fn wait(self) -> Result<(Reply, Vec<u8>), AgentError> {
        let left = self.deadline.saturating_sub(self.sent.elapsed());
        match self.answer.recv_timeout(left) {
            Ok((Ok(reply), payload)) => Ok((reply, payload)),
            Ok((Err(failure), _)) => Err(AgentError::Refused { host: self.host.clone(), failure }),
            Err(RecvTimeoutError::Timeout) => Err(self.late()),
            Err(RecvTimeoutError::Disconnected) => Err(self.lost()),
        }
    }

    fn late(&self) -> AgentError {
        AgentError::Deadline { host: self.host.clone(), call: self.name.clone(), after: self.deadline }
    }

    fn lost(&self) -> AgentError {
        let reason = locked(&self.waiting).lost.clone().unwrap_or_else(|| "the stream closed".to_owned());
        AgentError::Lost { host: self.host.clone(), reason }
    }
}

impl Drop for Pending {
    /// An answer that comes later is thrown away.
    fn drop(&mut self) {
        locked(&self.waiting).calls.remove(&self.id);
    }
}

/// The request's name as it stands in its JSON: `"Stat"` or `{"Stat":...`.
fn name_of(header: &[u8]) -> String {
    let text = String::from_utf8_lossy(header);
    text.split('"').nth(1).unwrap_or("a request").to_owned()
}

fn lose(waiting: &Mutex<Waiting>, reason: String) {
    let mut waiting = locked(waiting);
    waiting.lost.get_or_insert(reason);
    waiting.calls.clear();
    waiting.streams.clear();
}

/// Writes until the last client is dropped.
fn write_frames(mut write: impl Write, frames: &Receiver<Frame>) -> Result<(), String> {
    let header = serde_json::to_vec(&Greeting::ours()).map_err(|error| error.to_string())?;
    let greeting = Frame { kind: Kind::Greeting, id: 0, header, payload: Vec::new() };
    greeting.write_to(&mut write).map_err(|error| error.to_string())?;
    for frame in frames {
        frame.write_to(&mut write).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Reads until the stream ends or carries something else than answers; why it ended.
fn read_answers(read: impl Read, waiting: &Mutex<Waiting>) -> String {
    let mut read = io::BufReader::with_capacity(64 << 10, read);
    if let Err(reason) = check_greeting(&mut read) {
        return reason;
    }
    loop {
        let frame = match Frame::read_from(&mut read) {
            Ok(Some(frame)) => frame,
            Ok(None) => return "it closed the stream".to_owned(),
            Err(error) => return error.to_string(),
        };
        if frame.kind == Kind::Stream {
            if let Err(reason) = deliver(waiting, frame) {
                return reason;
            }
            continue;
        }
        if frame.kind != Kind::Answer {
            return format!("it sent a {:?} where an answer was due", frame.kind);
        }
        match serde_json::from_slice::<Answer>(&frame.header) {
            Ok(answer) => {
                // The caller may have given up meanwhile; then nobody is there to take the answer.
                if let Some(caller) = locked(waiting).calls.remove(&frame.id) {
                    let _ = caller.try_send((answer, frame.payload));
                }
            }
            Err(error) => return format!("it sent an answer that cannot be read: {error}"),
        }
    }
}

/// Hands a part to the taker of its stream, without ever waiting for it.
fn deliver(waiting: &Mutex<Waiting>, frame: Frame) -> Result<(), String> {
    let id = frame.id;
    let (part, payload) = Part::of(frame).map_err(|wrong| format!("it sent {wrong}"))?;
    let mut waiting = locked(waiting);
    // The stream may have been hung up meanwhile.
    let Some(taker) = waiting.streams.get(&id) else { return Ok(()) };
    let cost = cost(payload.len());
    let held = taker.held.fetch_add(cost, Ordering::AcqRel) + cost;
    let last = part.is_last();
    // A taker that is gone wants nothing; one that is too far behind has given credit that it had not.
    let _ = taker.parts.send((part, payload));
    if last || held > HELD_MAX {
        waiting.streams.remove(&id);
    }
    Ok(())
}

fn check_greeting(read: &mut impl Read) -> Result<(), String> {
    let frame = match Frame::read_from(read) {
        Ok(Some(frame)) if frame.kind == Kind::Greeting => frame,
        Ok(Some(frame)) => return Err(format!("it began with a {:?} instead of a greeting", frame.kind)),
        Ok(None) => return Err("it closed the stream before its greeting".to_owned()),
        Err(error) => return Err(format!("its greeting cannot be read: {error}")),
    };
    crate::message::check_greeting(&frame.header)
}

/// A socket that is shut when the client is gone, although the reading thread still holds a duplicate.
#[derive(Debug)]
pub(super) struct ShutWhenDropped(pub(super) UnixStream);

impl Write for ShutWhenDropped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for ShutWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
