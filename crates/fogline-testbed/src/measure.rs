//! Measures every link before anything depends on it, with real packets between real hosts.
//!
//! For each [`Rule`] of a plan (which is one direction):
//! - one-way delay and round-trip time over all its pairs, from single packets;
//! - loss over all its pairs together, from so many packets that the standard error is a 24th of the asked loss: what
//!   is off by a sixth then is off by four standard errors. The packets fill at most half of any link;
//! - rate over one pair, by offering a third more than asked for a short time.
//!
//! Delay and loss probes of all rules run at once. Rate probes run together where they share no host. Delay is
//! measured between two hosts' clocks, which are one clock on one machine; across machines only the round-trip time
//! can be trusted.

mod judge;
mod round;

use fogline_agent::{AgentError, Client};
use fogline_plan::{Plan, Profile, Rule};
use judge::{judge_delay, judge_loss, judge_rate};
use round::{Flow, Round, Traffic};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// UDP payload of delay and loss probes, in bytes.
const PAYLOAD_BYTES: usize = 64;
/// Ethernet bytes of a loss probe.
const FRAME_BYTES: u64 = PAYLOAD_BYTES as u64 + 42;
/// Ethernet bits of a rate probe, as the agent sends it.
const RATE_FRAME_BITS: u64 = 1442 * 8;
/// Packets of a rate probe that arrive at least, however slow the link.
const RATE_PACKETS_MIN: u64 = 60;
/// Longest rate probe.
const RATE_DURATION_MAX: Duration = Duration::from_secs(3);
/// How often a rate is measured when it does not come out as asked: a stall of the machine looks like a slow link.
const RATE_ATTEMPTS: usize = 3;

/// How much measuring is done.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasureOptions {
    /// Delay probes per ordered pair.
    pub delay_packets: u32,
    /// Time over which delay probes are spread.
    pub delay_duration: Duration,
    /// Loss probes per rule, at most.
    pub loss_packets_max: u32,
    /// Loss probes per second of all rules together; it bounds the load of measuring.
    pub loss_packets_per_s: u32,
    /// Longest time of the loss probes; more packets than fit are not sent.
    pub loss_duration_max: Duration,
    /// Time of one rate probe on a link that is not slow.
    pub rate_duration: Duration,
    /// Pairs per rule whose rate is measured.
    pub rate_pairs: usize,
}

impl Default for MeasureOptions {
    /// What measures the surveillance scenario (80 ordered pairs, 4 rules) in three to four seconds on two cores.
    fn default() -> Self {
        Self {
            delay_packets: 25,
            delay_duration: Duration::from_millis(300),
            loss_packets_max: 40_000,
            loss_packets_per_s: 45_000,
            loss_duration_max: Duration::from_secs(4),
            rate_duration: Duration::from_millis(300),
            rate_pairs: 1,
        }
    }
}

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
    /// Delay.
    pub delay: DelayMeasurement,
    /// Rate.
    pub rate: RateMeasurement,
    /// Loss.
    pub loss: LossMeasurement,
}

impl RuleMeasurement {
    /// Whether nothing contradicts what was asked.
    pub fn agrees(&self) -> bool {
        [self.delay.verdict, self.rate.verdict, self.loss.verdict].iter().all(|it| *it != Verdict::Outside)
    }
}

/// One-way delay and round-trip time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DelayMeasurement {
    /// One-way delay asked for, in milliseconds.
    pub asked_ms: f64,
    /// Median one-way delay over all pairs, in milliseconds.
    pub one_way_ms_p50: Option<f64>,
    /// Least one-way delay over all pairs, in milliseconds.
    pub one_way_ms_min: Option<f64>,
    /// Median one-way delay of the pair where it is farthest from what was asked, in milliseconds.
    pub one_way_ms_p50_worst_pair: Option<f64>,
    /// Median round-trip time over all pairs, in milliseconds.
    pub rtt_ms_p50: Option<f64>,
    /// One-way delays measured.
    pub samples: usize,
    /// Pairs over which no packet came through: `source > destination`.
    pub silent_pairs: Vec<String>,
    /// Within one millisecond of what was asked, and no pair silent.
    pub verdict: Verdict,
}

