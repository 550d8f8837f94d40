//! What measuring finds, as values that are written into a run folder.

use link::JitterShape;
use serde::{Deserialize, Serialize};

/// Whether a measurement confirms what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Within,
    /// It contradicts it.
    Outside,
    /// It does neither: too few packets, or the sender could not offer enough.
    Unclear,
}

/// What was asked of one rule, and what its links do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleMeasurement {
    /// The rule's name: `cloud-fog`.
    pub rule: String,
    /// Source selector as written.
    pub source: String,
    /// Destination selector as written.
    pub destination: String,
    /// Whether this is the mirrored half of a symmetric rule.
    pub mirrored: bool,
    /// Ordered pairs of hosts that the rule covers.
    pub pairs: usize,
    /// Of these, how many were measured.
    pub pairs_measured: usize,
    /// Delay.
    pub delay: DelayMeasurement,
    /// How the delay varies, where that was asked for.
    pub jitter: Option<JitterMeasurement>,
    /// Rate.
    pub rate: RateMeasurement,
    /// Loss.
    pub loss: LossMeasurement,
    /// Largest packet.
    pub mtu: MtuMeasurement,
}

impl RuleMeasurement {
    /// Whether nothing contradicts what was asked.
    pub fn agrees(&self) -> bool {
        self.verdicts().all(|(_, verdict)| verdict != Verdict::Outside)
    }

    /// Every verdict, with the name of what it is about.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, Verdict)> {
        let always = [
            ("delay", self.delay.verdict),
            ("rate", self.rate.verdict),
            ("loss", self.loss.verdict),
            ("MTU", self.mtu.verdict),
        ];
        always.into_iter().chain(self.jitter.as_ref().map(|jitter| ("jitter", jitter.verdict)))
    }
}

/// One-way delay and round-trip time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DelayMeasurement {
    /// One-way delay asked for, in milliseconds.
    pub asked_ms: f64,
    /// Median that follows from the delay, its jitter and its reordering, in milliseconds.
    pub expected_ms_p50: f64,
    /// Median one-way delay over all pairs, in milliseconds.
    pub one_way_ms_p50: Option<f64>,
    /// Standard error of that median by what was asked, in milliseconds; zero where delays do not vary.
    pub standard_error_ms: f64,
    /// Least one-way delay over all pairs, in milliseconds.
    pub one_way_ms_min: Option<f64>,
    /// Median one-way delay of the pair where it is farthest from what was expected, in milliseconds.
    pub one_way_ms_p50_worst_pair: Option<f64>,
    /// Median round-trip time over all pairs, in milliseconds.
    pub rtt_ms_p50: Option<f64>,
    /// One-way delays measured.
    pub samples: usize,
    /// Pairs over which no packet came through, though some should have: `source > destination`.
    pub silent_pairs: Vec<String>,
    /// How often it was measured: again when delay or jitter contradicted what was asked, for a stall of the machine
    /// does that too. The figures are those of the last time.
    pub attempts: u32,
    /// Within one millisecond and four standard errors of what was expected (above it also by the time that two probes
    /// take at the rate), and no pair silent.
    pub verdict: Verdict,
}

/// How the delay of single packets varies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JitterMeasurement {
    /// Spread asked for, in milliseconds.
    pub asked_ms: f64,
    /// Its distribution.
    pub shape: JitterShape,
    /// Standard deviation that follows from these, in milliseconds.
    pub expected_deviation_ms: f64,
    /// Standard deviation measured, in milliseconds.
    pub deviation_ms: Option<f64>,
    /// Mean one-way delay, in milliseconds.
    pub mean_ms: Option<f64>,
    /// Standard error of that mean, in milliseconds.
    pub mean_standard_error_ms: Option<f64>,
    /// Distance between the quartiles that was to be expected, in milliseconds.
    pub expected_quartiles_ms: f64,
    /// Distance between the quartiles measured, in milliseconds. Stalls of the machine and rare large delays move it
    /// far less than the deviation.
    pub quartiles_ms: Option<f64>,
    /// Standard error of that distance by what was asked, in milliseconds.
    pub quartiles_standard_error_ms: f64,
    /// The distance of the quartiles is within a third (half a millisecond at least) of what was expected.
    pub verdict: Verdict,
}

