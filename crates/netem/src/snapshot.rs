//! What the emulator knows of itself, as values that can be written into a run folder.

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

    const fn since(self, earlier: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(earlier.packets),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

/// How late delayed packets left: time of the write to the destination's device minus the time they were due,
/// in nanoseconds, one entry per wire packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Packets measured.
    pub count: u64,
    /// Median, to 3 %.
    pub p50_ns: u64,
    /// 90th percentile, to 3 %.
    pub p90_ns: u64,
    /// 99th percentile, to 3 %.
    pub p99_ns: u64,
    /// 99.9th percentile, to 3 %.
    pub p999_ns: u64,
    /// Largest, exact (of a difference of two snapshots: to 3 %).
    pub max_ns: u64,
    /// The histogram behind these: (largest value of a bucket, packets in it), empty buckets left out.
    pub buckets: Vec<(u64, u64)>,
}

impl Lateness {
    /// Summarises buckets that ascend by value.
    pub(crate) fn from_buckets(buckets: Vec<(u64, u64)>, max_ns: u64) -> Self {
        let count = buckets.iter().map(|(_, packets)| packets).sum();
        let percentile = |per_mille: u64| {
            let rank = (u128::from(count) * u128::from(per_mille)).div_ceil(1000) as u64;
            let mut below = 0;
            let reached = buckets.iter().find(|(_, packets)| {
                below += packets;
                below >= rank.max(1)
            });
            reached.map_or(0, |(value, _)| (*value).min(max_ns))
        };
        let (p50_ns, p90_ns) = (percentile(500), percentile(900));
        let (p99_ns, p999_ns) = (percentile(990), percentile(999));
        Self { count, p50_ns, p90_ns, p99_ns, p999_ns, max_ns, buckets }
    }

    /// The lateness of the packets that left after `earlier` was taken.
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |value| {
            let found = earlier.buckets.binary_search_by_key(&value, |(bound, _)| *bound);
            found.map_or(0, |position| earlier.buckets[position].1)
        };
        let buckets: Vec<_> = self
            .buckets
            .iter()
            .map(|(value, packets)| (*value, packets.saturating_sub(before(*value))))
            .filter(|(_, packets)| *packets > 0)
            .collect();
        let max_ns = buckets.last().map_or(0, |(value, _)| (*value).min(self.max_ns));
        Self::from_buckets(buckets, max_ns)
    }
}

/// One link: what entered it and what became of it. At all times `entered` + `duplicated` = `delivered` + `lost` +
/// `cut` + `queue_dropped` + `codel_dropped` + `memory_dropped` + `queued`; `corrupted`, `marked` and `reordered`
/// packets are among the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkSnapshot {
    /// Name of the sending node.
    pub source: String,
    /// Name of the receiving node.
    pub destination: String,
    /// The one-way delay asked for, nanoseconds.
    pub delay_ns: u64,
    /// Packets that entered.
    pub entered: Tally,
    /// Packets handed to the destination's device.
    pub delivered: Tally,
    /// Copies that the link made.
    pub duplicated: Tally,
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
    /// Packets in flight: in the queue and in the delay line.
    pub queued: Tally,
    /// Packets of which one bit was flipped.
    pub corrupted: Tally,
    /// Packets marked as having met congestion (ECN).
    pub marked: Tally,
    /// Packets that overtook others.
    pub reordered: Tally,
}

/// One node's device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// The state of an [`Emulator`](crate::Emulator). All counts are since its start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// How packets travel: `tap+vnet_hdr`.
    pub data_path: String,
    /// The offloads granted to every device: `csum+tso+uso`, `csum+tso`, `csum`, `none`.
    pub offload: String,
    /// How deadlines are kept: `epoll_pwait2` or `timerfd`.
    pub timer: String,
    /// How the worker is scheduled: `SCHED_FIFO 10` or `SCHED_OTHER`.
    pub scheduling: String,
    /// The seed of the losses.
    pub seed: u64,
    /// Time since the start, seconds.
    pub elapsed_s: f64,
    /// CPU time of the worker, seconds. Includes the receiving hosts' network stacks, which run in its writes.
    pub cpu_s: f64,
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
    /// How late packets left.
    pub lateness: Lateness,
    /// The links, in the order of [`Network::links`](crate::Network::links).
    pub links: Vec<LinkSnapshot>,
    /// The devices, in the order of [`Network::nodes`](crate::Network::nodes).
    pub devices: Vec<DeviceSnapshot>,
    /// Why the emulator no longer works, if so; the figures are then the last known.
    pub failure: Option<String>,
}

/// Lateness that is always forgiven, nanoseconds.
const LATENESS_FORGIVEN_NS: u64 = 1_000_000;

/// Part of a core from which on the worker is held to be overloaded.
const CPU_SHARE_MAX: f64 = 0.9;

