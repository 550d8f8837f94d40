//! The runner's ear: a socket in the run folder that takes one request per connection.

use super::protocol::{Answer, REQUEST_MAX, Request};
use fogline_journal::RunFolder;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// Connections that are served at once; more are told to come again.
const CONNECTIONS_MAX: usize = 4;

/// How long a request may take to come in whole, and an answer to go out.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a wait for a request looks whether the run is over.
const LOOK: Duration = Duration::from_millis(100);

/// How long the ear rests when the system has no descriptor or memory for a connection.
const REST: Duration = Duration::from_millis(200);

/// What answers requests.
pub(crate) trait Hear: Sync {
    /// The answer to `request`.
    fn hear(&self, request: Request) -> Answer;
}

/// A bound socket. Only this user may connect. Its file is removed with it.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    over: Arc<AtomicBool>,
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
        Ok(Self { listener: bound?, path, over: Arc::default() })
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
        if busy.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            busy.fetch_sub(1, Ordering::AcqRel);
            // It goes into the socket's buffer; who does not read it learns nothing.
            let _ = answer(&stream, &Answer::Failed("too many requests at once: try again".to_owned()));
            return;
        }
        let mine = Busy(Arc::clone(busy));
        let serve = move || {
            let _mine = mine;
            let said = match self.request(&stream) {
                Ok(request) => ear.hear(request),
                Err(reason) => Answer::Refused(reason),
            };
            // The other side may be gone; then nobody wants to know.
            let _ = answer(&stream, &said);
        };
        // Without a thread the connection is closed, and the other side tries again.
        let _ = thread::Builder::new().name("request".to_owned()).spawn_scoped(scope, serve);
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

    /// Stops listening and removes the socket's file. Requests that have begun are answered.
    pub(crate) fn close(&self) {
        if self.over.swap(true, Ordering::AcqRel) {
            return;
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
