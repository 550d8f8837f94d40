//! What is inside a link's class: delay, mishaps and the queue.

use super::script::FRAME;
use super::{NETEMS, QUEUES};
use link::{Discipline, Jitter, JitterShape, Limit, LossModel, Profile};
use units::{Delay, Percent, Rate};

/// Largest super-packet of the kernel's, Ethernet header included, bytes.
const SUPER_PACKET: u64 = 65_550;
/// Shortest packet on the wire that fills a delay line, bytes.
const SHORTEST: u128 = 60;
/// Packets that may always be in a delay line: the kernel's own default.
const DELAYED_MIN: u128 = 1000;
/// What a link without a rate is taken to carry, bit/s, and in packets of what length, to bound its delay line.
const FASTEST: (u128, u128) = (10_000_000_000, FRAME as u128);
/// A rate that takes no time but has `netem` keep the order of packets whose delays differ.
const IN_ORDER: &str = "rate 1000gbit";

/// The disciplines inside a class.
#[derive(Debug)]
pub(super) struct Leaf {
    netem: Option<String>,
    queue: Option<String>,
    needs_packets: bool,
    mishaps: bool,
    duplicates: bool,
}

/// What of a profile the kernel cannot do, and why.
pub(super) const fn obstacle(profile: &Profile) -> Option<(&'static str, &'static str)> {
    if profile.ecn && profile.rate.is_some() && matches!(profile.queue.discipline, Discipline::DropTail) {
        return Some(("ecn", "it marks packets with `queue: codel` only"));
    }
    None
}

impl Leaf {
    pub(super) fn new(profile: &Profile, seed: Option<u64>) -> Self {
        if profile.cut {
            let queue = Some("blackhole".to_owned());
            return Self { netem: None, queue, needs_packets: false, mishaps: false, duplicates: false };
        }
        let queue = profile.rate.map(|rate| queue(profile, rate));
        let needs_packets = profile.rate.is_some_and(|rate| is_fine(profile, rate));
        let delays = profile.delay != Delay::ZERO || profile.jitter.is_some();
        let reorders = delays && profile.reorder != Percent::NONE;
        let mishaps =
            !profile.loss.is_none() || profile.duplicate != Percent::NONE || profile.corrupt != Percent::NONE;
        let netem = (delays || mishaps).then(|| netem(profile, seed));
        let duplicates = profile.duplicate != Percent::NONE;
        Self { netem, queue, needs_packets, mishaps: mishaps || reorders, duplicates }
    }

    /// The commands that make them in class `1:class`.
    pub(super) fn lines(&self, device: &str, class: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut parent = format!("1:{class:x}");
        if let Some(netem) = &self.netem {
            let handle = NETEMS + class;
            lines.push(format!("tc qdisc add dev {device} parent {parent} handle {handle:x}: {netem}"));
            parent = format!("{handle:x}:1");
        }
        // A class that neither delays nor queues has a queue all the same, which counts its packets.
        let counting = (self.netem.is_none() && self.queue.is_none()).then_some("pfifo limit 10000");
        if let Some(queue) = self.queue.as_deref().or(counting) {
            let handle = QUEUES + class;
            lines.push(format!("tc qdisc add dev {device} parent {parent} handle {handle:x}: {queue}"));
        }
        lines
    }

    pub(super) const fn has_netem(&self) -> bool {
        self.netem.is_some()
    }

    pub(super) const fn has_mishaps(&self) -> bool {
        self.mishaps
    }

    pub(super) const fn duplicates(&self) -> bool {
        self.duplicates
    }

    /// Whether the room of its queue is right only when packets come one by one.
    pub(super) const fn needs_packets(&self) -> bool {
        self.needs_packets
    }
}

/// Whether one super-packet is much of the queue's room.
const fn is_fine(profile: &Profile, rate: Rate) -> bool {
    match (profile.queue.limit, profile.queue.discipline) {
        (Limit::Packets(_), Discipline::DropTail) => true,
        (limit, _) => limit.bytes_at(rate) < 2 * SUPER_PACKET,
    }
}