impl Snapshot {
    /// What happened between `earlier` and `self`. Packets in flight are those of `self`, so that the sum over
    /// a link holds from the start only.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        difference.elapsed_s -= earlier.elapsed_s;
        difference.cpu_s -= earlier.cpu_s;
        difference.frames = self.frames.saturating_sub(earlier.frames);
        difference.packets = self.packets.since(earlier.packets);
        difference.unshaped = self.unshaped.since(earlier.unshaped);
        difference.unknown = self.unknown.since(earlier.unknown);
        difference.full_reads = self.full_reads.saturating_sub(earlier.full_reads);
        difference.lateness = self.lateness.since(&earlier.lateness);
        for (link, before) in difference.links.iter_mut().zip(&earlier.links) {
            link.entered = link.entered.since(before.entered);
            link.delivered = link.delivered.since(before.delivered);
            link.duplicated = link.duplicated.since(before.duplicated);
            link.lost = link.lost.since(before.lost);
            link.cut = link.cut.since(before.cut);
            link.queue_dropped = link.queue_dropped.since(before.queue_dropped);
            link.codel_dropped = link.codel_dropped.since(before.codel_dropped);
            link.corrupted = link.corrupted.since(before.corrupted);
            link.marked = link.marked.since(before.marked);
            link.reordered = link.reordered.since(before.reordered);
            link.memory_dropped = link.memory_dropped.since(before.memory_dropped);
        }
        for (device, before) in difference.devices.iter_mut().zip(&earlier.devices) {
            device.transmit_dropped = device.transmit_dropped.saturating_sub(before.transmit_dropped);
            device.receive_dropped = device.receive_dropped.saturating_sub(before.receive_dropped);
            device.refused = device.refused.saturating_sub(before.refused);
        }
        difference
    }

    /// Reasons not to trust the network, in words; none when it kept its word. Lateness counts when its 99th
    /// percentile exceeds both 1 ms and 5 % of the shortest delay in use.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts: Vec<String> =
            self.failure.iter().map(|why| format!("the emulator failed: {why}")).collect();
        let used = self.links.iter().filter(|link| link.entered.packets > 0);
        let delay_ns = used.map(|link| link.delay_ns).filter(|delay| *delay > 0).min().unwrap_or(0);
        let bound_ns = LATENESS_FORGIVEN_NS.max(delay_ns / 20);
        if self.lateness.p99_ns > bound_ns {
            doubts.push(format!(
                "packets left late: p99 {:.2} ms, bound {:.2} ms",
                self.lateness.p99_ns as f64 / 1e6,
                bound_ns as f64 / 1e6
            ));
        }
        let memory: u64 = self.links.iter().map(|link| link.memory_dropped.packets).sum();
        if memory > 0 {
            doubts.push(format!("{memory} packets dropped because too much was in flight"));
        }
        for device in &self.devices {
            let dropped = device.transmit_dropped + device.receive_dropped + device.refused;
            if dropped > 0 {
                doubts.push(format!("{dropped} frames dropped at the device of {}", device.node));
            }
            doubts.extend(
                device.failure.iter().map(|why| format!("the device of {} failed: {why}", device.node)),
            );
        }
        let share = self.cpu_s / self.elapsed_s;
        if share > CPU_SHARE_MAX {
            doubts.push(format!("the emulator used {:.0} % of a core", share * 100.0));
        }
        doubts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lateness(values: &[(u64, u64)]) -> Lateness {
        let max = values.last().map_or(0, |(value, _)| *value);
        Lateness::from_buckets(values.to_vec(), max)
    }

    fn snapshot(delay_ns: u64, late: &[(u64, u64)]) -> Snapshot {
        let entered = Tally { packets: 10, bytes: 1000 };
        let link = LinkSnapshot { delay_ns, entered, ..LinkSnapshot::default() };
        let device = DeviceSnapshot { node: "fog".to_owned(), ..DeviceSnapshot::default() };
        Snapshot {
            elapsed_s: 10.0,
            cpu_s: 1.0,
            lateness: lateness(late),
            links: vec![link],
            devices: vec![device],
            ..Snapshot::default()
        }
    }

    #[test]
    fn percentiles_are_of_the_counted_packets() {
        let lateness = lateness(&[(10, 90), (20, 9), (30, 1)]);
        assert_eq!((lateness.count, lateness.p50_ns, lateness.p90_ns), (100, 10, 10));
        assert_eq!((lateness.p99_ns, lateness.p999_ns, lateness.max_ns), (20, 30, 30));
        assert_eq!(Lateness::from_buckets(Vec::new(), 0), Lateness::default());
    }

    #[test]
    fn a_difference_forgets_what_came_before() {
        let earlier = lateness(&[(10, 5), (5_000_000, 3)]);
        let later = lateness(&[(10, 9), (40, 4), (5_000_000, 3)]);
        assert_eq!(later.since(&earlier), lateness(&[(10, 4), (40, 4)]));
    }

    #[test]
    fn a_kept_word_raises_no_doubt() {
        assert_eq!(snapshot(0, &[(900_000, 100)]).doubts(), [""; 0]);
        assert_eq!(snapshot(50_000_000, &[(2_400_000, 100)]).doubts(), [""; 0], "5 % of 50 ms are 2.5 ms");
    }

    #[test]
    fn each_broken_promise_is_named() {
        let late = snapshot(50_000_000, &[(10, 98), (2_600_000, 2)]);
        assert_eq!(late.doubts(), ["packets left late: p99 2.60 ms, bound 2.50 ms"]);
        let mut broken = snapshot(0, &[]);
        broken.cpu_s = 9.5;
        broken.links[0].memory_dropped.packets = 4;
        broken.devices[0].transmit_dropped = 7;
        broken.devices[0].failure = Some("gone".to_owned());
        broken.failure = Some("the worker has ended".to_owned());
        assert_eq!(
            broken.doubts(),
            [
                "the emulator failed: the worker has ended",
                "4 packets dropped because too much was in flight",
                "7 frames dropped at the device of fog",
                "the device of fog failed: gone",
                "the emulator used 95 % of a core",
            ]
        );
    }
}