/// Rate, in bits per second of Ethernet frames (IP packet + 14 bytes, as `tc` counts on Ethernet).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateMeasurement {
    /// Rate asked for, in bits per second; absent when unlimited, and then not measured.
    pub asked_bits_per_s: Option<u64>,
    /// Rate measured, in bits per second: the median of all probes below.
    pub measured_bits_per_s: Option<f64>,
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
    /// Loss asked for, as a fraction.
    pub asked: f64,
    /// Loss measured, as a fraction: of all packets of all pairs, without the receivers' own drops.
    pub measured: Option<f64>,
    /// Standard error of the measured loss if the asked one is true.
    pub standard_error: f64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets that the links lost.
    pub packets_lost: u64,
    /// Packets that the receivers' sockets dropped.
    pub receiver_drops: u64,
    /// Packets that the sending hosts' interfaces dropped meanwhile, of this and other rules. These count as lost.
    pub interface_drops: u64,
    /// Within one sixth of what was asked (of 0.05 % where nothing was to be lost).
    pub verdict: Verdict,
}

/// Measures every rule of `plan` that covers a pair; `agents` are those of its hosts, in order. Nothing else should
/// use the network meanwhile.
///
/// # Errors
/// When an agent is lost or cannot send or receive probes. Links that are not as asked are results.
pub fn measure(
    plan: &Plan,
    agents: &[Client],
    options: &MeasureOptions,
) -> Result<Vec<RuleMeasurement>, AgentError> {
    let rules: Vec<(usize, &Rule)> =
        plan.rules.iter().enumerate().filter(|(_, rule)| !rule.links.is_empty()).collect();
    let delays = measure_delays(plan, agents, &rules, options)?;
    let losses = measure_losses(plan, agents, &rules, options)?;
    let rates = measure_rates(plan, agents, &rules, options)?;
    let judged = rules.iter().zip(rates).map(|((number, rule), rate)| RuleMeasurement {
        rule: rule.name.clone(),
        source: rule.source.clone(),
        destination: rule.destination.clone(),
        mirrored: rule.mirrored,
        pairs: rule.links.len(),
        delay: judge_delay(plan, *number, rule, &delays),
        rate,
        loss: judge_loss(plan, *number, rule, &losses),
    });
    Ok(judged.collect())
}

fn measure_delays(
    plan: &Plan,
    agents: &[Client],
    rules: &[(usize, &Rule)],
    options: &MeasureOptions,
) -> Result<Round, AgentError> {
    let flow = |rule, link| Flow { rule, link, traffic: Traffic::Delay { packets: options.delay_packets } };
    let flows: Vec<Flow> = rules
        .iter()
        .flat_map(|(number, rule)| rule.links.iter().map(move |link| flow(*number, *link)))
        .collect();
    Round::run(plan, agents, &flows, options.delay_duration)
}

/// Loss probes of all rules at once. The time follows from the packets, the packets are cut to the longest time.
fn measure_losses(
    plan: &Plan,
    agents: &[Client],
    rules: &[(usize, &Rule)],
    options: &MeasureOptions,
) -> Result<Round, AgentError> {
    let wanted: Vec<f64> =
        rules.iter().map(|(_, rule)| packets_wanted(&rule.profile, options.loss_packets_max)).collect();
    let pace = f64::from(options.loss_packets_per_s.max(1));
    let needed_s = wanted.iter().sum::<f64>() / pace;
    let duration = Duration::from_secs_f64(needed_s.max(0.2)).min(options.loss_duration_max);
    let share = (duration.as_secs_f64() / needed_s.max(1e-9)).min(1.0);
    let mut flows = Vec::new();
    for ((number, rule), wanted) in rules.iter().zip(wanted) {
        let packets = (wanted * share / rule.links.len() as f64).ceil();
        for link in &rule.links {
            let most = half_of_link(&plan.links[*link].profile, duration);
            let traffic = Traffic::Loss { packets: packets.min(most).max(1.0) as u32 };
            flows.push(Flow { rule: *number, link: *link, traffic });
        }
    }
    Round::run(plan, agents, &flows, duration)
}

