//! Streams that are open on this host, each with a thread of its own.

mod connection;
mod mailbox;
mod process;
mod pump;
mod session;

use super::children::{Children, Process};
use super::run::exit_of;
use super::{Out, write_answer, write_frame};
use crate::error::{Context as _, Failure};
use crate::exec::Exit;
use crate::frame::Frame;
use crate::limits::STREAMS_MAX;
use crate::message::{Reply, Request};
use crate::stream::{ConnectRequest, Part, ProcessRequest};
use crate::sys::terminal::reset_on_close;
use crate::sys::{Interest, wait_ready};
use mailbox::Mailbox;
use pump::{Ending, Pump};
use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait at a time for a process that lives on after its stream.
const LOOK: Duration = Duration::from_secs(3600);

pub(super) struct Streams {
    children: Arc<Children>,
    out: Out,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    mailboxes: HashMap<u64, Arc<Mailbox>>,
    /// Threads: one for each stream, also while its process lives on after it.
    threads: usize,
    /// Leaders of the sessions that were begun and have not ended.
    sessions: HashSet<i32>,
}

/// A stream's place in the table.
struct Place {
    streams: Arc<Streams>,
    id: u64,
    mailbox: Arc<Mailbox>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
        self.streams.table().threads -= 1;
    }
}

impl Place {
    /// Nothing more is taken or sent for the stream.
    fn leave(&self) {
        self.streams.table().mailboxes.remove(&self.id);
    }

    fn send(&self, part: &Part) {
        write_frame(&self.streams.out, &part.frame(self.id, Vec::new()));
    }

    fn answer(&self, opened: Result<(), Failure>) {
        write_answer(&self.streams.out, self.id, &opened.map(|()| Reply::Streaming), Vec::new());
    }
}

impl Streams {
    pub(super) fn new(children: Arc<Children>, out: Out) -> Arc<Self> {
        Arc::new(Self { children, out, table: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens stream `id` on a thread of its own, or answers why not. Called by the reading thread only.
    pub(super) fn open(self: &Arc<Self>, id: u64, request: Request) {
        if let Err(failure) = self.begin(id, request) {
            write_answer(&self.out, id, &Err(failure), Vec::new());
        }
    }

    fn begin(self: &Arc<Self>, id: u64, request: Request) -> Result<(), Failure> {
        let mailbox = Arc::new(Mailbox::new().during("open a stream")?);
        {
            let mut table = self.table();
            if table.threads >= STREAMS_MAX {
                let message = format!("{STREAMS_MAX} are open, the most this host's agent takes");
                return Err(Failure::new("open a stream", message));
            }
            table.threads += 1;
            table.mailboxes.insert(id, Arc::clone(&mailbox));
        }
        let place = Place { streams: Arc::clone(self), id, mailbox };
        let serve = move || {
            let served = catch_unwind(AssertUnwindSafe(|| match request {
                Request::OpenProcess(request) => place.serve_process(request),
                Request::OpenConnection(request) => place.serve_connection(&request),
                _ => place.answer(Err(Failure::new("open a stream", "the request opens none"))),
            }));
            if served.is_err() {
                place.send(&Part::Reset("the agent panicked; its standard error says where".to_owned()));
            }
        };
        let started = std::thread::Builder::new().name("stream".to_owned()).spawn(serve);
        started.map(drop).during("open a stream")
    }

    /// Takes a part of a stream; one for a stream that has ended meanwhile is no matter.
    pub(super) fn deliver(&self, frame: Frame) {
        let mailbox = self.table().mailboxes.get(&frame.id).cloned();
        if let Some(mailbox) = mailbox {
            let (part, payload) = Part::of(frame).unwrap_or_else(|wrong| (Part::Reset(wrong), Vec::new()));
            mailbox.put(part, payload);
        }
    }

    /// Ends all streams and kills what runs in their sessions; the peer is gone.
    pub(super) fn end(&self) {
        let (mailboxes, sessions) = {
            let mut table = self.table();
            (std::mem::take(&mut table.mailboxes), std::mem::take(&mut table.sessions))
        };
        for mailbox in mailboxes.values() {
            mailbox.put(Part::Reset("the agent ends".to_owned()), Vec::new());
        }
        sessions.into_iter().for_each(session::kill);
    }
}

impl Place {
    fn serve_process(&self, request: ProcessRequest) {
        let process::Started { mut process, sources, sink } =
            match process::start(&self.streams.children, request) {
                Ok(started) => started,
                Err(failure) => return self.answer(Err(failure)),
            };
        let leader = process.pid;
        self.streams.table().sessions.insert(leader);
        self.answer(Ok(()));
        let pump = Pump::new(self.id, &self.streams.out, &self.mailbox, sources, sink);
        // What the pump holds closes when this is done, so that the process hears of the end by it too.
        let ending = match pump {
            Ok(mut pump) => pump.run(Some(process.ended())),
            Err(error) => Ending::Reset(error.to_string()),
        };
        session::hang_up(leader);
        match ending {
            Ending::Done => match self.collect(&mut process) {
                Ok(exit) => self.send(&Part::Over(Some(exit))),
                Err(failure) => self.send(&Part::Reset(failure.to_string())),
            },
            Ending::Reset(reason) => {
                self.send(&Part::Reset(reason));
                self.leave();
                while !wait_ready(&[Interest::Readable(process.ended())], LOOK)
                    .is_ok_and(|ready| ready.contains(&true))
                {}
                // Nobody asks how it ended any more.
                let _ = self.collect(&mut process);
            }
        }
        self.streams.table().sessions.remove(&leader);
    }

    fn collect(&self, process: &mut Process) -> Result<Exit, Failure> {
        self.streams.children.collect(process).map(exit_of).during("wait for a command")
    }

    fn serve_connection(&self, request: &ConnectRequest) {
        let connected = connection::connect(request).and_then(|stream| {
            let (sources, sink) = connection::ends(&stream)?;
            Ok((stream, sources, sink))
        });
        let (stream, sources, sink) = match connected {
            Ok(connected) => connected,
            Err(failure) => return self.answer(Err(failure)),
        };
        self.answer(Ok(()));
        let ending = match Pump::new(self.id, &self.streams.out, &self.mailbox, sources, sink) {
            Ok(mut pump) => pump.run(None),
            Err(error) => Ending::Reset(error.to_string()),
        };
        match ending {
            Ending::Done => self.send(&Part::Over(None)),
            Ending::Reset(reason) => {
                // The host's end learns that the other one is gone, and does not take it for an end in good order.
                let _ = reset_on_close(&stream);
                self.send(&Part::Reset(reason));
            }
        }
    }
}
