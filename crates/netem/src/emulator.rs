//! The handle of a running emulation.

mod launch;

use crate::device::Probe;
use crate::model::Profile;
use crate::shards::Shards;
use crate::worker::{Command, Order, Report};
use crate::{DelayLateness, Lateness, Network, Snapshot, Tally};
use link::{Change, Patch};
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use units::Size;

/// How long an answer of a worker may take. It comes within microseconds unless the machine is overwhelmed.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Threads that close devices. The kernel takes some 30 ms for each, mostly waiting.
const CLOSERS_MAX: usize = 64;

/// Limits of an [`Emulator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmulatorOptions {
    /// Memory for packets in flight. A packet that finds it used up is dropped and counted.
    pub memory: Size,
    /// Threads that move packets, at least one and at most one per node. Each keeps the links of some of the senders
    /// and has its part of the memory. What happens to packets does not depend on the number.
    pub workers: usize,
}

impl Default for EmulatorOptions {
    /// 256 MiB and one worker: up to four cores a second one costs more in wake-ups than it brings.
    fn default() -> Self {
        Self { memory: Size::from_bytes(256 << 20), workers: 1 }
    }
}

/// A worker, as its owner sees it.
#[derive(Debug)]
struct Hand {
    commands: SyncSender<Command>,
    wake: Arc<File>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Hand {
    fn tell(&self, command: Command) -> Result<(), Silence> {
        self.commands.try_send(command).map_err(|refused| match refused {
            TrySendError::Full(_) => Silence::TooLong,
            TrySendError::Disconnected(_) => Silence::Ended,
        })?;
        self.rouse()
    }

    /// As [`tell`](Self::tell), and waits until the worker has room for it.
    fn insist(&self, command: Command) -> Result<(), Silence> {
        self.commands.send(command).map_err(|_| Silence::Ended)?;
        self.rouse()
    }

    fn rouse(&self) -> Result<(), Silence> {
        (&*self.wake).write_all(&1_u64.to_ne_bytes()).map_err(|_| Silence::Ended)
    }
}

/// Why a worker does not answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Silence {
    #[error("the worker has ended")]
    Ended,
    #[error("the worker did not answer within {} s", ANSWER_WAIT.as_secs())]
    TooLong,
}

impl From<Silence> for io::Error {
    fn from(silence: Silence) -> Self {
        let kind = match silence {
            Silence::Ended => io::ErrorKind::BrokenPipe,
            Silence::TooLong => io::ErrorKind::TimedOut,
        };
        Self::new(kind, silence)
    }
}

/// A running emulation. Dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    hands: Vec<Hand>,
    shards: Shards,
    taps: Arc<Vec<File>>,
    probes: Mutex<Vec<Probe>>,
    /// The last state known; before the first, what never changes.
    last: Mutex<Snapshot>,
}

impl Emulator {
    /// Starts the worker thread.
    ///
    /// # Errors
    /// When the network contradicts itself (an address twice, a link to nowhere) or the kernel refuses a thread
    /// or a descriptor.
    pub fn start(network: Network) -> io::Result<Self> {
        Self::start_with(network, &EmulatorOptions::default())
    }

