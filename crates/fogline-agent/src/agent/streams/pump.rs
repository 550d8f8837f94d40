//! Moves the bytes of one stream between the connection and the host's descriptors, as far as both sides take them.

use super::mailbox::Mailbox;
use crate::agent::{Out, write_frame};
use crate::limits::{DRAIN_GRACE, PART_BYTES_MAX};
use crate::stream::{Channel, Credit, Owed, Part};
use crate::sys::terminal::set_size;
use crate::sys::{Interest, set_nonblocking, wait_ready};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Longest wait at a time; whatever there is to do ends it before.
const LOOK: Duration = Duration::from_secs(3600);
/// What is still read, at most, of a process that has ended: what a pipe holds. A child may go on writing into it.
const AFTER_END_BYTES_MAX: usize = 1 << 20;
/// The character by which a terminal says that there is no more input (VEOF, Ctrl-D).
const END_OF_INPUT: u8 = 4;

/// How a stream ended.
pub(super) enum Ending {
    /// All is done.
    Done,
    /// The other side hung up, what it said cannot be, or the host's side cannot go on; and why.
    Reset(String),
}

/// Where bytes come from.
pub(super) struct Source {
    channel: Channel,
    file: Option<File>,
    credit: Credit,
    /// Whether there was nothing to be had the last time.
    idle: bool,
}

/// Where bytes go.
pub(super) enum Sink {
    Pipe(File),
    Terminal(File),
    Socket(TcpStream),
}

pub(super) struct Pump<'a> {
    id: u64,
    out: &'a Out,
    mailbox: &'a Mailbox,
    sources: Vec<Source>,
    sink: Option<Sink>,
    /// Input that the sink has not taken; of the first piece, so many bytes are gone.
    pending: VecDeque<Vec<u8>>,
    gone: usize,
    input_ended: bool,
    owed: Owed,
    buffer: Vec<u8>,
}

impl Source {
    pub(super) fn new(channel: Channel, file: File) -> Self {
        Self { channel, file: Some(file), credit: Credit::default(), idle: false }
    }

    fn wanted(&self) -> Option<&File> {
        self.file.as_ref().filter(|_| self.credit.room() > 0)
    }
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(file) | Self::Terminal(file) => file.write(bytes),
            Self::Socket(socket) => socket.write(bytes),
        }
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(file) | Self::Terminal(file) => file.as_fd(),
            Self::Socket(socket) => socket.as_fd(),
        }
    }
}