/// Packets after which the standard error is a little below a 24th of the asked loss `p`: `576 (1 - p) / p`.
fn packets_wanted(profile: &Profile, most: u32) -> f64 {
    let loss = profile.loss.mean();
    let wanted = if loss > 0.0 { 1.05 * 576.0 * (1.0 - loss) / loss } else { 4000.0 };
    wanted.clamp(500.0, f64::from(most.max(500)))
}

/// Loss probes that take half of a link's rate.
fn half_of_link(profile: &Profile, duration: Duration) -> f64 {
    profile.rate.map_or(f64::MAX, |rate| {
        rate.bits_per_s() as f64 * duration.as_secs_f64() / (FRAME_BYTES * 8) as f64 / 2.0
    })
}

/// Rate probes in waves: those of one wave share no host. What does not come out as asked is measured again.
fn measure_rates(
    plan: &Plan,
    agents: &[Client],
    rules: &[(usize, &Rule)],
    options: &MeasureOptions,
) -> Result<Vec<RateMeasurement>, AgentError> {
    let mut probes: Vec<Vec<RateProbe>> = vec![Vec::new(); rules.len()];
    for _ in 0..RATE_ATTEMPTS {
        let mut due: Vec<(usize, Flow)> = Vec::new();
        for (place, (number, rule)) in rules.iter().enumerate() {
            if judge_rate(rule, &probes[place]).verdict == Verdict::Within {
                continue;
            }
            due.extend(rate_flows(*number, rule, options.rate_pairs, plan).map(|flow| (place, flow)));
        }
        while !due.is_empty() {
            let (wave, later) = split_wave(due, plan);
            due = later;
            let flows: Vec<Flow> = wave.iter().map(|(_, flow)| *flow).collect();
            let round = Round::run(plan, agents, &flows, wave_duration(plan, &flows, options))?;
            for (place, flow) in wave {
                probes[place].push(round.rate_probe(plan, &flow));
            }
        }
    }
    Ok(rules.iter().zip(&probes).map(|((_, rule), probes)| judge_rate(rule, probes)).collect())
}

/// The pairs of a rule whose rate is measured. Each rule begins elsewhere among its pairs, so that the rules' pairs
/// share fewer hosts.
fn rate_flows<'a>(
    number: usize,
    rule: &'a Rule,
    pairs: usize,
    plan: &'a Plan,
) -> impl Iterator<Item = Flow> + 'a {
    let spread = number * (rule.links.len() / plan.rules.len().max(1)).max(1);
    (0..pairs.min(rule.links.len())).filter_map(move |pair| {
        let link = rule.links[(spread + pair * (rule.links.len() / pairs.max(1)).max(1)) % rule.links.len()];
        let asked = rule.profile.rate?.bits_per_s();
        let traffic = Traffic::Rate { offered_bits_per_s: asked.saturating_add(asked / 3) };
        Some(Flow { rule: number, link, traffic })
    })
}

type Due = Vec<(usize, Flow)>;

/// The first probes that share no host, and the others. At most two run at once: a probe needs a sender, the
/// emulator and a receiver, and a machine may have two processors.
fn split_wave(due: Due, plan: &Plan) -> (Due, Due) {
    let mut busy = HashSet::new();
    let mut wave = 0;
    due.into_iter().partition(|(_, flow)| {
        let link = &plan.links[flow.link];
        let free = wave < 2 && !busy.contains(&link.source) && !busy.contains(&link.destination);
        if free {
            wave += 1;
            busy.extend([link.source, link.destination]);
        }
        free
    })
}

/// Long enough for some packets on the slowest link of a wave.
fn wave_duration(plan: &Plan, flows: &[Flow], options: &MeasureOptions) -> Duration {
    let rates = flows.iter().filter_map(|flow| plan.links[flow.link].profile.rate);
    let slowest_ns = rates.map(|rate| rate.nanos_for(RATE_PACKETS_MIN * RATE_FRAME_BITS / 8)).max();
    options.rate_duration.max(Duration::from_nanos(slowest_ns.unwrap_or(0)).min(RATE_DURATION_MAX))
}
