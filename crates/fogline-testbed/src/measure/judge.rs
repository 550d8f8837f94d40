//! From probes to verdicts.

use super::round::Round;
use super::{DelayMeasurement, LossMeasurement, RateMeasurement, RateProbe, Verdict};
use fogline_plan::{Plan, Rule};
use std::collections::HashSet;

/// How far a delay may be off, in milliseconds.
const DELAY_TOLERANCE_MS: f64 = 1.0;
/// How far a rate may be off, as a share of what was asked.
const RATE_TOLERANCE: f64 = 0.05;
/// How far a loss may be off, as a share of what was asked.
const LOSS_TOLERANCE: f64 = 1.0 / 6.0;
/// How much a link may lose that should lose nothing, as a fraction.
const LOSS_TOLERANCE_NONE: f64 = 0.0005;
/// Standard errors by which a loss must be off to contradict what was asked.
const LOSS_ERRORS: f64 = 4.0;
/// A sender that offers less than this share of the asked rate cannot show it.
const RATE_OFFER_MIN: f64 = 1.1;

pub(super) fn judge_delay(plan: &Plan, number: usize, rule: &Rule, round: &Round) -> DelayMeasurement {
    let asked_ms = rule.profile.delay.millis_f64();
    let (mut all, mut rtt, mut silent, mut medians) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for link in &rule.links {
        let key = (number, *link);
        let received = round.received.get(&key);
        let delays: Vec<f64> = received
            .map(|flow| flow.delay_ns.iter().map(|ns| *ns as f64 / 1e6).collect())
            .unwrap_or_default();
        match median(&delays) {
            Some(median) => medians.push(median),
            None => silent.push(pair_name(plan, *link)),
        }
        all.extend(delays);
        if let Some(sent) = round.sent.get(&key) {
            rtt.extend(sent.rtt_ns.iter().map(|ns| *ns as f64 / 1e6));
        }
    }
    all.sort_by(f64::total_cmp);
    rtt.sort_by(f64::total_cmp);
    let one_way_ms_p50 = median(&all);
    let off = |ms: &f64| (ms - asked_ms).abs();
    let within = one_way_ms_p50.is_some_and(|ms| off(&ms) <= DELAY_TOLERANCE_MS) && silent.is_empty();
    DelayMeasurement {
        asked_ms,
        one_way_ms_p50,
        one_way_ms_min: all.first().copied(),
        one_way_ms_p50_worst_pair: medians.into_iter().max_by(|a, b| off(a).total_cmp(&off(b))),
        rtt_ms_p50: median(&rtt),
        samples: all.len(),
        silent_pairs: silent,
        verdict: if within { Verdict::Within } else { Verdict::Outside },
    }
}

pub(super) fn judge_loss(plan: &Plan, number: usize, rule: &Rule, round: &Round) -> LossMeasurement {
    let asked = rule.profile.loss.mean();
    let keys = || rule.links.iter().map(|link| (number, *link));
    let sent: u64 = keys().filter_map(|key| round.sent.get(&key)).map(|flow| flow.packets).sum();
    let received: u64 = keys().filter_map(|key| round.received.get(&key)).map(|flow| flow.packets).sum();
    let receiver_drops = round.receiver_drops.get(&number).copied().unwrap_or(0);
    let lost = sent.saturating_sub(received).saturating_sub(receiver_drops);
    let sources: HashSet<_> = rule.links.iter().map(|link| plan.links[*link].source).collect();
    let measured = (sent > 0).then(|| lost as f64 / sent as f64);
    let standard_error = (asked * (1.0 - asked) / sent.max(1) as f64).sqrt();
    LossMeasurement {
        asked,
        measured,
        standard_error,
        packets_sent: sent,
        packets_lost: lost,
        receiver_drops,
        interface_drops: sources.iter().filter_map(|host| round.interface_drops.get(host)).sum(),
        verdict: loss_verdict(asked, measured, standard_error),
    }
}