    /// As [`start`](Self::start), with other limits.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(network: Network, options: &EmulatorOptions) -> io::Result<Self> {
        launch::launch(network, options)
    }

    /// What the emulation has done so far. The figures of the links are of one moment, with several workers of
    /// almost one; the kernel's counters of the devices are read right after.
    pub fn snapshot(&self) -> Snapshot {
        let reports = self.ask_all(Command::Report);
        let mut last = locked(&self.last);
        match reports {
            Ok(reports) => enter_reports(&mut last, &self.shards, reports),
            Err(failure) => last.failure = Some(failure.to_string()),
        }
        for ((device, probe), tap) in
            last.devices.iter_mut().zip(locked(&self.probes).iter_mut()).zip(&*self.taps)
        {
            match probe.drops(tap) {
                Ok(drops) => {
                    device.transmit_dropped = drops.transmit;
                    device.receive_dropped = drops.receive;
                }
                Err(error) => {
                    device.failure.get_or_insert_with(|| format!("can't read its counters: {error}"));
                }
            }
        }
        last.clone()
    }

    /// Changes links by hand, on top of what they are and of what a timeline makes of them, from now on. A later
    /// call for the same link adds to the earlier. Links are given by their position in [`Network::links`].
    ///
    /// # Errors
    /// When there is no such link or a worker does not answer.
    pub fn alter(&self, links: &[usize], patch: &Patch) -> io::Result<()> {
        let routed = self.shards.route(links).map_err(|link| self.no_such_link(link))?;
        self.order(routed.into_iter().map(|(worker, links)| (worker, Order::Alter(links, *patch))))
    }

    /// Takes back what [`alter`](Self::alter) did to these links.
    ///
    /// # Errors
    /// When there is no such link or a worker does not answer.
    pub fn heal(&self, links: &[usize]) -> io::Result<()> {
        let routed = self.shards.route(links).map_err(|link| self.no_such_link(link))?;
        self.order(routed.into_iter().map(|(worker, links)| (worker, Order::Heal(links))))
    }

    /// Begins a timeline now, instead of one that is playing. Links are given by their position in
    /// [`Network::links`].
    ///
    /// # Errors
    /// When a change names no link or can't happen as it is written; then nothing changes. When a worker does not
    /// answer.
    pub fn play(&self, changes: &[Change]) -> io::Result<()> {
        let divided = self.shards.divide(changes).map_err(|link| self.no_such_link(link))?;
        self.order(divided.into_iter().map(Order::Play).enumerate())
    }

    /// Ends the timeline: links do what they did at the start, but for what [`alter`](Self::alter) changed.
    ///
    /// # Errors
    /// When a worker does not answer.
    pub fn rest(&self) -> io::Result<()> {
        self.order(self.shards.workers().map(|worker| (worker, Order::Rest)))
    }

    /// What each link does now, in the order of [`Network::links`].
    ///
    /// # Errors
    /// When a worker does not answer.
    pub fn profiles(&self) -> io::Result<Vec<Profile>> {
        let answers = self.ask_all(Command::Profiles)?;
        let mut profiles = vec![Profile::default(); self.shards.link_count()];
        for (worker, answer) in answers.into_iter().enumerate() {
            for (link, profile) in self.shards.links(worker).iter().zip(answer) {
                profiles[*link] = profile;
            }
        }
        Ok(profiles)
    }

    fn no_such_link(&self, link: usize) -> io::Error {
        let links = self.shards.link_count();
        let text = format!("link {link}: there are {links} links, counted from 0");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    }

    /// Gives orders to workers, all at once, and waits until they are carried out.
    fn order(&self, orders: impl Iterator<Item = (usize, Order)>) -> io::Result<()> {
        let mut answers = Vec::new();
        for (worker, order) in orders {
            let (answer, answered) = mpsc::sync_channel(1);
            self.hands[worker].tell(Command::Change(order, answer))?;
            answers.push(answered);
        }
        for outcome in collect(answers)? {
            outcome.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        }
        Ok(())
    }

    /// Asks all workers the same, at the same time.
    fn ask_all<T>(&self, question: impl Fn(SyncSender<T>) -> Command) -> Result<Vec<T>, Silence> {
        let mut answers = Vec::with_capacity(self.hands.len());
        for hand in &self.hands {
            let (answer, answered) = mpsc::sync_channel(1);
            hand.tell(question(answer))?;
            answers.push(answered);
        }
        collect(answers)
    }

    /// Stops the workers, drops what is in flight, removes all devices and returns the last state.
    pub fn stop(mut self) -> Snapshot {
        let mut last = self.snapshot();
        if let Err(error) = self.shut_down() {
            last.failure = Some(error.to_string());
        }
        last
    }

    fn shut_down(&mut self) -> io::Result<()> {
        let mut outcome = Ok(());
        for hand in &self.hands {
            // A worker that has ended already needs no order.
            let _ = hand.insist(Command::Stop);
        }
        for thread in self.hands.iter_mut().filter_map(|hand| hand.thread.take()) {
            let ended = thread.join().unwrap_or_else(|_| Err(io::Error::other("a worker panicked")));
            outcome = outcome.and(ended);
        }
        if let Some(taps) = Arc::get_mut(&mut self.taps) {
            close_in_parallel(std::mem::take(taps));
        }
        outcome
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // An error here was seen by `stop`, or by `snapshot` as a failure.
        let _ = self.shut_down();
    }
}

