//! Measures every link before anything depends on it, with real packets between real hosts.
//!
//! For each [`Rule`] of a plan (which is one direction):
//! - one-way delay and round-trip time over all its pairs, from single packets; where jitter was asked for, also how
//!   delays vary;
//! - loss over all its pairs together, from so many packets that the standard error is a 24th of the asked loss, so that
//!   what is off by a sixth is off by four standard errors; smaller losses are confirmed by a second witness, the
//!   emulator's own account of the same packets;
//! - the largest packet that passes, on all its pairs;
//! - rate over one pair, by offering a third more than asked for a short time; over two at once where pairs share it.
//!
//! Probes of all rules run at once, but never fill more than half of a rate, whoever shares it. Rate probes run together
//! where they share neither host nor rate. Delay is measured between two hosts' clocks, which are one clock on one
//! machine; across machines only the round-trip time can be trusted. What is measured is what links are at first: what
//! changes later does not count, and of a rule that begins cut only that nothing passes.

mod budget;
mod expect;
mod judge;
mod loss;
mod report;
mod round;
mod size;

pub use report::{
    DelayMeasurement, JitterMeasurement, LossAccount, LossMeasurement, MtuMeasurement, RateMeasurement,
    RateProbe, RuleMeasurement, Verdict,
};

use budget::{Budget, pool};
use fogline_agent::{AgentError, Client};
use fogline_plan::{Plan, Profile, Rule};
use judge::{judge_delay, judge_rate};
use loss::judge_loss;
use netem::Snapshot;
use round::{Flow, Round, Traffic};
use size::{judge_size, measure_sizes};
use std::collections::HashSet;
use std::time::Duration;

/// UDP payload of delay and loss probes, in bytes.
const PAYLOAD_BYTES: usize = 64;
/// Ethernet bytes of a loss probe.
const FRAME_BYTES: u64 = PAYLOAD_BYTES as u64 + 42;
/// Delay probes per rule where the delay varies, and how many spreads they lie apart.
const JITTER_PACKETS: u32 = 400;
const JITTER_SPREADS_APART: u32 = 5;
/// How often a delay is measured when it does not come out as asked.
const DELAY_ATTEMPTS: u32 = 3;
/// Longest time of the delay probes.
const DELAY_DURATION_MAX: Duration = Duration::from_secs(3);
/// Shortest time of the loss probes.
const LOSS_DURATION_MIN: Duration = Duration::from_millis(200);
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
    /// Pairs of all rules together; of rules with more than their part of them an even sample is measured.
    pub pairs_max: usize,
    /// Bytes of the largest IPv4 packet that every link should pass.
    pub mtu: u32,
}

impl Default for MeasureOptions {
    /// What measures the surveillance scenario (80 ordered pairs, 4 rules) in three to four seconds on two cores.
    fn default() -> Self {
        Self {
            delay_packets: 25,
            delay_duration: Duration::from_millis(300),
            loss_packets_max: 40_000,
            loss_packets_per_s: 50_000,
            loss_duration_max: Duration::from_secs(4),
            rate_duration: Duration::from_millis(300),
            rate_pairs: 1,
            pairs_max: 1000,
            mtu: 1500,
        }
    }
}

/// A rule with its number and the links that are measured.
type Measured<'a> = (usize, &'a Rule, Vec<usize>);

/// Measures every rule of `plan` that covers a pair; `agents` are those of its hosts, in order, and `network` tells the
/// emulator's counters, where there are some. Nothing else should use the network meanwhile.
///
/// # Errors
/// When an agent is lost or cannot send or receive probes. Links that are not as asked are results.
pub fn measure(
    plan: &Plan,
    agents: &[Client],
    network: &dyn Fn() -> Option<Snapshot>,
    options: &MeasureOptions,
) -> Result<Vec<RuleMeasurement>, AgentError> {
    let rules = sample(plan, options);
    let budget = Budget::new(plan);
    let delays = measure_delays(plan, agents, &rules, &budget, options)?;
    let before = network();
    let losses = measure_losses(plan, agents, &rules, &budget, options)?;
    let taken = network().zip(before).map(|(after, before)| after.since(&before));
    let sizes = measure_sizes(plan, agents, &rules, options.mtu, &budget)?;
    let rates = measure_rates(plan, agents, &rules, options)?;
    let judged =
        rules.iter().zip(delays).zip(rates).map(|(((number, rule, links), (delay, jitter)), rate)| {
            let of = (*number, *rule);
            RuleMeasurement {
                rule: rule.name.clone(),
                source: rule.source.clone(),
                destination: rule.destination.clone(),
                mirrored: rule.mirrored,
                pairs: rule.links.len(),
                pairs_measured: links.len(),
                delay,
                jitter,
                rate,
                loss: judge_loss(plan, of, links, &losses, taken.as_ref()),
                mtu: judge_size(plan, of, links, options.mtu, &sizes),
            }
        });
    Ok(judged.collect())
}