/// Rate, in bits per second of Ethernet frames (IP packet + 14 bytes, as `tc` counts on Ethernet).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateMeasurement {
    /// Rate asked for, in bits per second; absent when unlimited, and then not measured.
    pub asked_bits_per_s: Option<u64>,
    /// Rate measured, in bits per second: the median of all probes below, without what corruption took.
    pub measured_bits_per_s: Option<f64>,
    /// Standard error of the probes' mean, in bits per second; absent for a single probe.
    pub standard_error_bits_per_s: Option<f64>,
    /// Every probe.
    pub probes: Vec<RateProbe>,
    /// Within 5 % of what was asked.
    pub verdict: Verdict,
}

/// One rate probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateProbe {
    /// Sending host.
    pub source: String,
    /// Receiving host.
    pub destination: String,
    /// Pairs that sent at the same time because the rate is theirs too; the figures are those of all together.
    pub with: Vec<String>,
    /// Rate that the sender handed to its kernel, in bits per second.
    pub offered_bits_per_s: f64,
    /// Rate that arrived, in bits per second; absent when too little did.
    pub measured_bits_per_s: Option<f64>,
    /// Packets that the receiver's socket dropped.
    pub receiver_drops: u64,
}

/// Loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossMeasurement {
    /// Loss asked for, as a fraction; 1 of a rule that is cut.
    pub asked: f64,
    /// Share of packets that were to be corrupted, as a fraction. A receiver never sees these, so they are taken off.
    pub corrupt_asked: f64,
    /// Loss measured, as a fraction: of all packets of all pairs, without the receivers' own drops and without the share
    /// that was to be corrupted.
    pub measured: Option<f64>,
    /// Standard error of the measured loss if the asked one is true; that of bursts is larger.
    pub standard_error: f64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets that did not arrive and that no receiver dropped.
    pub packets_lost: u64,
    /// Packets that arrived again.
    pub duplicates: u64,
    /// Packets that the receivers' sockets dropped.
    pub receiver_drops: u64,
    /// Packets that the sending hosts' interfaces dropped meanwhile, of this and other rules. These count as lost.
    pub interface_drops: u64,
    /// What the emulator says of the same packets; absent when it does not keep accounts.
    pub account: Option<LossAccount>,
    /// Within one sixth of what was asked (of 0.05 % where nothing was to be lost); or, where chance is too large to
    /// tell that, within three standard errors while the emulator's account agrees packet for packet.
    pub verdict: Verdict,
}

/// The emulator's account of the loss probes of one rule: a second witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossAccount {
    /// Packets that entered the rule's links meanwhile.
    pub entered: u64,
    /// Packets that the loss model took.
    pub lost: u64,
    /// Packets that found a link cut.
    pub cut: u64,
    /// Packets that queues dropped.
    pub dropped: u64,
    /// Packets that were corrupted.
    pub corrupted: u64,
    /// Packets that were doubled.
    pub duplicated: u64,
    /// Whether these explain every packet that did not arrive, and no other packet passed.
    pub agrees: bool,
}

/// The largest IPv4 packet that passes whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MtuMeasurement {
    /// Bytes that should pass.
    pub asked_bytes: u32,
    /// The most bytes that passed, on the pair where these are the fewest; absent when nothing was received.
    pub measured_bytes: Option<u32>,
    /// That pair, if less passed than should: `source > destination`.
    pub worst_pair: Option<String>,
    /// Pairs measured.
    pub pairs: usize,
    /// It is what was asked, on every pair.
    pub verdict: Verdict,
}