/// Waits for all answers, for as long as one may take.
fn collect<T>(answers: Vec<Receiver<T>>) -> Result<Vec<T>, Silence> {
    let deadline = Instant::now() + ANSWER_WAIT;
    let wait = |answer: Receiver<T>| {
        let left = deadline.saturating_duration_since(Instant::now());
        answer.recv_timeout(left).map_err(|error| match error {
            RecvTimeoutError::Timeout => Silence::TooLong,
            RecvTimeoutError::Disconnected => Silence::Ended,
        })
    };
    answers.into_iter().map(wait).collect()
}

/// A panic while the lock was held leaves figures that are old, not wrong.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn close_in_parallel(taps: Vec<File>) {
    let share = taps.len().div_ceil(CLOSERS_MAX).max(1);
    let mut taps = taps.into_iter();
    thread::scope(|scope| {
        loop {
            let batch: Vec<File> = taps.by_ref().take(share).collect();
            if batch.is_empty() {
                break;
            }
            // Where no thread is to be had, the closure and with it the batch is dropped here: slower, no worse.
            let _ = thread::Builder::new().spawn_scoped(scope, move || drop(batch));
        }
    });
}

/// Puts the reports of all workers together.
fn enter_reports(snapshot: &mut Snapshot, shards: &Shards, reports: Vec<Report>) {
    let mut fresh = Snapshot {
        by_delay: snapshot.by_delay.iter().map(emptied).collect(),
        devices: snapshot.devices.clone(),
        links: std::mem::take(&mut snapshot.links),
        ..Snapshot::default()
    };
    for device in &mut fresh.devices {
        (device.refused, device.failure) = (0, None);
    }
    for (number, report) in reports.into_iter().enumerate() {
        enter_report(&mut fresh, shards.links(number), report);
    }
    for group in &fresh.by_delay {
        fresh.lateness = fresh.lateness.merged(&group.lateness);
    }
    *snapshot = Snapshot {
        data_path: std::mem::take(&mut snapshot.data_path),
        offload: std::mem::take(&mut snapshot.offload),
        timer: std::mem::take(&mut snapshot.timer),
        seed: snapshot.seed,
        failure: snapshot.failure.take(),
        ..fresh
    };
}

fn emptied(group: &DelayLateness) -> DelayLateness {
    DelayLateness { delay_ns: group.delay_ns, lateness: Lateness::default() }
}

fn enter_report(snapshot: &mut Snapshot, links: &[usize], report: Report) {
    let add = |sum: &mut Tally, part: Tally| sum.add(part.packets, part.bytes);
    report.scheduling.clone_into(&mut snapshot.scheduling);
    snapshot.elapsed_s = snapshot.elapsed_s.max(report.elapsed_ns as f64 / 1e9);
    snapshot.cpu_s += report.worker.cpu_s;
    snapshot.workers.push(report.worker);
    snapshot.frames += report.totals.frames;
    add(&mut snapshot.packets, report.totals.packets);
    add(&mut snapshot.unshaped, report.totals.unshaped);
    add(&mut snapshot.unknown, report.totals.unknown);
    snapshot.full_reads += report.full_reads;
    snapshot.read_wait = snapshot.read_wait.merged(&report.read_wait);
    for (group, lateness) in snapshot.by_delay.iter_mut().zip(&report.by_delay) {
        group.lateness = group.lateness.merged(lateness);
    }
    for ((link, account), late_max_ns) in links.iter().zip(&report.accounts).zip(&report.link_max) {
        snapshot.links[*link].enter(account);
        snapshot.links[*link].late_max_ns = *late_max_ns;
    }
    let devices = snapshot.devices.iter_mut().zip(report.refused).zip(report.failures);
    for ((device, refused), failure) in devices {
        device.refused += refused;
        device.failure = device.failure.take().or(failure);
    }
}
