//! The runner's ear: a socket in the run folder that takes one request per connection, which may then become a stream.

use super::protocol::{Answer, REQUEST_MAX, Request};
use fogline_journal::RunFolder;
use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// Requests that are served at once; more are told to come again.
const REQUESTS_MAX: usize = 64;

/// Connections that have become streams, at once; more are told to come again.
const STREAMS_MAX: usize = 256;

/// How long a request may take to come in whole, and an answer to go out.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a wait for a request looks whether the run is over.
const LOOK: Duration = Duration::from_millis(100);

/// How long the ear rests when the system has no descriptor or memory for a connection.
const REST: Duration = Duration::from_millis(200);

/// What answers requests.
pub(crate) trait Hear: Sync {
    /// The answer to `request`, which came over `who`.
    fn hear(&self, request: Request, who: &UnixStream) -> Heard<'_>;
}

/// What becomes of a connection once its request is answered.
pub(crate) type Stream<'a> = Box<dyn FnOnce(&UnixStream) + Send + 'a>;

/// An answer.
pub(crate) struct Heard<'a> {
    answer: Answer,
    stream: Option<Stream<'a>>,
}

impl From<Answer> for Heard<'_> {
    fn from(answer: Answer) -> Self {
        Self { answer, stream: None }
    }
}

impl<'a> Heard<'a> {
    /// An answer after which the connection goes on as a stream, until `stream` returns. That must happen soon after the
    /// connection was shut down.
    pub(crate) fn and_then(answer: Answer, stream: Stream<'a>) -> Self {
        Self { answer, stream: Some(stream) }
    }
}

/// A bound socket. Only this user may connect. Its file is removed with it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    over: Arc<AtomicBool>,
    streams: Mutex<Streams>,
}

/// Connections that have become streams, to be shut down with the socket.
#[derive(Debug, Default)]
struct Streams {
    next: u64,
    open: HashMap<u64, UnixStream>,
}

impl ControlSocket {
    /// Binds `fogline/control.sock` in `folder`.
    ///
    /// # Errors
    /// When the file system takes no sockets, or the folder cannot be written.
    pub(crate) fn bind(folder: &RunFolder) -> io::Result<Self> {
        let path = folder.control();
        // Bound where nobody else may look, and moved once its own mode forbids it to others.
        let private = folder.fogline().join("control");
        DirBuilder::new().mode(0o700).create(&private)?;
        let bound = bind_in(&private).and_then(|listener| {
            let hidden = private.join("control.sock");
            fs::set_permissions(&hidden, Permissions::from_mode(0o600))?;
            fs::rename(&hidden, &path)?;
            Ok(listener)
        });
        fs::remove_dir_all(&private)?;
        Ok(Self { listener: bound?, path, over: Arc::default(), streams: Mutex::default() })
    }