/// The rules that cover pairs, each with an even sample of these.
fn sample<'a>(plan: &'a Plan, options: &MeasureOptions) -> Vec<Measured<'a>> {
    let rules: Vec<_> = plan.rules.iter().enumerate().filter(|(_, rule)| !rule.links.is_empty()).collect();
    let most = (options.pairs_max / rules.len().max(1)).max(1);
    let sampled = |rule: &Rule| {
        let count = rule.links.len().min(most);
        (0..count).map(|number| rule.links[number * rule.links.len() / count]).collect()
    };
    rules.into_iter().map(|(number, rule)| (number, rule, sampled(rule))).collect()
}

type Delays = (DelayMeasurement, Option<JitterMeasurement>);

/// The delays of all rules. What does not come out as asked is measured again: a stall of the machine looks like a slow
/// link, or like jitter.
fn measure_delays(
    plan: &Plan,
    agents: &[Client],
    rules: &[Measured<'_>],
    budget: &Budget<'_>,
    options: &MeasureOptions,
) -> Result<Vec<Delays>, AgentError> {
    let mut results: Vec<Option<Delays>> = vec![None; rules.len()];
    for attempt in 1..=DELAY_ATTEMPTS {
        let contradicted = |(delay, jitter): &Delays| {
            delay.verdict == Verdict::Outside
                || jitter.as_ref().is_some_and(|jitter| jitter.verdict == Verdict::Outside)
        };
        let due: Vec<usize> =
            (0..rules.len()).filter(|place| results[*place].as_ref().is_none_or(contradicted)).collect();
        if due.is_empty() {
            break;
        }
        let round = probe_delays(plan, agents, due.iter().map(|place| &rules[*place]), budget, options)?;
        for place in due {
            let (number, rule, links) = &rules[place];
            let slowest = links.iter().map(|link| budget.packet_time(*link, FRAME_BYTES)).max();
            let packet_ms = slowest.unwrap_or_default().as_secs_f64() * 1e3;
            let (mut delay, jitter) = judge_delay(plan, (*number, rule), links, &round, packet_ms);
            delay.attempts = attempt;
            results[place] = Some((delay, jitter));
        }
    }
    Ok(results.into_iter().flatten().collect())
}

/// One round of delay probes. Those of a link lie so far apart that jitter seldom makes one wait for another.
fn probe_delays<'a>(
    plan: &Plan,
    agents: &[Client],
    rules: impl Iterator<Item = &'a Measured<'a>>,
    budget: &Budget<'_>,
    options: &MeasureOptions,
) -> Result<Round, AgentError> {
    let (mut flows, mut duration) = (Vec::new(), options.delay_duration);
    for (number, rule, links) in rules {
        let jitter = rule.profile.jitter;
        let kept_in_order = jitter.filter(|jitter| !jitter.reorder);
        let apart =
            kept_in_order.map_or(Duration::ZERO, |jitter| JITTER_SPREADS_APART * jitter.spread.duration());
        let wanted = jitter.map_or(0, |_| JITTER_PACKETS.div_ceil(links.len() as u32));
        let fitting = DELAY_DURATION_MAX.as_nanos() / apart.as_nanos().max(1);
        let packets =
            wanted.max(options.delay_packets).min(u32::try_from(fitting).unwrap_or(u32::MAX)).max(5);
        duration = duration.max((apart * packets).min(DELAY_DURATION_MAX));
        let traffic = Traffic::Delay { packets };
        flows.extend(links.iter().map(|link| Flow { rule: *number, link: *link, traffic }));
    }
    let total: u32 = flows.iter().map(|flow| 2 * flow.traffic.packets()).sum();
    let paced = Duration::from_secs_f64(f64::from(total) / f64::from(options.loss_packets_per_s.max(1)));
    let duration = budget.time(&flows, FRAME_BYTES, duration.max(paced), DELAY_DURATION_MAX);
    budget.fit(&mut flows, FRAME_BYTES, duration);
    Round::run(plan, agents, &flows, duration)
}

