//! What the emulator knows of itself, as values that can be written into a run folder.

mod lateness;
mod violations;

pub use lateness::Lateness;

use crate::model::link::Account;
use serde::{Deserialize, Serialize};

/// A number of wire packets and their bytes (IP packet + 14 bytes of Ethernet header each).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Wire packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Tally {
    /// Adds `packets` packets of `bytes` bytes in all.
    pub const fn add(&mut self, packets: u64, bytes: u64) {
        self.packets += packets;
        self.bytes += bytes;
    }

    /// Takes `packets` packets of `bytes` bytes in all away; there must be as many.
    pub(crate) const fn take(&mut self, packets: u64, bytes: u64) {
        self.packets -= packets;
        self.bytes -= bytes;
    }

    const fn since(self, earlier: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(earlier.packets),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

/// How late the packets of all links of about the same delay left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DelayLateness {
    /// The delay that these links were given at the start, nanoseconds; the shortest where very many delays had to be
    /// put together.
    pub delay_ns: u64,
    /// How late their packets left.
    pub lateness: Lateness,
}

/// One link: what entered it and what became of it. At all times `entered` and `duplicated` together are the sum of
/// `delivered`, `lost`, `cut`, `queue_dropped`, `codel_dropped`, `memory_dropped` and `queued`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkSnapshot {
    /// Name of the sending node.
    pub source: String,
    /// Name of the receiving node.
    pub destination: String,
    /// The one-way delay asked for at the start, nanoseconds.
    pub delay_ns: u64,
    /// Packets that entered.
    pub entered: Tally,
    /// Second copies, made by the link.
    pub duplicated: Tally,
    /// Packets handed to the destination's device.
    pub delivered: Tally,
    /// Packets that the loss model took.
    pub lost: Tally,
    /// Packets that came while the link was cut.
    pub cut: Tally,
    /// Packets that found the bottleneck queue full.
    pub queue_dropped: Tally,
    /// Packets that `CoDel` dropped.
    pub codel_dropped: Tally,
    /// Packets dropped because the emulator's memory for packets in flight was used up: not a property of the
    /// network asked for.
    pub memory_dropped: Tally,
    /// Packets in flight.
    pub queued: Tally,
    /// Packets of which a bit was flipped; they count elsewhere too.
    pub corrupted: Tally,
    /// Packets marked instead of dropped (ECN); they count elsewhere too.
    pub marked: Tally,
    /// Packets that were let pass others; they count elsewhere too.
    pub reordered: Tally,
    /// The latest that any packet left, nanoseconds; always since the start of the emulator.
    pub late_max_ns: u64,
}

impl LinkSnapshot {
    /// What left the link or is still in it.
    pub fn accounted(&self) -> Tally {
        let mut sum = Tally::default();
        for part in [
            self.delivered,
            self.lost,
            self.cut,
            self.queue_dropped,
            self.codel_dropped,
            self.memory_dropped,
            self.queued,
        ] {
            sum.add(part.packets, part.bytes);
        }
        sum
    }

    pub(crate) const fn enter(&mut self, account: &Account) {
        self.entered = account.entered;
        self.duplicated = account.duplicated;
        self.delivered = account.delivered;
        self.lost = account.lost;
        self.cut = account.cut;
        self.queue_dropped = account.queue_dropped;
        self.codel_dropped = account.codel_dropped;
        self.memory_dropped = account.memory_dropped;
        self.queued = account.queued;
        self.corrupted = account.corrupted;
        self.marked = account.marked;
        self.reordered = account.reordered;
    }

    /// What happened after `earlier`; what is in flight stays what it is.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            entered: self.entered.since(earlier.entered),
            duplicated: self.duplicated.since(earlier.duplicated),
            delivered: self.delivered.since(earlier.delivered),
            lost: self.lost.since(earlier.lost),
            cut: self.cut.since(earlier.cut),
            queue_dropped: self.queue_dropped.since(earlier.queue_dropped),
            codel_dropped: self.codel_dropped.since(earlier.codel_dropped),
            memory_dropped: self.memory_dropped.since(earlier.memory_dropped),
            corrupted: self.corrupted.since(earlier.corrupted),
            marked: self.marked.since(earlier.marked),
            reordered: self.reordered.since(earlier.reordered),
            ..self.clone()
        }
    }
}

/// One node's device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceSnapshot {
    /// Name of the node.
    pub node: String,
    /// TCP congestion control on the device's routes.
    pub congestion: String,
    /// Frames from the host that the kernel dropped because the emulator did not read them in time.
    pub transmit_dropped: u64,
    /// Frames to the host that the kernel dropped.
    pub receive_dropped: u64,
    /// Frames that the device would not take from the emulator.
    pub refused: u64,
    /// Why the device is no longer served, if so.
    pub failure: Option<String>,
}