fn loss_verdict(asked: f64, measured: Option<f64>, standard_error: f64) -> Verdict {
    let Some(measured) = measured else { return Verdict::Unclear };
    let tolerance = if asked > 0.0 { asked * LOSS_TOLERANCE } else { LOSS_TOLERANCE_NONE };
    let chance = LOSS_ERRORS * standard_error;
    let off = (measured - asked).abs();
    match chance <= tolerance {
        true if off <= tolerance => Verdict::Within,
        true => Verdict::Outside,
        // Chance alone may take it out of the tolerance, or into it.
        false if off > tolerance + chance => Verdict::Outside,
        false => Verdict::Unclear,
    }
}

pub(super) fn judge_rate(rule: &Rule, probes: &[RateProbe]) -> RateMeasurement {
    let asked = rule.profile.rate.map(units::Rate::bits_per_s);
    let mut rates: Vec<f64> = probes.iter().filter_map(|probe| probe.measured_bits_per_s).collect();
    rates.sort_by(f64::total_cmp);
    let measured = median(&rates);
    let verdict = match (asked, measured) {
        (None, _) => Verdict::Within,
        (Some(_), None) => {
            if probes.is_empty() {
                Verdict::Unclear
            } else {
                Verdict::Outside
            }
        }
        (Some(asked), Some(measured)) => rate_verdict(asked as f64, measured, probes),
    };
    RateMeasurement {
        asked_bits_per_s: asked,
        measured_bits_per_s: measured,
        probes: probes.to_vec(),
        verdict,
    }
}

fn rate_verdict(asked: f64, measured: f64, probes: &[RateProbe]) -> Verdict {
    let offered = probes.iter().map(|probe| probe.offered_bits_per_s).fold(0.0, f64::max);
    let dropped: u64 = probes.iter().map(|probe| probe.receiver_drops).sum();
    if (measured - asked).abs() <= RATE_TOLERANCE * asked {
        return Verdict::Within;
    }
    // Too little arrived, but it may be for the sender or the receiver.
    let held_back = measured < asked && (offered < RATE_OFFER_MIN * asked || dropped > 0);
    if held_back { Verdict::Unclear } else { Verdict::Outside }
}

fn pair_name(plan: &Plan, link: usize) -> String {
    let link = &plan.links[link];
    format!("{} > {}", plan.hosts[link.source.0].name, plan.hosts[link.destination.0].name)
}

/// The middle of sorted values; the mean of the two middle ones of an even number.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
    }

    #[test]
    fn a_loss_is_judged_by_its_tolerance_and_its_chance() {
        let verdict = |asked: f64, measured: f64, packets: f64| {
            loss_verdict(asked, Some(measured), (asked * (1.0 - asked) / packets).sqrt())
        };
        assert_eq!(verdict(0.02, 0.0201, 30_000.0), Verdict::Within);
        assert_eq!(verdict(0.02, 0.0234, 30_000.0), Verdict::Outside);
        assert_eq!(verdict(0.02, 0.0396, 30_000.0), Verdict::Outside);
        assert_eq!(verdict(0.02, 0.0201, 500.0), Verdict::Unclear, "five hundred packets show nothing");
        assert_eq!(verdict(0.02, 0.5, 500.0), Verdict::Outside, "unless it is far off");
        assert_eq!(verdict(0.0, 0.0, 4000.0), Verdict::Within);
        assert_eq!(verdict(0.0, 0.01, 4000.0), Verdict::Outside);
        assert_eq!(loss_verdict(0.02, None, 0.0), Verdict::Unclear);
    }

    #[test]
    fn a_rate_that_the_sender_could_not_offer_is_unclear() {
        let probe = |offered: f64, receiver_drops: u64| RateProbe {
            source: "a".to_owned(),
            destination: "b".to_owned(),
            offered_bits_per_s: offered,
            measured_bits_per_s: None,
            receiver_drops,
        };
        assert_eq!(rate_verdict(100.0, 104.0, &[probe(130.0, 0)]), Verdict::Within);
        assert_eq!(rate_verdict(100.0, 94.0, &[probe(130.0, 0)]), Verdict::Outside);
        assert_eq!(rate_verdict(100.0, 94.0, &[probe(95.0, 0)]), Verdict::Unclear);
        assert_eq!(rate_verdict(100.0, 94.0, &[probe(130.0, 9)]), Verdict::Unclear);
        assert_eq!(rate_verdict(100.0, 130.0, &[probe(130.0, 9)]), Verdict::Outside, "no limit at all");
    }
}
