//! The one thread that moves packets between the devices and the [`Fabric`].

use crate::histogram::Histogram;
use crate::model::fabric::{Fabric, Totals};
use crate::model::link::Account;
use crate::sys::{self, Poller};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

/// Frames read from one device before the others get their turn.
const READS_MAX: usize = 64;

/// Room for the largest frame: 64 KiB of IP packet and all headers in front.
const FRAME_LEN_MAX: usize = 68 * 1024;

/// What the wake-up counter is registered as; devices are registered by their node's index.
const WAKE_TOKEN: u64 = u64::MAX - 1;

/// What the worker can be asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Tell how things stand.
    Report(SyncSender<Report>),
    /// Leave.
    Stop,
}

/// How things stand.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) scheduling: &'static str,
    pub(crate) elapsed_ns: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) totals: Totals,
    pub(crate) accounts: Vec<Account>,
    pub(crate) lateness: Vec<(u64, u64)>,
    pub(crate) lateness_max_ns: u64,
    pub(crate) full_reads: u64,
    pub(crate) refused: Vec<u64>,
    pub(crate) failures: Vec<Option<String>>,
}

/// The devices' other ends.
#[derive(Debug)]
struct Outlets {
    taps: Vec<File>,
    refused: Vec<u64>,
}

impl Outlets {
    /// Hands a frame to a node's device. One that the device won't take is gone, as on a full receive ring.
    fn send(&mut self, node: usize, frame: &[u8]) {
        if (&self.taps[node]).write(frame).is_err() {
            self.refused[node] += 1;
        }
    }
}

/// The thread's state.
#[derive(Debug)]
pub(crate) struct Worker {
    fabric: Fabric,
    outlets: Outlets,
    failures: Vec<Option<String>>,
    poller: Poller,
    wake: Arc<File>,
    commands: Receiver<Command>,
    start: Instant,
    lateness: Histogram,
    full_reads: u64,
    scheduling: &'static str,
}

impl Worker {
    /// Prepares to serve `taps`, one per endpoint of the fabric.
    pub(crate) fn new(
        fabric: Fabric,
        taps: Vec<File>,
        wake: Arc<File>,
        commands: Receiver<Command>,
    ) -> io::Result<Self> {
        let poller = Poller::new(taps.len() + 2)?;
        poller.add(wake.as_raw_fd(), WAKE_TOKEN)?;
        for (node, tap) in taps.iter().enumerate() {
            poller.add(tap.as_raw_fd(), node as u64)?;
        }
        let nodes = taps.len();
        Ok(Self {
            fabric,
            outlets: Outlets { taps, refused: vec![0; nodes] },
            failures: vec![None; nodes],
            poller,
            wake,
            commands,
            start: Instant::now(),
            lateness: Histogram::new(),
            full_reads: 0,
            scheduling: "",
        })
    }

    /// How deadlines are kept.
    pub(crate) fn timer_name(&self) -> &'static str {
        self.poller.timer_name()
    }

    /// Serves until told to stop, and gives the devices back to be closed.
    pub(crate) fn run(mut self) -> io::Result<Vec<File>> {
        self.scheduling = sys::sharpen_thread();
        let mut buffer = vec![0; FRAME_LEN_MAX];
        let mut ready = Vec::new();
        loop {
            let timeout_ns = self.fabric.next_due().map(|due| due.saturating_sub(self.now()));
            self.poller.wait(timeout_ns, &mut ready)?;
            for token in &ready {
                if *token != WAKE_TOKEN {
                    self.read_device(*token as usize, &mut buffer);
                } else if self.obey().is_break() {
                    return Ok(self.outlets.taps);
                }
            }
            self.deliver(self.now());
        }
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn read_device(&mut self, node: usize, buffer: &mut [u8]) {
        for _ in 0..READS_MAX {
            let length = match (&self.outlets.taps[node]).read(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.abandon(node, &error),
            };
            let now = self.now();
            let outlets = &mut self.outlets;
            self.fabric
                .accept(now, node, &mut buffer[..length], &mut |node, frame| outlets.send(node, frame));
            self.deliver(now);
        }
        self.full_reads += 1;
    }

    /// Stops serving a device that was taken away, which would otherwise be reported as ready for ever.
    fn abandon(&mut self, node: usize, error: &io::Error) {
        let removed = self.poller.remove(self.outlets.taps[node].as_raw_fd());
        let note = removed.err().map(|error| format!("; then: {error}")).unwrap_or_default();
        self.failures[node] = Some(format!("{error}{note}"));
    }

    /// Hands over all that was due at `now`.
    fn deliver(&mut self, now: u64) {
        while let Some(release) = self.fabric.release(now) {
            let late_ns = self.now().saturating_sub(release.held.due);
            self.outlets.send(release.node, &release.held.frame);
            self.lateness.record(late_ns, u64::from(release.held.packets));
        }
    }

    /// Does what was asked for; breaks on the order to stop, or when nobody is left to give orders.
    fn obey(&mut self) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
        let mut count = [0; 8];
        if let Err(error) = (&*self.wake).read(&mut count)
            && error.kind() != ErrorKind::WouldBlock
        {
            return Break(());
        }
        loop {
            match self.commands.try_recv() {
                // Who asked may have given up waiting.
                Ok(Command::Report(answer)) => drop(answer.try_send(self.report())),
                Ok(Command::Stop) | Err(Disconnected) => return Break(()),
                Err(Empty) => return Continue(()),
            }
        }
    }

    fn report(&self) -> Report {
        Report {
            scheduling: self.scheduling,
            elapsed_ns: self.now(),
            cpu_ns: sys::thread_cpu_nanos(),
            totals: *self.fabric.totals(),
            accounts: self.fabric.accounts().collect(),
            lateness: self.lateness.buckets(),
            lateness_max_ns: self.lateness.max(),
            full_reads: self.full_reads,
            refused: self.outlets.refused.clone(),
            failures: self.failures.clone(),
        }
    }
}
