//! What the server tells its owner while it runs.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Something the owner of a [`Server`](crate::Server) may want to know. Printed by `Display` in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A segment did not end in a whole, correct batch; everything from there on was cut off.
    Truncated {
        /// The segment file.
        path: PathBuf,
        /// Bytes removed.
        bytes: u64,
        /// What was wrong with the first bad batch.
        why: String,
    },
    /// Writing or deleting failed; producers are answered `KAFKA_STORAGE_ERROR` until it works again.
    StorageFailed {
        /// The folder or file.
        path: PathBuf,
        /// The kernel's message.
        why: String,
    },
    /// Writing works again after [`Event::StorageFailed`].
    StorageRecovered {
        /// The folder or file.
        path: PathBuf,
    },
    /// Reading a partition failed; consumers are answered `KAFKA_STORAGE_ERROR`.
    ReadFailed {
        /// The partition's folder.
        path: PathBuf,
        /// The kernel's message.
        why: String,
    },
    /// A connection was closed at once because the limit on connections is reached.
    ConnectionRefused {
        /// Who asked.
        peer: SocketAddr,
        /// The limit.
        connections_max: usize,
    },
    /// A connection was closed because its bytes are not Kafka's protocol, or exceed a limit.
    ConnectionDropped {
        /// Who was connected.
        peer: SocketAddr,
        /// What was wrong.
        why: String,
    },
    /// Accepting a connection failed, for example because no file descriptor was left.
    AcceptFailed {
        /// The kernel's message.
        why: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { path, bytes, why } => {
                write!(f, "{}: cut {bytes} bytes off the end: {why}", path.display())
            }
            Self::StorageFailed { path, why } => {
                write!(f, "{}: cannot write: {why}; producers get KAFKA_STORAGE_ERROR", path.display())
            }
            Self::StorageRecovered { path } => write!(f, "{}: writing works again", path.display()),
            Self::ReadFailed { path, why } => write!(f, "{}: cannot read: {why}", path.display()),
            Self::ConnectionRefused { peer, connections_max } => {
                write!(f, "refused {peer}: all {connections_max} connections are in use")
            }
            Self::ConnectionDropped { peer, why } => write!(f, "closed the connection of {peer}: {why}"),
            Self::AcceptFailed { why } => write!(f, "cannot accept a connection: {why}"),
        }
    }
}

/// Where events go; called from the server's threads, so it must not block for long.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(&Event) + Send + Sync>);

impl EventSink {
    /// Sends every event to `sink`.
    pub fn new(sink: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops every event.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    pub(crate) fn tell(&self, event: &Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}
