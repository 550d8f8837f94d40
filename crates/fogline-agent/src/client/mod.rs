//! The runner's end of an agent's stream.

mod calls;
mod connection;
mod copy;
mod stream;

use crate::error::AgentError;
use crate::message::{Reply, Request};
use connection::{Connection, Pending, ShutWhenDropped};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

pub use stream::Stream;

/// A host's agent, as the runner sees it. Cheap to clone; all clones share one stream, which closes with the last
/// one. All calls may be made from many threads at once.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Arc<Connection>,
}

impl Client {
    /// A client of the agent at the other end of `stream`; `host` is its name in messages. Does not wait for the agent.
    ///
    /// # Errors
    /// When the stream cannot be duplicated or a thread cannot be started.
    pub fn new(stream: UnixStream, host: &str) -> io::Result<Self> {
        let read = stream.try_clone()?;
        Self::over(read, ShutWhenDropped(stream), host)
    }

    /// A client over any two streams: the standard output and input of `ssh host fogline agent`, say. The agent ends
    /// when `write` is dropped, which happens with the last clone of the client.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn over(
        read: impl Read + Send + 'static,
        write: impl Write + Send + 'static,
        host: &str,
    ) -> io::Result<Self> {
        Ok(Self { connection: Arc::new(Connection::start(read, write, host)?) })
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        self.connection.host()
    }

    /// Why the agent is gone; `None` while it is there.
    pub fn lost(&self) -> Option<AgentError> {
        self.connection.lost()
    }

    fn send(&self, request: &Request, payload: Vec<u8>, deadline: Duration) -> Result<Pending, AgentError> {
        self.connection.send(request, payload, deadline)
    }

    fn call(
        &self,
        request: &Request,
        payload: Vec<u8>,
        deadline: Duration,
    ) -> Result<(Reply, Vec<u8>), AgentError> {
        self.send(request, payload, deadline)?.wait()
    }
}
