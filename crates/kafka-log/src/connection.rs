//! One client: read a request, answer it, read the next. What the client sends meanwhile stays in its socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use crate::api;
use crate::event::Event;
use crate::log::Extent;
use crate::node::Node;
use crate::sync::Waiter;
use crate::sys;
use crate::wire::{Part, Reply, Request, SIZE_LEN};

/// A receive buffer larger than this is given back after use.
const BUFFER_KEPT: usize = 2 << 20;

/// What a request needs to know of its connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) node: Arc<Node>,
    pub(crate) peer: SocketAddr,
    pub(crate) waiter: Arc<Waiter>,
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client left, was silent for too long, or the server stops.
    Quiet,
    /// The client did something it must not.
    Fault(String),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Quiet
    }
}

/// A receive buffer that is lent to a request and reused when the request is done with it.
#[derive(Debug, Default)]
struct Buffer(Arc<Vec<u8>>);

struct Lent(Arc<Vec<u8>>, usize);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

impl Buffer {
    /// Reads exactly `len` bytes.
    fn fill(&mut self, mut from: impl Read, len: usize) -> io::Result<Bytes> {
        if Arc::get_mut(&mut self.0).is_none() {
            self.0 = Arc::default();
        }
        let Some(vec) = Arc::get_mut(&mut self.0) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        if vec.len() < len {
            vec.resize(len, 0);
        }
        from.read_exact(&mut vec[..len])?;
        Ok(Bytes::from_owner(Lent(Arc::clone(&self.0), len)))
    }

    /// Gives a large buffer back.
    fn trim(&mut self) {
        if self.0.capacity() > BUFFER_KEPT {
            self.0 = Arc::default();
        }
    }
}

/// Serves `stream` until it ends.
pub(crate) fn serve(stream: &TcpStream, session: &Session) {
    let limits = &session.node.config.limits;
    let ready = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(limits.transfer)))
        .and_then(|()| stream.set_write_timeout(Some(limits.transfer)));
    if ready.is_err() {
        return;
    }
    let mut buffer = Buffer::default();
    loop {
        match serve_one(stream, session, &mut buffer) {
            Ok(()) => {}
            Err(End::Quiet) => return,
            Err(End::Fault(why)) => {
                let peer = session.peer;
                session.node.config.events.tell(&Event::ConnectionDropped { peer, why });
                return;
            }
        }
    }
}

fn serve_one(stream: &TcpStream, session: &Session, buffer: &mut Buffer) -> Result<(), End> {
    let node = &session.node;
    let limits = &node.config.limits;
    let size = read_size(stream, session)?;
    let len = match usize::try_from(size) {
        Ok(len) if len <= limits.request_bytes_max => len,
        _ => {
            let most = limits.request_bytes_max;
            return Err(End::Fault(format!("a request of {size} bytes; at most {most} are accepted")));
        }
    };
    let Some(share) = node.requests.take(len, limits.transfer) else {
        return Err(End::Fault("no memory for its request became free in time".to_owned()));
    };
    let frame = buffer.fill(stream, len)?;
    let reply = match Request::parse(frame) {
        Ok(request) => api::answer(session, &request),
        Err(unanswerable) => api::answer_unanswerable(unanswerable),
    };
    buffer.trim();
    drop(share);
    match reply.map_err(End::Fault)? {
        Some(reply) => Ok(send(stream, &reply)?),
        None => Ok(()),
    }
}

/// Reads a frame's size; the client may take its time to begin one.
fn read_size(mut stream: &TcpStream, session: &Session) -> Result<i32, End> {
    let idle_until = Instant::now() + session.node.config.limits.idle;
    let mut size = [0; SIZE_LEN];
    let mut got = 0;
    while got < SIZE_LEN {
        match stream.read(&mut size[got..]) {
            Ok(0) => return Err(End::Quiet),
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let stop = session.node.stopping.load(Ordering::Relaxed);
                if got > 0 || stop || Instant::now() >= idle_until {
                    return Err(End::Quiet);
                }
            }
            Err(_) => return Err(End::Quiet),
        }
    }
    Ok(i32::from_be_bytes(size))
}

/// Sends a response. Pieces of files go from the page cache to the socket inside the kernel.
fn send(mut stream: &TcpStream, reply: &Reply) -> io::Result<()> {
    if let [Part::Bytes(bytes)] = reply.parts.as_slice() {
        return stream.write_all(bytes);
    }
    sys::set_cork(stream, true)?;
    for part in &reply.parts {
        match part {
            Part::Bytes(bytes) => stream.write_all(bytes)?,
            Part::File(extent) => send_file(stream, extent)?,
        }
    }
    sys::set_cork(stream, false)
}

fn send_file(stream: &TcpStream, extent: &Extent) -> io::Result<()> {
    let mut position = extent.position;
    let end = extent.position + extent.len;
    while position < end {
        let left = usize::try_from(end - position).unwrap_or(usize::MAX);
        match sys::sendfile(stream, &extent.file, position, left) {
            // The file ends early: the response cannot be completed, so the connection must not go on.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => position += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