fn queue(profile: &Profile, rate: Rate) -> String {
    let limit = profile.queue.limit;
    let bytes = limit.bytes_at(rate).max(FRAME);
    match (profile.queue.discipline, limit) {
        (Discipline::DropTail, Limit::Packets(count)) => format!("pfifo limit {}", count.max(1)),
        (Discipline::DropTail, _) => format!("bfifo limit {bytes}b"),
        (Discipline::Codel { target, interval }, _) => {
            let ecn = if profile.ecn { "ecn" } else { "noecn" };
            let packets = bytes.div_ceil(FRAME);
            format!("codel limit {packets} target {} interval {} {ecn}", time(target), time(interval))
        }
    }
}

fn netem(profile: &Profile, seed: Option<u64>) -> String {
    let mut text = format!("netem limit {}", delay_line(profile));
    let mut add = |part: String| {
        text.push(' ');
        text.push_str(&part);
    };
    match &profile.jitter {
        Some(jitter) => add(delay(profile.delay, jitter)),
        None if profile.delay != Delay::ZERO => add(format!("delay {}", time(profile.delay))),
        None => {}
    }
    match &profile.loss {
        loss if loss.is_none() => {}
        LossModel::Independent(share) => add(format!("loss random {}", percent(*share))),
        LossModel::GilbertElliott { to_bad, to_good, bad, good } => {
            let [to_bad, to_good, bad, good] = [to_bad, to_good, bad, good].map(|share| percent(*share));
            add(format!("loss gemodel {to_bad} {to_good} {bad} {good}"));
        }
    }
    for (name, share) in [("duplicate", profile.duplicate), ("corrupt", profile.corrupt)] {
        if share != Percent::NONE {
            add(format!("{name} {}", percent(share)));
        }
    }
    let delays = profile.delay != Delay::ZERO || profile.jitter.is_some();
    if delays && profile.reorder != Percent::NONE {
        add(format!("reorder {}", percent(profile.reorder)));
    }
    if profile.jitter.is_some_and(|jitter| !jitter.reorder) {
        add(IN_ORDER.to_owned());
    }
    if let Some(seed) = seed {
        add(format!("seed {seed}"));
    }
    text
}

fn delay(mean: Delay, jitter: &Jitter) -> String {
    // Without any delay `tc` takes no distribution.
    let mean = mean.max(Delay::from_nanos(1));
    let correlation = match jitter.correlation {
        Percent::NONE => String::new(),
        share => format!(" {}", percent(share)),
    };
    let distribution = match jitter.shape {
        JitterShape::Uniform => "",
        JitterShape::Normal => " distribution normal",
        JitterShape::Pareto => " distribution pareto",
    };
    format!("delay {} {}{correlation}{distribution}", time(mean), time(jitter.spread))
}

/// Packets that may be delayed at once: as many of the shortest as pass in the longest delay, and those queued, which
/// stay counted here.
fn delay_line(profile: &Profile) -> u128 {
    let spread = profile.jitter.map_or(0, |jitter| 4 * u128::from(jitter.spread.nanos()));
    let longest = u128::from(profile.delay.nanos()) + spread;
    let (rate, length) = match profile.rate {
        Some(rate) => (u128::from(rate.bits_per_s()), SHORTEST),
        None => FASTEST,
    };
    let queued = profile.rate.map_or(0, |rate| match profile.queue.limit {
        Limit::Packets(count) => u128::from(count),
        limit => u128::from(limit.bytes_at(rate)) / SHORTEST,
    });
    let delayed = (rate * longest).div_ceil(8_000_000_000 * length).max(DELAYED_MIN);
    (delayed + queued).min(u128::from(u32::MAX))
}

/// As `tc` reads it.
fn time(delay: Delay) -> String {
    let (micros, rest) = (delay.nanos() / 1000, delay.nanos() % 1000);
    if rest == 0 { format!("{micros}us") } else { format!("{micros}.{rest:03}us") }
}

fn percent(share: Percent) -> String {
    format!("{}%", f64::from(share.per_billion()) / 1e7)
}