    /// Answers requests on a thread of `scope` until [`close`](Self::close) or drop.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn serve<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        ear: &'env dyn Hear,
    ) -> io::Result<()> {
        let busy: Arc<AtomicUsize> = Arc::default();
        let accept = move || {
            while !self.over.load(Ordering::Acquire) {
                match self.listener.accept() {
                    Ok((stream, _)) => self.admit(scope, ear, &busy, stream),
                    // Out of descriptors or memory, or the listener was shut down, which the condition sees.
                    Err(_) => thread::park_timeout(REST),
                }
            }
        };
        thread::Builder::new().name("control".to_owned()).spawn_scoped(scope, accept).map(drop)
    }

    /// Serves one connection on a thread of its own, unless there are too many.
    fn admit<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        ear: &'env dyn Hear,
        busy: &Arc<AtomicUsize>,
        stream: UnixStream,
    ) {
        if busy.fetch_add(1, Ordering::AcqRel) >= REQUESTS_MAX {
            busy.fetch_sub(1, Ordering::AcqRel);
            // It goes into the socket's buffer; who does not read it learns nothing.
            let _ = answer(&stream, &Answer::Failed("too many requests at once: try again".to_owned()));
            return;
        }
        let mine = Busy(Arc::clone(busy));
        let serve = move || {
            let heard = match self.request(&stream) {
                Ok(request) => ear.hear(request, &stream),
                Err(reason) => Answer::Refused(reason).into(),
            };
            match heard.stream {
                // The other side may be gone; then nobody wants to know.
                None => drop(answer(&stream, &heard.answer)),
                Some(carry) => {
                    drop(mine);
                    self.carry(stream, &heard.answer, carry);
                }
            }
        };
        // Without a thread the connection is closed, and the other side tries again.
        let _ = thread::Builder::new().name("request".to_owned()).spawn_scoped(scope, serve);
    }

    /// Answers, and lets the connection go on as a stream.
    fn carry(&self, stream: UnixStream, opened: &Answer, carry: Stream<'_>) {
        let id = match self.enlist(&stream) {
            Ok(id) => id,
            Err(reason) => return drop(answer(&stream, &Answer::Failed(reason))),
        };
        let ready = answer(&stream, opened)
            .and_then(|()| stream.set_read_timeout(None))
            .and_then(|()| stream.set_write_timeout(None));
        if ready.is_ok() {
            carry(&stream);
        }
        self.streams().open.remove(&id);
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a stream among those that end with the socket.
    fn enlist(&self, stream: &UnixStream) -> Result<u64, String> {
        let again = stream.try_clone().map_err(|error| format!("no descriptor for the stream: {error}"))?;
        let mut streams = self.streams();
        if self.over.load(Ordering::Acquire) {
            return Err("the run is over".to_owned());
        }
        if streams.open.len() >= STREAMS_MAX {
            return Err(format!("{STREAMS_MAX} shells and connections are open, the most a run takes"));
        }
        streams.next += 1;
        let id = streams.next;
        streams.open.insert(id, again);
        Ok(id)
    }

    /// Reads one line, within the time that a request may take.
    fn request(&self, stream: &UnixStream) -> Result<Request, String> {
        let broken = |error: io::Error| format!("the request could not be read: {error}");
        stream.set_read_timeout(Some(LOOK)).map_err(broken)?;
        let deadline = Instant::now() + PATIENCE;
        let mut line = Vec::new();
        let mut reader = BufReader::new(stream.take(REQUEST_MAX));
        while !line.ends_with(b"\n") {
            let already = line.len();
            match reader.read_until(b'\n', &mut line) {
                Ok(_) if line.ends_with(b"\n") => {}
                Ok(_) if line.len() as u64 >= REQUEST_MAX => {
                    return Err(format!("a request is one line of at most {REQUEST_MAX} bytes"));
                }
                Ok(0) if line.len() == already => return Err("a request ends with a newline".to_owned()),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    if self.over.load(Ordering::Acquire) {
                        return Err("the run is over".to_owned());
                    }
                    if Instant::now() >= deadline {
                        return Err(format!("no whole request came within {} s", PATIENCE.as_secs()));
                    }
                }
                Err(error) => return Err(broken(error)),
            }
        }
        serde_json::from_slice(&line).map_err(|error| format!("not a request: {error}"))
    }

    /// Stops listening, removes the socket's file and ends all streams. Requests that have begun are answered.
    pub(crate) fn close(&self) {
        if self.over.swap(true, Ordering::AcqRel) {
            return;
        }
        // Who takes this lock later sees that it is over.
        for stream in self.streams().open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // A socket that another run put in its place is not possible: the run folder is this runner's alone.
        let _ = fs::remove_file(&self.path);
        // Wakes the thread that waits in accept(2), which then returns an error.
        if let Ok(again) = self.listener.try_clone() {
            let _ = UnixStream::from(OwnedFd::from(again)).shutdown(Shutdown::Both);
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.close();
    }
}

/// One connection being served.
struct Busy(Arc<AtomicUsize>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn answer(stream: &UnixStream, answer: &Answer) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut stream = stream;
    stream.write_all(&line)
}

/// Binds `control.sock` in `folder`, whose path may be longer than the 107 bytes that the address of a socket can be.
fn bind_in(folder: &Path) -> io::Result<UnixListener> {
    let folder = File::open(folder)?;
    UnixListener::bind(through(&folder))
}

/// Connects to `control.sock` in `folder`, whose path may be long.
///
/// # Errors
/// When nobody listens there.
pub(crate) fn connect_in(folder: &Path) -> io::Result<UnixStream> {
    let folder = File::open(folder)?;
    UnixStream::connect(through(&folder))
}

fn through(folder: &File) -> String {
    format!("/proc/self/fd/{}/control.sock", folder.as_raw_fd())
}