/// Loss probes of all rules at once. The time follows from the packets, the packets are cut to the longest time.
fn measure_losses(
    plan: &Plan,
    agents: &[Client],
    rules: &[Measured<'_>],
    budget: &Budget<'_>,
    options: &MeasureOptions,
) -> Result<Round, AgentError> {
    let mut flows = Vec::new();
    for (number, rule, links) in rules {
        let packets = packets_wanted(&rule.profile, options.loss_packets_max) / links.len() as f64;
        let traffic = Traffic::Loss { packets: packets.ceil().max(1.0) as u32 };
        flows.extend(links.iter().map(|link| Flow { rule: *number, link: *link, traffic }));
    }
    let total: f64 = flows.iter().map(|flow| f64::from(flow.traffic.packets())).sum();
    let paced = Duration::from_secs_f64(total / f64::from(options.loss_packets_per_s.max(1)));
    let least = paced.clamp(LOSS_DURATION_MIN, options.loss_duration_max.max(LOSS_DURATION_MIN));
    let duration = budget.time(&flows, FRAME_BYTES, least, options.loss_duration_max);
    let share = (duration.as_secs_f64() / paced.as_secs_f64().max(1e-9)).min(1.0);
    for flow in &mut flows {
        let packets = f64::from(flow.traffic.packets()) * share;
        flow.traffic.set_packets((packets as u32).max(1));
    }
    budget.fit(&mut flows, FRAME_BYTES, duration);
    Round::run(plan, agents, &flows, duration)
}

/// Packets after which the standard error is a little below a 24th of the asked loss, `576 (1 - p) / p` of independent
/// losses; a link that is cut needs few.
fn packets_wanted(profile: &Profile, most: u32) -> f64 {
    let (loss, error) = (expect::loss(profile), expect::loss_error(profile, 1));
    let wanted = if loss > 0.0 { 1.05 * (24.0 * error / loss).powi(2) } else { 4000.0 };
    wanted.clamp(500.0, f64::from(most.max(500)))
}

/// One rate probe to come: whose it is, and its flows.
type Probe = (usize, Vec<Flow>);

/// Rate probes in waves: those of one wave share no host. What does not come out as asked is measured again.
fn measure_rates(
    plan: &Plan,
    agents: &[Client],
    rules: &[Measured<'_>],
    options: &MeasureOptions,
) -> Result<Vec<RateMeasurement>, AgentError> {
    let mut probes: Vec<Vec<RateProbe>> = vec![Vec::new(); rules.len()];
    for _ in 0..RATE_ATTEMPTS {
        let mut due: Vec<Probe> = Vec::new();
        for (place, (number, rule, _)) in rules.iter().enumerate() {
            if judge_rate(rule, &probes[place]).verdict == Verdict::Within {
                continue;
            }
            due.extend(rate_probes(*number, rule, options.rate_pairs, plan).map(|flows| (place, flows)));
        }
        while !due.is_empty() {
            let (wave, later) = split_wave(due, plan);
            due = later;
            let flows: Vec<Flow> = wave.iter().flat_map(|(_, flows)| flows).copied().collect();
            let round = Round::run(plan, agents, &flows, wave_duration(plan, &flows, options))?;
            for (place, flows) in wave {
                probes[place].extend(round.rate_probe(plan, &flows));
            }
        }
    }
    Ok(rules.iter().zip(&probes).map(|((_, rule, _), probes)| judge_rate(rule, probes)).collect())
}

/// The pairs of a rule whose rate is measured, each with one that shares it if there is one. Each rule begins elsewhere
/// among its pairs, so that the rules' pairs share fewer hosts.
fn rate_probes<'a>(
    number: usize,
    rule: &'a Rule,
    pairs: usize,
    plan: &'a Plan,
) -> impl Iterator<Item = Vec<Flow>> + 'a {
    let spread = number * (rule.links.len() / plan.rules.len().max(1)).max(1);
    let arriving = 1.0 - expect::missing(&rule.profile);
    (0..pairs.min(rule.links.len())).filter_map(move |pair| {
        let first = rule.links[(spread + pair * (rule.links.len() / pairs.max(1)).max(1)) % rule.links.len()];
        let asked = rule.profile.rate?.bits_per_s() as f64;
        let links: Vec<usize> = [Some(first), sharer(first, rule, plan)].into_iter().flatten().collect();
        // A third more than asked has to be left after the losses; where nearly all is lost, nothing can be shown.
        let offered = asked * 4.0 / 3.0 / arriving / links.len() as f64;
        let traffic = Traffic::Rate { offered_bits_per_s: (offered as u64).max(1) };
        (arriving > 0.1).then(|| links.into_iter().map(|link| Flow { rule: number, link, traffic }).collect())
    })
}

/// Another pair of the rule that has the same bottleneck; between other hosts, if that can be.
fn sharer(first: usize, rule: &Rule, plan: &Plan) -> Option<usize> {
    plan.links[first].bottleneck?;
    let shares = |link: &&usize| **link != first && pool(plan, **link) == pool(plan, first);
    let (one, links) = (&plan.links[first], &plan.links);
    let apart = |link: &usize| {
        let other = &links[*link];
        usize::from(other.source != one.source && other.source != one.destination)
            + usize::from(other.destination != one.destination && other.destination != one.source)
    };
    rule.links.iter().filter(shares).max_by_key(|link| apart(link)).copied()
}

/// The first probes that share neither host nor rate, and the others. At most two run at once: a probe needs a sender,
/// the emulator and a receiver, and a machine may have two processors.
fn split_wave(due: Vec<Probe>, plan: &Plan) -> (Vec<Probe>, Vec<Probe>) {
    let (mut busy, mut full) = (HashSet::new(), HashSet::new());
    let mut wave = 0;
    due.into_iter().partition(|(_, flows)| {
        let links = || flows.iter().map(|flow| &plan.links[flow.link]);
        let hosts: Vec<_> = links().flat_map(|link| [link.source, link.destination]).collect();
        let pools: Vec<_> = flows.iter().map(|flow| pool(plan, flow.link)).collect();
        let free = wave < 2
            && hosts.iter().all(|host| !busy.contains(host))
            && pools.iter().all(|pool| !full.contains(pool));
        if free {
            wave += 1;
            busy.extend(hosts);
            full.extend(pools);
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
