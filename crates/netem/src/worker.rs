//! A thread that moves packets between the devices and its [`Fabric`].

use crate::model::Profile;
use crate::model::fabric::{Fabric, FabricError, Totals};
use crate::model::link::Account;
use crate::model::wire::VNET_LEN;
use crate::punctuality::{DelayGroups, Punctuality};
use crate::stalls::Stalls;
use crate::sys::{self, Poller};
use crate::waiting::{Poll, Waiting};
use crate::{Lateness, WorkerSnapshot};
use link::{Change, Patch};
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

/// Bytes in front of the payload in most large frames: virtio-net, Ethernet, IPv4, TCP with time stamps.
const HEADERS_LEN: usize = VNET_LEN + 14 + 20 + 32;

/// A line of the processor's cache. The kernel copies payloads that begin on one faster.
const CACHE_LINE_LEN: usize = 64;

/// What the wake-up counter is registered as; devices are registered by their node's index.
const WAKE_TOKEN: u64 = u64::MAX - 1;

/// How long the worker may be busy before stalls in that time are told from those in the sleep that follows.
const BUSY_NS_MAX: u64 = 200_000;

/// A sleep that lasts longer than this over its time is looked into, nanoseconds.
const OVERSLEPT_NS: u64 = 100_000;

/// What a worker can be asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Tell how things stand.
    Report(SyncSender<Report>),
    /// Tell what each link does now.
    Profiles(SyncSender<Vec<Profile>>),
    /// Change what links do; answered when done.
    Change(Order, SyncSender<Result<(), FabricError>>),
    /// Leave.
    Stop,
}

/// A change of what links do. Links are numbered as in the worker's fabric.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Change these by hand.
    Alter(Vec<usize>, Patch),
    /// Forget the changes by hand of these.
    Heal(Vec<usize>),
    /// Begin a timeline.
    Play(Vec<Change>),
    /// End it.
    Rest,
}

/// How things stand.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) scheduling: &'static str,
    pub(crate) elapsed_ns: u64,
    pub(crate) worker: WorkerSnapshot,
    pub(crate) totals: Totals,
    pub(crate) accounts: Vec<Account>,
    pub(crate) by_delay: Vec<Lateness>,
    pub(crate) link_max: Vec<u64>,
    pub(crate) read_wait: Lateness,
    pub(crate) full_reads: u64,
    pub(crate) refused: Vec<u64>,
    pub(crate) failures: Vec<Option<String>>,
}

/// The devices' other ends.
#[derive(Debug)]
struct Outlets {
    taps: Arc<Vec<File>>,
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

/// What a worker is to do.
#[derive(Debug)]
pub(crate) struct Assignment {
    /// The network with the worker's links.
    pub(crate) fabric: Fabric,
    /// How their lateness is recorded.
    pub(crate) groups: DelayGroups,
    /// The devices of all nodes.
    pub(crate) taps: Arc<Vec<File>>,
    /// The nodes whose devices it reads.
    pub(crate) nodes: Vec<usize>,
}

/// The thread's state.
#[derive(Debug)]
pub(crate) struct Worker {
    fabric: Fabric,
    outlets: Outlets,
    devices: usize,
    failures: Vec<Option<String>>,
    poller: Poller,
    wake: Arc<File>,
    commands: Receiver<Command>,
    start: Instant,
    waiting: Waiting,
    punctuality: Punctuality,
    full_reads: u64,
    scheduling: &'static str,
}

impl Worker {
    /// Prepares to do what is assigned; its clock begins at `start`.
    pub(crate) fn new(
        assignment: Assignment,
        wake: Arc<File>,
        commands: Receiver<Command>,
        start: Instant,
    ) -> io::Result<Self> {
        let Assignment { fabric, groups, taps, nodes } = assignment;
        let poller = Poller::new(nodes.len() + 2)?;
        poller.add(wake.as_raw_fd(), WAKE_TOKEN)?;
        for node in &nodes {
            poller.add(taps[*node].as_raw_fd(), *node as u64)?;
        }
        let all = taps.len();
        Ok(Self {
            fabric,
            outlets: Outlets { taps, refused: vec![0; all] },
            devices: nodes.len(),
            failures: vec![None; all],
            poller,
            wake,
            commands,
            start,
            waiting: Waiting::new(all, start.elapsed().as_nanos() as u64),
            punctuality: Punctuality::new(groups),
            full_reads: 0,
            scheduling: "",
        })
    }

    /// How deadlines are kept.
    pub(crate) fn timer_name(&self) -> &'static str {
        self.poller.timer_name()
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self) -> io::Result<()> {
        self.scheduling = sys::sharpen_thread();
        let mut stalls = Stalls::of_this_thread(self.now());
        let mut room = vec![0; FRAME_LEN_MAX + CACHE_LINE_LEN];
        let aligned = room[HEADERS_LEN..].as_ptr().align_offset(CACHE_LINE_LEN);
        let buffer = &mut room[aligned.min(CACHE_LINE_LEN)..];
        let mut ready = Vec::new();
        loop {
            self.poll(&mut stalls, &mut ready)?;
            for token in &ready {
                if *token != WAKE_TOKEN {
                    self.read_device(*token as usize, buffer);
                } else if self.obey(&mut stalls).is_break() {
                    return Ok(());
                }
            }
            self.deliver(self.now());
        }
    }