impl DeviceSnapshot {
    /// Frames that the emulated network would not have dropped.
    pub const fn dropped(&self) -> u64 {
        self.transmit_dropped + self.receive_dropped + self.refused
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            transmit_dropped: self.transmit_dropped.saturating_sub(earlier.transmit_dropped),
            receive_dropped: self.receive_dropped.saturating_sub(earlier.receive_dropped),
            refused: self.refused.saturating_sub(earlier.refused),
            ..self.clone()
        }
    }
}

/// One worker thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerSnapshot {
    /// CPU time it has used, seconds. Includes the receiving hosts' network stacks, which run in its writes.
    pub cpu_s: f64,
    /// Time during which it could have run but got no CPU, seconds; 0 where the kernel does not tell.
    pub stalled_s: f64,
    /// Devices that it reads.
    pub devices: usize,
    /// Links that it keeps.
    pub links: usize,
}

/// The state of an [`Emulator`](crate::Emulator). All counts are since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// How packets travel: `tap+vnet_hdr` or `veth+af_packet+vnet_hdr`.
    pub data_path: String,
    /// The offloads granted to every device: `csum+tso+uso`, `csum+tso`, `csum`, `none`.
    pub offload: String,
    /// How deadlines are kept: `epoll_pwait2` or `timerfd`.
    pub timer: String,
    /// How the workers are scheduled: `SCHED_FIFO 10` or `SCHED_OTHER`.
    pub scheduling: String,
    /// The seed of all randomness.
    pub seed: u64,
    /// Time since the start, seconds.
    pub elapsed_s: f64,
    /// CPU time of all workers, seconds.
    pub cpu_s: f64,
    /// The workers.
    pub workers: Vec<WorkerSnapshot>,
    /// Frames read from devices, super-packets counted once.
    pub frames: u64,
    /// Wire packets read from devices.
    pub packets: Tally,
    /// Wire packets that passed without a link.
    pub unshaped: Tally,
    /// Packets to addresses that no node has (IPv6 housekeeping, mostly), dropped.
    pub unknown: Tally,
    /// Times that a device had more frames waiting than are read in one go: many of these at a high CPU time
    /// mean that packets waited to be read.
    pub full_reads: u64,
    /// How late the packets of links left: the time of the write to the destination's device, minus the time they were
    /// due, plus the longest that they may have waited to be read.
    pub lateness: Lateness,
    /// The same by the delay of the links, ascending.
    pub by_delay: Vec<DelayLateness>,
    /// The longest that wire packets may have waited in their device to be read; of all packets, with or without a
    /// link. An upper bound: the time since the device was last known to be empty.
    pub read_wait: Lateness,
    /// The links, in the order of [`Network::links`](crate::Network::links).
    pub links: Vec<LinkSnapshot>,
    /// The devices, in the order of [`Network::nodes`](crate::Network::nodes).
    pub devices: Vec<DeviceSnapshot>,
    /// Why the emulator no longer works, if so; the figures are then the last known.
    pub failure: Option<String>,
}

impl Snapshot {
    /// What happened between `earlier` and `self`. Packets in flight are those of `self`, so that the sum over
    /// a link holds from the start only.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        difference.elapsed_s -= earlier.elapsed_s;
        difference.cpu_s -= earlier.cpu_s;
        for (worker, before) in difference.workers.iter_mut().zip(&earlier.workers) {
            worker.cpu_s -= before.cpu_s;
            worker.stalled_s -= before.stalled_s;
        }
        difference.frames = self.frames.saturating_sub(earlier.frames);
        difference.packets = self.packets.since(earlier.packets);
        difference.unshaped = self.unshaped.since(earlier.unshaped);
        difference.unknown = self.unknown.since(earlier.unknown);
        difference.full_reads = self.full_reads.saturating_sub(earlier.full_reads);
        difference.lateness = self.lateness.since(&earlier.lateness);
        for (group, before) in difference.by_delay.iter_mut().zip(&earlier.by_delay) {
            group.lateness = group.lateness.since(&before.lateness);
        }
        difference.read_wait = self.read_wait.since(&earlier.read_wait);
        for (link, before) in difference.links.iter_mut().zip(&earlier.links) {
            *link = link.since(before);
        }
        for (device, before) in difference.devices.iter_mut().zip(&earlier.devices) {
            *device = device.since(before);
        }
        difference
    }
}
