//! The emulator's account of itself, `fogline/network.json`, as far as the report shows it.

use serde::Deserialize;

/// The emulator's account. What an earlier version did not write counts as nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Account {
    /// How packets travelled.
    pub(crate) data_path: String,
    /// Offloads in use.
    pub(crate) offload: String,
    /// How deadlines were kept.
    pub(crate) timer: String,
    /// Scheduling of the workers.
    pub(crate) scheduling: String,
    /// Seed of all randomness.
    pub(crate) seed: u64,
    /// CPU time of all workers, seconds.
    pub(crate) cpu_s: f64,
    /// Time of the run, seconds.
    pub(crate) elapsed_s: f64,
    /// The workers.
    pub(crate) workers: Vec<Worker>,
    /// Lateness of all links.
    pub(crate) lateness: Lateness,
    /// The same by the delay of links.
    pub(crate) by_delay: Vec<DelayLateness>,
    /// Links.
    pub(crate) links: Vec<Packets>,
    /// Devices.
    pub(crate) devices: Vec<Device>,
    /// Packets that passed without a link.
    pub(crate) unshaped: Tally,
}

/// One worker thread.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Worker {
    /// CPU time, seconds.
    pub(crate) cpu_s: f64,
    /// Time without CPU although there was work, seconds.
    pub(crate) stalled_s: f64,
}

/// How late packets left, nanoseconds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Lateness {
    pub(crate) count: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) max_ns: u64,
}

/// How late packets of links of one delay left.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DelayLateness {
    pub(crate) delay_ns: u64,
    pub(crate) lateness: Lateness,
}

/// What became of the packets of one link, or of several together.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Packets {
    pub(crate) entered: Tally,
    pub(crate) duplicated: Tally,
    pub(crate) delivered: Tally,
    pub(crate) lost: Tally,
    pub(crate) cut: Tally,
    pub(crate) queue_dropped: Tally,
    pub(crate) codel_dropped: Tally,
    pub(crate) memory_dropped: Tally,
    pub(crate) corrupted: Tally,
    pub(crate) marked: Tally,
    pub(crate) reordered: Tally,
}

/// A number of packets.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tally {
    pub(crate) packets: u64,
}

/// One host's device: frames that the network asked for would not have dropped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Device {
    pub(crate) node: String,
    pub(crate) transmit_dropped: u64,
    pub(crate) receive_dropped: u64,
    pub(crate) refused: u64,
}

impl Device {
    pub(crate) const fn dropped(&self) -> u64 {
        self.transmit_dropped + self.receive_dropped + self.refused
    }
}

impl Packets {
    /// Adds those of another link.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.entered.packets += other.entered.packets;
        self.duplicated.packets += other.duplicated.packets;
        self.delivered.packets += other.delivered.packets;
        self.lost.packets += other.lost.packets;
        self.cut.packets += other.cut.packets;
        self.queue_dropped.packets += other.queue_dropped.packets;
        self.codel_dropped.packets += other.codel_dropped.packets;
        self.memory_dropped.packets += other.memory_dropped.packets;
        self.corrupted.packets += other.corrupted.packets;
        self.marked.packets += other.marked.packets;
        self.reordered.packets += other.reordered.packets;
    }

    /// The counts by name, in the order of a packet's way.
    pub(crate) const fn named(&self) -> [(&'static str, u64); 11] {
        [
            ("entered", self.entered.packets),
            ("duplicated", self.duplicated.packets),
            ("delivered", self.delivered.packets),
            ("lost by model", self.lost.packets),
            ("cut", self.cut.packets),
            ("queue full", self.queue_dropped.packets),
            ("CoDel", self.codel_dropped.packets),
            ("memory full", self.memory_dropped.packets),
            ("corrupted", self.corrupted.packets),
            ("ECN marked", self.marked.packets),
            ("reordered", self.reordered.packets),
        ]
    }
}