    /// Waits for something to do.
    fn poll(&mut self, stalls: &mut Stalls, ready: &mut Vec<u64>) -> io::Result<()> {
        let asked = self.now();
        if asked.saturating_sub(stalls.taken_at()) > BUSY_NS_MAX {
            stalls.take(asked);
        }
        let timeout_ns = self.fabric.next_due().map(|due| due.saturating_sub(asked));
        self.poller.wait(timeout_ns, ready)?;
        let back = self.now();
        // Asking the kernel costs as much as reading a frame. After a timer that went off in time there is no need.
        let overslept =
            back.saturating_sub(asked) > timeout_ns.unwrap_or(u64::MAX).saturating_add(OVERSLEPT_NS);
        let matters = !ready.is_empty() || overslept;
        let stalled = if matters && Poll::took_long(asked, back) { stalls.take(back) } else { 0 };
        self.waiting.polled(Poll { asked, back, stalled });
        Ok(())
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn read_device(&mut self, node: usize, buffer: &mut [u8]) {
        let empty_at = self.waiting.reported(node);
        let mut last = empty_at;
        for _ in 0..READS_MAX {
            let length = match (&self.outlets.taps[node]).read(buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return self.waiting.emptied(node, last);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return self.abandon(node, &error),
            };
            last = self.now();
            self.take(last, last.saturating_sub(empty_at), node, &mut buffer[..length]);
            self.deliver(last);
        }
        self.full_reads += 1;
    }

    /// Sends a frame on its way that was read at `now` and may have waited so long for that.
    fn take(&mut self, now: u64, waited_ns: u64, node: usize, frame: &mut [u8]) {
        let outlets = &mut self.outlets;
        let before = self.fabric.totals().packets.packets;
        let mut send = |node: usize, frame: &[u8]| outlets.send(node, frame);
        self.fabric.accept_late(now, waited_ns, node, frame, &mut send);
        self.punctuality.read(waited_ns, self.fabric.totals().packets.packets - before);
        for (link, packets) in self.fabric.passed() {
            self.punctuality.left(*link, waited_ns, *packets);
        }
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
            let held = release.held;
            let late_ns = self.now().saturating_sub(held.due) + held.waited_ns;
            self.outlets.send(release.node, &held.frame);
            self.punctuality.left(release.link, late_ns, held.packets);
        }
    }

    /// Does what was asked for; breaks on the order to stop, or when nobody is left to give orders.
    fn obey(&mut self, stalls: &mut Stalls) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
        let mut count = [0; 8];
        if let Err(error) = (&*self.wake).read(&mut count)
            && error.kind() != ErrorKind::WouldBlock
        {
            return Break(());
        }
        loop {
            // Who asked may have given up waiting.
            match self.commands.try_recv() {
                Ok(Command::Report(answer)) => drop(answer.try_send(self.report(stalls))),
                Ok(Command::Profiles(answer)) => drop(answer.try_send(self.profiles())),
                Ok(Command::Change(order, answer)) => drop(answer.try_send(self.change(order))),
                Ok(Command::Stop) | Err(Disconnected) => return Break(()),
                Err(Empty) => return Continue(()),
            }
        }
    }

    fn profiles(&self) -> Vec<Profile> {
        self.fabric.links().map(|(_, _, profile)| profile).collect()
    }

    fn change(&mut self, order: Order) -> Result<(), FabricError> {
        let now = self.now();
        match order {
            Order::Alter(links, patch) => {
                links.into_iter().try_for_each(|link| self.fabric.alter(now, link, &patch))
            }
            Order::Heal(links) => links.into_iter().try_for_each(|link| self.fabric.heal(now, link)),
            Order::Play(changes) => self.fabric.play(now, &changes),
            Order::Rest => {
                self.fabric.rest(now);
                Ok(())
            }
        }
    }

    fn report(&self, stalls: &mut Stalls) -> Report {
        let elapsed_ns = self.now();
        stalls.take(elapsed_ns);
        Report {
            scheduling: self.scheduling,
            elapsed_ns,
            worker: WorkerSnapshot {
                cpu_s: sys::thread_cpu_nanos() as f64 / 1e9,
                stalled_s: stalls.total() as f64 / 1e9,
                devices: self.devices,
                links: self.punctuality.link_max().len(),
            },
            totals: *self.fabric.totals(),
            accounts: self.fabric.accounts().collect(),
            by_delay: self.punctuality.groups(),
            link_max: self.punctuality.link_max().to_vec(),
            read_wait: self.punctuality.read_wait(),
            full_reads: self.full_reads,
            refused: self.outlets.refused.clone(),
            failures: self.failures.clone(),
        }
    }
}
