//! The runner's end of streams.

use super::Client;
use super::connection::Connection;
use crate::error::AgentError;
use crate::limits::{CALL_DEADLINE, CONNECT_DEADLINE};
use crate::message::{Reply, Request};
use crate::stream::{ConnectRequest, Part, ProcessRequest};
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What was delivered and not taken: the parts with their data, and how much they cost.
#[derive(Debug)]
pub(super) struct Arrivals {
    pub(super) parts: Receiver<(Part, Vec<u8>)>,
    pub(super) held: Arc<AtomicUsize>,
}

/// The runner's end of an open stream. It carries parts and leaves flow control to whoever is at the other end of
/// them; what the agent sends beyond all credit that it can have breaks the stream. Dropped, it hangs up.
#[derive(Debug)]
pub struct Stream {
    id: u64,
    connection: Arc<Connection>,
    arrivals: Arrivals,
    over: AtomicBool,
}

impl Client {
    /// Starts a process to talk to.
    ///
    /// # Errors
    /// When it cannot be started, too many streams are open, or the agent is gone.
    pub fn open_process(&self, request: &ProcessRequest) -> Result<Stream, AgentError> {
        self.open(&Request::OpenProcess(request.clone()), 1)
    }

    /// Makes a TCP connection on the host.
    ///
    /// # Errors
    /// When nobody answers there within [`CONNECT_DEADLINE`] per address, too many streams are open, or the agent is gone.
    pub fn open_connection(&self, request: &ConnectRequest) -> Result<Stream, AgentError> {
        self.open(&Request::OpenConnection(request.clone()), request.addresses.len() as u32)
    }

    fn open(&self, request: &Request, attempts: u32) -> Result<Stream, AgentError> {
        let deadline = CALL_DEADLINE + CONNECT_DEADLINE * attempts;
        let (id, pending, arrivals) = self.connection.open(request, deadline)?;
        let over = AtomicBool::new(false);
        let stream = Stream { id, connection: Arc::clone(&self.connection), arrivals, over };
        match pending.wait()? {
            (Reply::Streaming, _) => Ok(stream),
            (other, _) => Err(self.unexpected(&other)),
        }
    }
}

impl Stream {
    /// Sends a part; waits while the connection takes none, at most 30 s.
    ///
    /// # Errors
    /// When the agent is gone or takes nothing.
    pub fn send(&self, part: &Part, payload: Vec<u8>) -> Result<(), AgentError> {
        self.connection.post(part.frame(self.id, payload), CALL_DEADLINE)
    }

    /// The next part, as soon as there is one; `None` after the last one, after [`Stream::hang_up`], and when the agent
    /// is gone.
    pub fn next(&self) -> Option<(Part, Vec<u8>)> {
        let (part, payload) = self.arrivals.parts.recv().ok()?;
        self.arrivals.held.fetch_sub(crate::stream::cost(payload.len()), Ordering::AcqRel);
        if part.is_last() {
            self.over.store(true, Ordering::Release);
        }
        Some((part, payload))
    }

    /// Ends the stream from here, unless it has ended; a process gets `SIGHUP`. May be called while another thread waits
    /// in [`Stream::next`], which then returns.
    pub fn hang_up(&self) {
        self.connection.forget(self.id);
        if !self.over.swap(true, Ordering::AcqRel) {
            // An agent that is gone needs not be told.
            let _ = self.send(&Part::Reset("the other side hung up".to_owned()), Vec::new());
        }
    }

    /// Why the agent is gone; `None` while it is there.
    pub fn lost(&self) -> Option<AgentError> {
        self.connection.lost()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.hang_up();
    }
}
