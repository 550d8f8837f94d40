//! The handle of a running emulation.

use crate::device::Probe;
use crate::model::fabric::{Endpoint, Fabric};
use crate::sys;
use crate::worker::{Command, Report, Worker};
use crate::{DeviceSnapshot, Lateness, LinkSnapshot, Network, Snapshot};
use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use units::Size;

/// How long a report of the worker may take. It comes within microseconds unless the machine is overwhelmed.
const REPORT_WAIT: Duration = Duration::from_secs(2);

/// Threads that close devices. The kernel takes some 30 ms for each, mostly waiting.
const CLOSERS_MAX: usize = 64;

/// Limits of an [`Emulator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmulatorOptions {
    /// Memory for packets in flight. A packet that finds it used up is dropped and counted.
    pub memory: Size,
}

impl Default for EmulatorOptions {
    /// 256 MiB.
    fn default() -> Self {
        Self { memory: Size::from_bytes(256 << 20) }
    }
}

/// A running emulation. Dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    commands: Sender<Command>,
    wake: Arc<File>,
    worker: Option<JoinHandle<io::Result<Vec<File>>>>,
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
        let Network { nodes, links, seed } = network;
        let mut endpoints = Vec::with_capacity(nodes.len());
        let mut taps = Vec::with_capacity(nodes.len());
        let mut probes = Vec::with_capacity(nodes.len());
        for node in nodes {
            let addresses = vec![node.address.into(), node.device.link_local().into()];
            let (mac, broadcast) = (node.device.mac(), node.device.broadcast());
            endpoints.push(Endpoint { name: node.name.clone(), mac, addresses, broadcast });
            let (tap, probe) = node.device.split(node.name);
            taps.push(tap);
            probes.push(probe);
        }
        let memory = usize::try_from(options.memory.bytes()).unwrap_or(usize::MAX);
        let fabric = Fabric::new(endpoints, &links, seed, memory)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut last = first_snapshot(&fabric, &probes, seed);
        let wake = Arc::new(sys::event_counter()?);
        let (commands, orders) = mpsc::channel();
        let worker = Worker::new(fabric, taps, Arc::clone(&wake), orders)?;
        last.timer = worker.timer_name().to_owned();
        let worker = thread::Builder::new().name("netem".to_owned()).spawn(move || worker.run())?;
        Ok(Self { commands, wake, worker: Some(worker), probes: Mutex::new(probes), last: Mutex::new(last) })
    }

    /// What the emulation has done so far. The figures of the links are of one moment; the kernel's counters of
    /// the devices are read right after.
    pub fn snapshot(&self) -> Snapshot {
        let report = self.ask();
        let mut last = locked(&self.last);
        match report {
            Ok(report) => enter_report(&mut last, report),
            Err(failure) => last.failure = Some(failure.to_owned()),
        }
        for (device, probe) in last.devices.iter_mut().zip(locked(&self.probes).iter_mut()) {
            match probe.drops() {
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

    fn ask(&self) -> Result<Report, &'static str> {
        let (answer, answered) = mpsc::sync_channel(1);
        let asked = self.commands.send(Command::Report(answer)).is_ok();
        if !asked || self.wake_worker().is_err() {
            return Err("the worker has ended");
        }
        answered.recv_timeout(REPORT_WAIT).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => "the worker did not answer within 2 s",
            mpsc::RecvTimeoutError::Disconnected => "the worker has ended",
        })
    }

    fn wake_worker(&self) -> io::Result<()> {
        (&*self.wake).write_all(&1_u64.to_ne_bytes())
    }

    /// Stops the worker, drops what is in flight, removes all devices and returns the last state.
    pub fn stop(mut self) -> Snapshot {
        let mut last = self.snapshot();
        if let Err(error) = self.shut_down() {
            last.failure = Some(error.to_string());
        }
        last
    }

    fn shut_down(&mut self) -> io::Result<()> {
        let Some(worker) = self.worker.take() else { return Ok(()) };
        // A worker that has ended already needs no order.
        if self.commands.send(Command::Stop).is_ok() {
            self.wake_worker()?;
        }
        let taps = worker.join().map_err(|_| io::Error::other("the worker panicked"))??;
        close_in_parallel(taps);
        Ok(())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // An error here was seen by `stop`, or by `snapshot` as a failure.
        let _ = self.shut_down();
    }
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

fn first_snapshot(fabric: &Fabric, probes: &[Probe], seed: u64) -> Snapshot {
    let links = fabric.links().map(|(source, destination, profile)| LinkSnapshot {
        source: source.to_owned(),
        destination: destination.to_owned(),
        delay_ns: profile.delay.nanos(),
        ..LinkSnapshot::default()
    });
    let mut offloads: Vec<&str> = probes.iter().map(|probe| probe.offload).collect();
    offloads.sort_unstable();
    offloads.dedup();
    Snapshot {
        data_path: "tap+vnet_hdr".to_owned(),
        offload: offloads.join(", "),
        seed,
        links: links.collect(),
        devices: probes
            .iter()
            .map(|probe| DeviceSnapshot {
                node: probe.node.clone(),
                congestion: probe.congestion.clone(),
                ..DeviceSnapshot::default()
            })
            .collect(),
        ..Snapshot::default()
    }
}

fn enter_report(snapshot: &mut Snapshot, report: Report) {
    snapshot.scheduling = report.scheduling.to_owned();
    snapshot.elapsed_s = report.elapsed_ns as f64 / 1e9;
    snapshot.cpu_s = report.cpu_ns as f64 / 1e9;
    snapshot.frames = report.totals.frames;
    snapshot.packets = report.totals.packets;
    snapshot.unshaped = report.totals.unshaped;
    snapshot.unknown = report.totals.unknown;
    snapshot.full_reads = report.full_reads;
    snapshot.lateness = Lateness::from_buckets(report.lateness, report.lateness_max_ns);
    for (link, account) in snapshot.links.iter_mut().zip(report.accounts) {
        link.entered = account.entered;
        link.delivered = account.delivered;
        link.duplicated = account.duplicated;
        link.lost = account.lost;
        link.cut = account.cut;
        link.queue_dropped = account.queue_dropped;
        link.codel_dropped = account.codel_dropped;
        link.memory_dropped = account.memory_dropped;
        link.queued = account.queued;
        link.corrupted = account.corrupted;
        link.marked = account.marked;
        link.reordered = account.reordered;
    }
    let devices = snapshot.devices.iter_mut().zip(report.refused).zip(report.failures);
    for ((device, refused), failure) in devices {
        device.refused = refused;
        device.failure = failure;
    }
}
