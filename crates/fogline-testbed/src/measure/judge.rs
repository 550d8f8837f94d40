//! From probes to verdicts.

use super::expect;
use super::round::{Round, pair_name};
use super::{DelayMeasurement, JitterMeasurement, RateMeasurement, RateProbe, Verdict};
use fogline_plan::{Plan, Rule};

/// How far a delay may be off, in milliseconds.
const DELAY_TOLERANCE_MS: f64 = 1.0;
/// How far the distance between the quartiles of a jitter may be off: as a share of it, and in milliseconds.
const JITTER_TOLERANCE: f64 = 1.0 / 3.0;
const JITTER_TOLERANCE_MS: f64 = 0.5;
/// Standard errors by which it must be off to contradict what was asked.
const JITTER_ERRORS: f64 = 3.0;
/// How far a rate may be off, as a share of what was asked.
const RATE_TOLERANCE: f64 = 0.05;
/// Standard errors by which a sample must be off to contradict what was asked.
pub(super) const ERRORS: f64 = 4.0;
/// A sender that offers less than this share of the asked rate cannot show it.
const RATE_OFFER_MIN: f64 = 1.1;
/// A pair is silent only when it is at least this unlikely that all its packets were lost.
const SILENCE_CHANCE: f64 = 1e-6;

/// Judges what is off by `off`, where up to `tolerance` is fine and `chance` is as far as chance may take it.
pub(super) fn verdict(off: f64, tolerance: f64, chance: f64) -> Verdict {
    match chance <= tolerance {
        true if off <= tolerance => Verdict::Within,
        true => Verdict::Outside,
        // Chance alone may take it out of the tolerance, or into it.
        false if off > tolerance + chance => Verdict::Outside,
        false => Verdict::Unclear,
    }
}

/// `packet_ms` is how long a probe takes at the rate.
pub(super) fn judge_delay(
    plan: &Plan,
    (number, rule): (usize, &Rule),
    links: &[usize],
    round: &Round,
    packet_ms: f64,
) -> (DelayMeasurement, Option<JitterMeasurement>) {
    let profile = &rule.profile;
    let expected_ms = expect::delay_ms(profile, 0.5);
    let missing = expect::missing(profile);
    let (mut all, mut rtt, mut silent, mut medians) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for link in links {
        let key = (number, *link);
        let delays: Vec<f64> = round.received.get(&key).map_or(Vec::new(), |flow| in_ms(&flow.delay_ns));
        let sent = round.sent.get(&key);
        match median(&delays) {
            Some(median) => medians.push(median),
            None if missing.powf(sent.map_or(0.0, |sent| sent.packets as f64)) < SILENCE_CHANCE => {
                silent.push(pair_name(plan, *link));
            }
            None => {}
        }
        all.extend(delays);
        rtt.extend(sent.iter().flat_map(|sent| sent.rtt_ns.iter().map(|ns| *ns as f64 / 1e6)));
    }
    all.sort_by(f64::total_cmp);
    rtt.sort_by(f64::total_cmp);
    let one_way_ms_p50 = median(&all);
    let standard_error_ms = expect::median_error_ms(profile, all.len());
    let off =
        |ms: &f64| if *ms > expected_ms { *ms - expected_ms - 2.0 * packet_ms } else { expected_ms - *ms };
    let tolerance = DELAY_TOLERANCE_MS + ERRORS * standard_error_ms;
    let measured = DelayMeasurement {
        asked_ms: profile.delay.millis_f64(),
        expected_ms_p50: expected_ms,
        one_way_ms_p50,
        standard_error_ms,
        one_way_ms_min: all.first().copied(),
        one_way_ms_p50_worst_pair: medians.into_iter().max_by(|a, b| off(a).total_cmp(&off(b))),
        rtt_ms_p50: median(&rtt),
        samples: all.len(),
        attempts: 1,
        verdict: match one_way_ms_p50 {
            _ if !silent.is_empty() => Verdict::Outside,
            // What passes a link that is cut contradicts the cut, which is the loss's to say.
            None if missing == 1.0 => Verdict::Within,
            None => Verdict::Unclear,
            Some(ms) if off(&ms) <= tolerance => Verdict::Within,
            Some(_) => Verdict::Outside,
        },
        silent_pairs: silent,
    };
    (measured, judge_jitter(rule, &all))
}

fn in_ms(nanos: &[i64]) -> Vec<f64> {
    nanos.iter().map(|ns| *ns as f64 / 1e6).collect()
}

/// `delays` are sorted.
fn judge_jitter(rule: &Rule, delays: &[f64]) -> Option<JitterMeasurement> {
    let jitter = rule.profile.jitter?;
    let (expected_ms, error_ms) = expect::quartiles_ms(&rule.profile, delays.len());
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize);
    let quartiles_ms = at(0.75).zip(at(0.25)).map(|(high, low)| high - low);
    let tolerance = (JITTER_TOLERANCE * expected_ms).max(JITTER_TOLERANCE_MS);
    let judge = |ms: f64| verdict((ms - expected_ms).abs(), tolerance, JITTER_ERRORS * error_ms);
    let (mean_ms, deviation_ms) = moments(delays).unzip();
    Some(JitterMeasurement {
        asked_ms: jitter.spread.millis_f64(),
        shape: jitter.shape,
        expected_deviation_ms: expect::deviation_ms(&jitter),
        deviation_ms,
        mean_ms,
        mean_standard_error_ms: deviation_ms.map(|ms| ms / (delays.len() as f64).sqrt()),
        expected_quartiles_ms: expected_ms,
        quartiles_ms,
        quartiles_standard_error_ms: error_ms,
        verdict: quartiles_ms.map_or(Verdict::Unclear, judge),
    })
}

/// Mean and standard deviation of at least two values.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (mean, (squares / (count - 1.0)).sqrt()))
}

pub(super) fn judge_rate(rule: &Rule, probes: &[RateProbe]) -> RateMeasurement {
    let asked = rule.profile.rate.map(units::Rate::bits_per_s);
    // Corrupted packets take their time at the rate, but nobody sees them arrive.
    let intact = (1.0 - rule.profile.corrupt.fraction()).max(f64::MIN_POSITIVE);
    let mut rates: Vec<f64> =
        probes.iter().filter_map(|probe| probe.measured_bits_per_s).map(|rate| rate / intact).collect();
    rates.sort_by(f64::total_cmp);
    let measured = median(&rates);
    let verdict = match (asked, measured) {
        (None, _) => Verdict::Within,
        (Some(_), None) if probes.is_empty() => Verdict::Unclear,
        (Some(_), None) => Verdict::Outside,
        (Some(asked), Some(measured)) => rate_verdict(asked as f64, measured, probes),
    };
    RateMeasurement {
        asked_bits_per_s: asked,
        measured_bits_per_s: measured,
        standard_error_bits_per_s: moments(&rates)
            .map(|(_, deviation)| deviation / (rates.len() as f64).sqrt()),
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
    fn a_rate_that_the_sender_could_not_offer_is_unclear() {
        let probe = |offered: f64, receiver_drops: u64| RateProbe {
            source: "a".to_owned(),
            destination: "b".to_owned(),
            with: Vec::new(),
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
