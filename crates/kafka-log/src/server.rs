//! The server: from a configuration to a listening socket, and back.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::config::{Advertised, Config};
use crate::connection::{self, Session};
use crate::event::Event;
use crate::node::Node;
use crate::sync::{Waiter, lock, wait};
use crate::sys;

/// How often group sessions are looked at.
const GROUP_TICK: Duration = Duration::from_millis(200);
/// How often retention by age is applied; retention by size is applied at every write.
const RETENTION_EVERY: u32 = 10;
/// Stack of a connection's thread.
const STACK_BYTES: usize = 512 << 10;
/// How long a shutdown waits for requests in progress.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A value of the configuration cannot be used.
    #[error("configuration: {0}")]
    Config(String),
    /// Another process listens on the address.
    #[error(
        "{address} is in use by another process; `ss -ltnp 'sport = :{}'` shows which one",
        address.port()
    )]
    AddressInUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error("{} is in use by another kafka-log; give each its own data folder", path.display())]
    DataInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The data folder cannot be opened or is not readable as a log.
    #[error("data folder {}: {source}", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// A running server. Dropping it shuts it down.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    listener: Arc<TcpListener>,
    node: Arc<Node>,
    connections: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
    stop: Arc<(Mutex<bool>, Condvar)>,
    _lock: File,
}

/// The open connections, so that a shutdown can end them.
#[derive(Debug, Default)]
struct Connections {
    open: Mutex<HashMap<u64, (TcpStream, Arc<Waiter>)>>,
    closed: Condvar,
    next: AtomicU64,
}

impl Server {
    /// Opens the log, repairs it where a crash left it torn, and begins to serve.
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs after an error.
    pub fn start(config: Config) -> Result<Self, StartError> {
        if let Some(fault) = config.fault() {
            return Err(StartError::Config(fault));
        }
        let lock_file = lock_data(&config)?;
        let listener = listen(config.listen)?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        let advertised = advertised(&config, address)?;
        // More descriptors than the usual soft limit may be needed: one per partition and connection.
        sys::raise_open_files()
            .map_err(|error| StartError::Config(format!("limit on open files: {error}")))?;
        let path = config.data_dir.clone();
        let node =
            Node::open(Arc::new(config), advertised).map_err(|source| StartError::Data { path, source })?;
        let mut server = Self {
            address,
            listener: Arc::new(listener),
            node: Arc::new(node),
            connections: Arc::default(),
            acceptor: None,
            keeper: None,
            stop: Arc::default(),
            _lock: lock_file,
        };
        server.keeper = Some(server.spawn_keeper()?);
        server.acceptor = Some(server.spawn_acceptor()?);
        Ok(server)
    }

    /// The address that is listened on, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving: requests in progress are ended, threads joined, files closed.
    pub fn shutdown(self) {
        drop(self);
    }

    fn spawn_keeper(&self) -> Result<JoinHandle<()>, StartError> {
        let (node, stop) = (Arc::clone(&self.node), Arc::clone(&self.stop));
        let work = move || keep(&node, &stop);
        thread::Builder::new().name("kafka-keeper".into()).spawn(work).map_err(StartError::Thread)
    }

