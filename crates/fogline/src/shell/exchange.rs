//! This side of a stream: what is read here goes to the host, what comes from there is written here.

use fogline_agent::Exit;
use fogline_agent::frame::Frame;
use fogline_agent::stream::{Channel, Credit, Owed, Part};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long what has come may still take to be written once the stream is broken.
const BROKEN_PATIENCE: Duration = Duration::from_secs(2);

/// How a stream ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// In good order; the exit of its process, where there was one.
    Over(Option<Exit>),
    /// The host's side, or the runner, broke it off, and why.
    Reset(String),
    /// The runner is gone.
    Lost,
    /// This side broke it off because it cannot give what it was to send, and why.
    HungUp(String),
    /// What came could not be written here.
    Unwritable(io::Error),
}

/// Where the data of a channel goes.
pub(super) trait Outlet: Write + Send {
    /// No more will come.
    fn finish(&mut self) {}
}

/// The way to the host. Shared by the threads of one stream.
pub(super) struct Remote {
    socket: UnixStream,
    /// Held for the length of a frame.
    write: Mutex<()>,
    credit: Mutex<Allowance>,
    granted: Condvar,
}

#[derive(Default)]
struct Allowance {
    credit: Credit,
    closed: bool,
    /// Why this side broke it off, if it did.
    reason: Option<String>,
}

impl Remote {
    /// The way that goes with `conversation`, which has just been opened.
    pub(super) fn of(conversation: &BufReader<UnixStream>) -> io::Result<Arc<Self>> {
        let socket = conversation.get_ref().try_clone()?;
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(None)?;
        let (write, credit, granted) = (Mutex::default(), Mutex::default(), Condvar::new());
        Ok(Arc::new(Self { socket, write, credit, granted }))
    }

    pub(super) fn send(&self, part: &Part, payload: Vec<u8>) -> io::Result<()> {
        let _whole = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        part.frame(0, payload).write_to(&mut &self.socket).map_err(io::Error::other)
    }

    /// Breaks the stream off; the threads that wait for it learn of it.
    fn hang_up(&self, reason: &str) {
        self.allowance().reason.get_or_insert_with(|| reason.to_owned());
        let _ = self.send(&Part::Reset(reason.to_owned()), Vec::new());
        self.close();
    }

    /// Ends all waiting for it.
    pub(super) fn close(&self) {
        self.allowance().closed = true;
        self.granted.notify_all();
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn allowance(&self) -> MutexGuard<'_, Allowance> {
        self.credit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much may be sent now, once it is anything; `None` when the stream has ended.
    fn room(&self) -> Option<usize> {
        let mut allowance = self.allowance();
        loop {
            match allowance.credit.room() {
                _ if allowance.closed => return None,
                0 => allowance = self.granted.wait(allowance).unwrap_or_else(PoisonError::into_inner),
                room => return Some(room),
            }
        }
    }

    /// Sends what `input` gives until it ends or the stream does.
    pub(super) fn feed(&self, mut input: impl Read) {
        let mut buffer = Vec::new();
        while let Some(room) = self.room() {
            buffer.resize(room, 0);
            match input.read(&mut buffer) {
                Ok(0) => return drop(self.send(&Part::End(Channel::Input), Vec::new())),
                Ok(bytes) => {
                    self.allowance().credit.spend(bytes);
                    if self.send(&Part::Data(Channel::Input), buffer[..bytes].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.hang_up(&error.to_string()),
            }
        }
    }
}

/// Writes what comes to its outlet and grants as much again, until the stream ends and all is written.
pub(super) fn follow(
    remote: &Arc<Remote>,
    conversation: &mut BufReader<UnixStream>,
    outlets: Vec<(Channel, Box<dyn Outlet>)>,
) -> io::Result<Ended> {
    let (done, written) = mpsc::channel();
    let mut writers = Vec::new();
    for (channel, outlet) in outlets {
        // Bounded by the credit of the channel, since only what is written is granted again.
        let (data, arrived) = mpsc::channel();
        let (remote, done) = (Arc::clone(remote), done.clone());
        let write = move || {
            let result = write_all(&remote, channel, outlet, &arrived);
            if result.is_err() {
                remote.hang_up("what came could not be written");
            }
            let _ = done.send(result);
        };
        thread::Builder::new().name("outlet".to_owned()).spawn(write)?;
        writers.push((channel, data));
    }
    let ended = dispatch(remote, conversation, &writers);
    let count = writers.len();
    drop(writers);
    let mut unwritable = None;
    for _ in 0..count {
        // Who reads the results may take as long as it likes; who was broken off is not waited for.
        let result = match ended {
            Ended::Over(_) => written.recv().unwrap_or(Ok(())),
            _ => written.recv_timeout(BROKEN_PATIENCE).unwrap_or(Ok(())),
        };
        unwritable = unwritable.or(result.err());
    }
    remote.close();
    let ended = match (ended, remote.allowance().reason.take()) {
        (Ended::Lost, Some(reason)) => Ended::HungUp(reason),
        (ended, _) => ended,
    };
    Ok(unwritable.map_or(ended, Ended::Unwritable))
}

/// Hands what comes to the writers until the last part.
fn dispatch(
    remote: &Remote,
    conversation: &mut BufReader<UnixStream>,
    writers: &[(Channel, Sender<Option<Vec<u8>>>)],
) -> Ended {
    loop {
        let Ok(Some(frame)) = Frame::read_from(conversation) else { return Ended::Lost };
        let (part, payload) = match Part::of(frame) {
            Ok(part) => part,
            Err(wrong) => return Ended::Reset(format!("the runner sent {wrong}")),
        };
        let (channel, piece) = match part {
            Part::Data(channel) => (channel, Some(payload)),
            Part::End(channel) => (channel, None),
            Part::Credit(_, bytes) => {
                remote.allowance().credit.grant(bytes);
                remote.granted.notify_all();
                continue;
            }
            Part::Resize(_) => continue,
            Part::Over(exit) => return Ended::Over(exit),
            Part::Reset(reason) => return Ended::Reset(reason),
        };
        if let Some((_, data)) = writers.iter().find(|(of, _)| *of == channel) {
            // A writer that has failed has hung up, and that ends this loop.
            let _ = data.send(piece);
        }
    }
}

/// Writes pieces as they arrive; without a piece, the channel has ended.
fn write_all(
    remote: &Remote,
    channel: Channel,
    mut outlet: Box<dyn Outlet>,
    arrived: &Receiver<Option<Vec<u8>>>,
) -> io::Result<()> {
    let mut owed = Owed::default();
    for piece in arrived {
        let Some(piece) = piece else {
            outlet.finish();
            continue;
        };
        outlet.write_all(&piece)?;
        outlet.flush()?;
        if let Some(bytes) = owed.passed_on(piece.len()) {
            // A runner that is gone grants nothing, and needs nothing.
            let _ = remote.send(&Part::Credit(channel, bytes), Vec::new());
        }
    }
    Ok(())
}