fn would_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        id: u64,
        out: &'a Out,
        mailbox: &'a Mailbox,
        sources: Vec<Source>,
        sink: Sink,
    ) -> io::Result<Self> {
        for file in sources.iter().filter_map(|source| source.file.as_ref()) {
            set_nonblocking(file)?;
        }
        set_nonblocking(&sink)?;
        let buffer = vec![0; PART_BYTES_MAX];
        let (pending, owed) = (VecDeque::new(), Owed::default());
        Ok(Self {
            id,
            out,
            mailbox,
            sources,
            sink: Some(sink),
            pending,
            gone: 0,
            input_ended: false,
            owed,
            buffer,
        })
    }

    /// Works until all is done; where there is a process, that is when it has `ended` and its output is read.
    pub(super) fn run(&mut self, ended: Option<BorrowedFd<'_>>) -> Ending {
        let mut end: Option<Instant> = None;
        let mut read_since = 0;
        loop {
            let grace_left = end.map(|end| DRAIN_GRACE.saturating_sub(end.elapsed()));
            let timeout = grace_left.filter(|left| !left.is_zero()).unwrap_or(LOOK);
            match self.wait(ended.filter(|_| end.is_none()), timeout) {
                Ok(true) => end = Some(Instant::now()),
                Ok(false) => {}
                Err(error) => return Ending::Reset(error.to_string()),
            }
            let moved = self.take_mail().and_then(|()| self.read()).and_then(|bytes| {
                read_since += if end.is_some() { bytes } else { 0 };
                self.write()
            });
            if let Err(ending) = moved {
                return ending;
            }
            let read_all = self.sources.iter().all(|source| source.file.is_none());
            let done = match (ended, end) {
                (None, _) => read_all && self.sink.is_none(),
                (Some(_), None) => false,
                (Some(_), Some(end)) => {
                    let idle = self.sources.iter().all(|source| source.file.is_none() || source.idle);
                    let late = end.elapsed() >= DRAIN_GRACE;
                    read_all || late && (idle || read_since > AFTER_END_BYTES_MAX)
                }
            };
            if done {
                self.end_sources();
                return Ending::Done;
            }
        }
    }

    /// Waits for something to do; whether the process has ended.
    fn wait(&self, ended: Option<BorrowedFd<'_>>, timeout: Duration) -> io::Result<bool> {
        let mut interests: Vec<Interest<'_>> = ended.map(Interest::Readable).into_iter().collect();
        interests.push(Interest::Readable(self.mailbox.waker.as_fd()));
        let wanted = self.sources.iter().filter_map(Source::wanted);
        interests.extend(wanted.map(|file| Interest::Readable(file.as_fd())));
        if let Some(sink) = self.sink.as_ref().filter(|_| !self.pending.is_empty()) {
            interests.push(Interest::Writable(sink.as_fd()));
        }
        let ready = wait_ready(&interests, timeout)?;
        Ok(ended.is_some() && ready.first().copied().unwrap_or(false))
    }

    fn take_mail(&mut self) -> Result<(), Ending> {
        for (part, payload) in self.mailbox.take() {
            match part {
                Part::Data(_) => self.pending.push_back(payload),
                Part::Credit(channel, bytes) => {
                    let source = self.sources.iter_mut().find(|source| source.channel == channel);
                    if let Some(source) = source {
                        source.credit.grant(bytes);
                    }
                }
                Part::End(Channel::Input) => match self.sink {
                    Some(Sink::Terminal(_)) => self.pending.push_back(vec![END_OF_INPUT]),
                    _ => self.input_ended = true,
                },
                Part::End(_) => {}
                Part::Resize(size) => {
                    if let Some(Sink::Terminal(terminal)) = &self.sink {
                        // A terminal that is gone has no size, and its end shows elsewhere.
                        let _ = set_size(terminal, size);
                    }
                }
                Part::Over(_) => return Err(Ending::Reset("it sent what only hosts send".to_owned())),
                Part::Reset(reason) => return Err(Ending::Reset(reason)),
            }
        }
        Ok(())
    }

    /// Reads what there is and may be sent; how much it was.
    fn read(&mut self) -> Result<usize, Ending> {
        let mut total = 0;
        for source in &mut self.sources {
            let room = source.credit.room();
            let Some(file) = source.file.as_mut().filter(|_| room > 0) else {
                source.idle = false;
                continue;
            };
            let got = file.read(&mut self.buffer[..room]);
            source.idle = got.as_ref().is_err_and(would_wait);
            match got {
                Ok(bytes) if bytes > 0 => {
                    total += bytes;
                    source.credit.spend(bytes);
                    let data = Part::Data(source.channel).frame(self.id, self.buffer[..bytes].to_vec());
                    write_frame(self.out, &data);
                }
                Err(error) if would_wait(&error) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Err(Ending::Reset(error.to_string()));
                }
                // A terminal that no process has open any more gives EIO.
                Ok(_) | Err(_) => {
                    source.file = None;
                    write_frame(self.out, &Part::End(source.channel).frame(self.id, Vec::new()));
                }
            }
        }
        Ok(total)
    }

    /// Writes as much of the input as is taken, and grants as much again.
    fn write(&mut self) -> Result<(), Ending> {
        while let Some(piece) = self.pending.front() {
            if let Some(sink) = &mut self.sink {
                match sink.write(&piece[self.gone..]) {
                    Ok(bytes) => self.gone += bytes,
                    Err(error) if would_wait(&error) => return Ok(()),
                    Err(error) if matches!(sink, Sink::Socket(_)) => {
                        return Err(Ending::Reset(error.to_string()));
                    }
                    // The process does not read to the end, which is its right; the rest is thrown away.
                    Err(_) => self.sink = None,
                }
                if self.sink.is_some() && self.gone < piece.len() {
                    continue;
                }
            }
            let bytes = piece.len();
            self.gone = 0;
            self.pending.pop_front();
            if let Some(bytes) = self.owed.passed_on(bytes) {
                self.mailbox.granted(bytes);
                write_frame(self.out, &Part::Credit(Channel::Input, bytes).frame(self.id, Vec::new()));
            }
        }
        if self.input_ended
            && let Some(Sink::Socket(socket)) = self.sink.take()
        {
            // Where the connection is gone already, reading from it says so.
            let _ = socket.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    fn end_sources(&mut self) {
        for source in &mut self.sources {
            if source.file.take().is_some() {
                write_frame(self.out, &Part::End(source.channel).frame(self.id, Vec::new()));
            }
        }
    }
}