    fn spawn_acceptor(&self) -> Result<JoinHandle<()>, StartError> {
        let listener = Arc::clone(&self.listener);
        let (node, connections) = (Arc::clone(&self.node), Arc::clone(&self.connections));
        let work = move || accept(&listener, &node, &connections);
        thread::Builder::new().name("kafka-accept".into()).spawn(work).map_err(StartError::Thread)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.node.stopping.store(true, Ordering::Relaxed);
        *lock(&self.stop.0) = true;
        self.stop.1.notify_all();
        sys::wake_acceptor(&self.listener);
        if let Some(acceptor) = self.acceptor.take() {
            // A panicked thread has told its story on stderr; there is nothing left to end.
            let _ = acceptor.join();
        }
        self.node.groups.stop();
        self.connections.end();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

impl Connections {
    /// Registers a connection unless there are `most` already.
    fn admit(&self, stream: &TcpStream, waiter: &Arc<Waiter>, most: usize) -> io::Result<Option<u64>> {
        let twin = stream.try_clone()?;
        let mut open = lock(&self.open);
        if open.len() >= most {
            return Ok(None);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        open.insert(id, (twin, Arc::clone(waiter)));
        Ok(Some(id))
    }

    fn remove(&self, id: u64) {
        lock(&self.open).remove(&id);
        self.closed.notify_all();
    }

    /// Ends all connections and waits until their threads are done.
    fn end(&self) {
        let deadline = Instant::now() + SHUTDOWN;
        let mut open = lock(&self.open);
        for (stream, waiter) in open.values() {
            // Fails only if the client has gone, which is what is wanted.
            let _ = stream.shutdown(Shutdown::Both);
            waiter.raise();
        }
        while !open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            open = wait(&self.closed, open, left);
        }
    }
}

/// Removes a connection from the register when its thread ends, also by a panic.
struct Registered {
    connections: Arc<Connections>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.connections.remove(self.id);
    }
}

fn accept(listener: &TcpListener, node: &Arc<Node>, connections: &Arc<Connections>) {
    loop {
        let accepted = listener.accept();
        if node.stopping.load(Ordering::Relaxed) {
            return;
        }
        let welcomed = accepted.and_then(|(stream, peer)| welcome(stream, peer, node, connections));
        if let Err(error) = welcomed {
            node.config.events.tell(&Event::AcceptFailed { why: error.to_string() });
            // Without descriptors accept fails at once, again and again; closed connections bring new ones.
            let open = lock(&connections.open);
            drop(wait(&connections.closed, open, GROUP_TICK));
        }
    }
}

fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    node: &Arc<Node>,
    connections: &Arc<Connections>,
) -> io::Result<()> {
    let waiter = Arc::new(Waiter::default());
    let connections_max = node.config.limits.connections_max;
    let Some(id) = connections.admit(&stream, &waiter, connections_max)? else {
        node.config.events.tell(&Event::ConnectionRefused { peer, connections_max });
        return Ok(());
    };
    let registered = Registered { connections: Arc::clone(connections), id };
    let session = Session { node: Arc::clone(node), peer, waiter };
    let work = move || {
        let _registered = registered;
        connection::serve(&stream, &session);
        // The register holds a second descriptor; the client must learn now that nobody listens.
        let _ = stream.shutdown(Shutdown::Both);
    };
    thread::Builder::new().name("kafka-client".into()).stack_size(STACK_BYTES).spawn(work).map(drop)
}

/// Lets time pass: group sessions end, old segments go.
fn keep(node: &Node, stop: &(Mutex<bool>, Condvar)) {
    let mut turn = 0_u32;
    let mut stopped = lock(&stop.0);
    while !*stopped {
        stopped = wait(&stop.1, stopped, GROUP_TICK);
        node.groups.tick();
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(RETENTION_EVERY) {
            node.topics.retain();
        }
    }
}

fn lock_data(config: &Config) -> Result<File, StartError> {
    let failed = |source| StartError::Data { path: config.data_dir.clone(), source };
    fs::create_dir_all(&config.data_dir).map_err(failed)?;
    let file = File::create(config.data_dir.join(".lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::DataInUse { path: config.data_dir.clone() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
        _ => StartError::Listen { address, source },
    })
}

fn advertised(config: &Config, address: SocketAddr) -> Result<Advertised, StartError> {
    match &config.advertise {
        Some(Advertised { host, port: 0 }) => Ok(Advertised { host: host.clone(), port: address.port() }),
        Some(advertised) => Ok(advertised.clone()),
        None if address.ip().is_unspecified() => Err(StartError::Config(format!(
            "{address} is every address of this machine; say which host and port clients are to use (advertise)"
        ))),
        None => Ok(Advertised { host: address.ip().to_string(), port: address.port() }),
    }
}
