//! The behaviour of a link at one moment.

use serde::{Deserialize, Serialize};
use std::fmt;
use units::{Delay, Percent, Rate, Size};

/// What a link does to packets, one way. Packets meet, in this order: the cut, losses and other mishaps, the queue
/// and the rate, the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// One-way delay, beside the time that the rate costs.
    pub delay: Delay,
    /// How the delay of single packets differs from that.
    pub jitter: Option<Jitter>,
    /// Rate of the bottleneck, unlimited when absent. Counts the bytes of IP packets + 14 each, as `tc` does on
    /// Ethernet.
    pub rate: Option<Rate>,
    /// Which packets are lost.
    pub loss: LossModel,
    /// What one loss takes.
    pub loss_unit: LossUnit,
    /// Share of packets that pass without delay, and so overtake others.
    pub reorder: Percent,
    /// Share of packets that are delivered twice.
    pub duplicate: Percent,
    /// Share of packets of which one bit is flipped.
    pub corrupt: Percent,
    /// What waits for the bottleneck. Unused without a rate.
    pub queue: Queue,
    /// Whether the queue marks packets that allow it (ECN, RFC 3168) where it would else drop them: `CoDel` instead of
    /// each of its drops, drop-tail from half its room on.
    pub ecn: bool,
    /// Whether nothing passes at all.
    pub cut: bool,
}

impl Default for Profile {
    /// No delay, no limit, no mishaps; a drop-tail queue with room for 1,000 full Ethernet frames.
    fn default() -> Self {
        Self {
            delay: Delay::ZERO,
            jitter: None,
            rate: None,
            loss: LossModel::default(),
            loss_unit: LossUnit::Packet,
            reorder: Percent::NONE,
            duplicate: Percent::NONE,
            corrupt: Percent::NONE,
            queue: Queue::default(),
            ecn: false,
            cut: false,
        }
    }
}

/// Random variation of the delay. A packet is never early by more than the delay itself, and overtakes no other unless
/// `reorder` is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jitter {
    /// Uniform: the most by which the delay differs either way. Normal and Pareto: its standard deviation.
    pub spread: Delay,
    /// The distribution; its mean is the link's delay.
    #[serde(default)]
    pub shape: JitterShape,
    /// How much a packet's variation resembles that of the packet before: 0 % not at all, 100 % wholly.
    #[serde(default)]
    pub correlation: Percent,
    /// Whether a packet may overtake those before it, as under kernel netem.
    #[serde(default)]
    pub reorder: bool,
}

/// The distribution of a jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JitterShape {
    /// All values within the spread alike.
    #[default]
    Uniform,
    /// The bell curve.
    Normal,
    /// Rare large delays: a Pareto distribution of shape 3, shifted to the mean and scaled to the spread.
    Pareto,
}

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossModel {
    /// Each packet with this probability, independently of all others.
    Independent(Percent),
    /// Bursts: the link is in a good or a bad state and may change it with every packet (Gilbert 1960, Elliott 1963).
    GilbertElliott {
        /// Probability of turning bad, per packet (p).
        to_bad: Percent,
        /// Probability of turning good, per packet (r).
        to_good: Percent,
        /// Loss in the bad state (1 - h).
        bad: Percent,
        /// Loss in the good state (1 - k).
        good: Percent,
    },
}

impl Default for LossModel {
    /// No losses.
    fn default() -> Self {
        Self::Independent(Percent::NONE)
    }
}

impl LossModel {
    /// The share of packets lost in the long run, as a fraction.
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Independent(share) => share.fraction(),
            Self::GilbertElliott { to_bad, to_good, bad, good } => {
                let changes = to_bad.fraction() + to_good.fraction();
                // A link that never changes stays in the good state, where it begins.
                let in_bad = if changes > 0.0 { to_bad.fraction() / changes } else { 0.0 };
                in_bad * bad.fraction() + (1.0 - in_bad) * good.fraction()
            }
        }
    }

    /// The share lost if losses are independent.
    pub const fn independent(&self) -> Option<Percent> {
        match self {
            Self::Independent(share) => Some(*share),
            Self::GilbertElliott { .. } => None,
        }
    }

    /// Whether nothing is ever lost.
    pub fn is_none(&self) -> bool {
        self.mean() == 0.0
    }
}

impl fmt::Display for LossModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Independent(share) => share.fmt(f),
            Self::GilbertElliott { to_bad, to_good, bad, good } => {
                write!(f, "bursts (to bad {to_bad}, to good {to_good}, loss {bad} and {good})")
            }
        }
    }
}

/// What one loss takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossUnit {
    /// One packet on the wire, as radios and cables lose them.
    #[default]
    Packet,
    /// What the kernel handed over at once, up to 64 KiB of segments, as kernel netem loses them.
    Skb,
}

/// What waits for the bottleneck. Packets that serve their delay take no room in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its room; what finds it full is dropped.
    pub limit: Limit,
    /// What else is dropped.
    #[serde(default)]
    pub discipline: Discipline,
}

/// Room of a queue. An idle link takes any packet, however large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Packets on the wire.
    Packets(u32),
    /// Bytes on the wire.
    Bytes(Size),
    /// The time that the last packet would wait.
    Time(Delay),
}

impl Default for Limit {
    /// Room for 1,000 full Ethernet frames.
    fn default() -> Self {
        Self::Bytes(Size::from_bytes(1000 * 1514))
    }
}

impl Limit {
    /// Its room in bytes before a bottleneck of `rate`, a packet taken for a full Ethernet frame.
    pub const fn bytes_at(self, rate: Rate) -> u64 {
        match self {
            Self::Packets(count) => count as u64 * 1514,
            Self::Bytes(size) => size.bytes(),
            Self::Time(time) => rate.bytes_in(time.nanos()),
        }
    }
}

/// Which waiting packets are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discipline {
    /// Those that find the queue full.
    #[default]
    DropTail,
    /// Beside these, one now and then while packets wait longer than `target` for an `interval` (RFC 8289).
    Codel {
        /// The wait that is acceptable; 5 ms by default.
        target: Delay,
        /// About the longest round trip of the flows; 100 ms by default.
        interval: Delay,
    },
}

impl Discipline {
    /// `CoDel` with the figures of RFC 8289: a target of 5 ms, an interval of 100 ms.
    pub const CODEL: Self = Self::Codel { target: Delay::from_millis(5), interval: Delay::from_millis(100) };
}

/// Who shares the rate and the queue of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Nobody: each ordered pair of hosts has them for itself, as E2Clab means it.
    #[default]
    Pair,
    /// All that one source host sends under the rule, as behind one uplink.
    Host,
    /// All pairs of the rule, both directions of a symmetric one, as in one radio cell.
    Group,
}

/// A TCP congestion control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Congestion {
    /// RFC 9438, the default of Linux.
    Cubic,
    /// Google's BBR as the kernel has it.
    Bbr,
    /// RFC 5681.
    Reno,
}

impl Share {
    /// Its name in the network file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Host => "host",
            Self::Group => "group",
        }
    }
}

impl Congestion {
    /// The kernel's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Reno => "reno",
        }
    }
}
