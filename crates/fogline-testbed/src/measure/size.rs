//! The largest packet that passes, found from both sides: what should pass does, and one byte more does not.

use super::budget::Budget;
use super::expect;
use super::round::{Flow, Round, Traffic, pair_name};
use super::{MtuMeasurement, Verdict};
use fogline_agent::{AgentError, Client};
use fogline_plan::{Plan, Rule};
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of IPv4 and UDP headers.
const HEADERS: u32 = 28;
/// Bytes of Ethernet before the IP packet.
const ETHERNET: u32 = 14;
/// The least that a probe has, headers included.
const LEAST: u32 = 76;
/// Sizes that are tried at once when less passes than should.
const SIZES: u32 = 8;
/// Chance that all copies of a packet are lost.
const ALL_LOST: f64 = 1e-4;
/// Copies of a packet, at most.
const COPIES_MAX: f64 = 12.0;
/// Time of one round, at least and at most.
const TIME_MIN: Duration = Duration::from_millis(50);
const TIME_MAX: Duration = Duration::from_secs(2);

/// What is known of one pair.
struct Pair {
    rule: usize,
    link: usize,
    copies: u32,
    /// The most that is known to pass, and the least that is known not to.
    passes: u32,
    fails: u32,
}

/// Finds the largest packet of every pair of every rule; by rule and link, absent where nothing at all came through.
pub(super) fn measure_sizes(
    plan: &Plan,
    agents: &[Client],
    rules: &[(usize, &Rule, Vec<usize>)],
    asked: u32,
    budget: &Budget<'_>,
) -> Result<BTreeMap<(usize, usize), u32>, AgentError> {
    let mut pairs: Vec<Pair> = Vec::new();
    for (rule, written, links) in rules {
        let missing = expect::missing(&written.profile);
        let copies = (ALL_LOST.ln() / missing.max(1e-9).ln()).ceil().clamp(2.0, COPIES_MAX) as u32;
        let pair = |link: &usize| Pair { rule: *rule, link: *link, copies, passes: 0, fails: asked + 2 };
        pairs.extend(links.iter().filter(|_| missing < 1.0).map(pair));
    }
    // What should pass and one byte more; where that does not pass, ever closer between what does and what does not.
    let mut sizes: Vec<Vec<u32>> = vec![vec![asked, asked + 1]; pairs.len()];
    while sizes.iter().any(|sizes| !sizes.is_empty()) {
        let passed = try_sizes(plan, agents, &pairs, &sizes, budget)?;
        for (pair, sizes) in pairs.iter_mut().zip(&mut sizes) {
            let largest = passed.get(&(pair.rule, pair.link)).copied().unwrap_or(0);
            pair.passes = pair.passes.max(largest);
            pair.fails = sizes.iter().copied().filter(|size| *size > largest).fold(pair.fails, u32::min);
            *sizes = pair.between();
        }
    }
    Ok(pairs.iter().filter(|it| it.passes > 0).map(|it| ((it.rule, it.link), it.passes)).collect())
}

impl Pair {
    /// The sizes to try next.
    fn between(&self) -> Vec<u32> {
        let low = self.passes.max(LEAST - 1);
        let gap = self.fails.saturating_sub(low);
        let step = gap.div_ceil(SIZES + 1).max(1);
        (1..).map(|number| low + number * step).take_while(|size| *size < self.fails).collect()
    }
}

/// One round for all pairs that have sizes to try; the largest packets received, by rule and link.
fn try_sizes(
    plan: &Plan,
    agents: &[Client],
    pairs: &[Pair],
    sizes: &[Vec<u32>],
    budget: &Budget<'_>,
) -> Result<BTreeMap<(usize, usize), u32>, AgentError> {
    let mut flows = Vec::new();
    for (pair, sizes) in pairs.iter().zip(sizes) {
        flows.extend(sizes.iter().map(|size| {
            let payload_bytes = size.saturating_sub(HEADERS) as usize;
            let traffic = Traffic::Size { payload_bytes, packets: pair.copies };
            Flow { rule: pair.rule, link: pair.link, traffic }
        }));
    }
    let largest = sizes.iter().flatten().max().copied().unwrap_or(LEAST);
    let time = budget.time(&flows, u64::from(largest + ETHERNET), TIME_MIN, TIME_MAX);
    let round = Round::run(plan, agents, &flows, time)?;
    let received = round.received.into_iter().filter(|(_, flow)| flow.largest_bytes > 0);
    Ok(received.map(|(key, flow)| (key, flow.largest_bytes + HEADERS)).collect())
}

pub(super) fn judge_size(
    plan: &Plan,
    (number, rule): (usize, &Rule),
    links: &[usize],
    asked: u32,
    found: &BTreeMap<(usize, usize), u32>,
) -> MtuMeasurement {
    let of = |link: &usize| found.get(&(number, *link)).copied();
    let worst = links.iter().filter_map(|link| Some((of(link)?, *link))).min_by_key(|(size, _)| *size);
    let most = links.iter().filter_map(of).max();
    let none = links.iter().find(|link| of(link).is_none());
    // Where most packets are lost, those that are not received tell nothing of sizes.
    let telling = expect::missing(&rule.profile).powf(COPIES_MAX) < ALL_LOST;
    MtuMeasurement {
        asked_bytes: asked,
        measured_bytes: worst.map(|(size, _)| size),
        worst_pair: worst.filter(|(size, _)| *size != asked).map(|(_, link)| pair_name(plan, link)),
        pairs: links.iter().filter(|link| of(link).is_some()).count(),
        verdict: match (worst, most) {
            (Some((least, _)), Some(most)) if least == asked && most == asked && none.is_none() => {
                Verdict::Within
            }
            (Some((least, _)), Some(most)) if telling && (least != asked || most != asked) => {
                Verdict::Outside
            }
            _ => Verdict::Unclear,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_found_in_a_few_rounds() {
        for real in LEAST..=1502 {
            let mut pair = Pair { rule: 0, link: 0, copies: 2, passes: 0, fails: 1502 };
            let mut sizes = vec![1500, 1501];
            let mut rounds = 0;
            while !sizes.is_empty() {
                let largest = sizes.iter().copied().filter(|size| *size <= real).max().unwrap_or(0);
                pair.passes = pair.passes.max(largest);
                pair.fails = sizes.iter().copied().filter(|size| *size > largest).fold(pair.fails, u32::min);
                sizes = pair.between();
                rounds += 1;
            }
            assert_eq!(pair.passes, real.min(1501));
            assert!(rounds <= 5, "{rounds} rounds for {real}");
        }
    }
}
