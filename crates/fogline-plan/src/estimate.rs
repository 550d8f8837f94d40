//! What one bulk TCP flow can carry through links with delay, rate and random loss: estimates, good to a factor of two.
//!
//! They tell whether a network can carry what an application offers at all; they are no prediction. Left out: losses of
//! acknowledgements (which are cumulative), receive windows, other flows, queues that are too short, and that bursts
//! of losses hurt less than the same number of single ones.

use crate::{Link, Plan, Rule};
use link::{Congestion, Profile};
use units::{Delay, Rate};

/// Payload of a full segment: 1,500 bytes less 40 of headers and 12 of time stamps.
const MSS: f64 = 1448.0;
/// The same segment as a rate counts it.
const WIRE: f64 = 1514.0;
/// Linux waits at least this long beyond the round trip before it sends again unasked.
const TIMEOUT_MIN_S: f64 = 0.2;
/// The round trip of hosts on one machine that nothing delays.
const RTT_MIN_S: f64 = 50e-6;

/// The way of one flow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// The delays of both directions together.
    pub round_trip: Delay,
    /// Share of data packets lost in the long run, 0 to 1.
    pub loss: f64,
    /// The bottleneck, none when absent.
    pub rate: Option<Rate>,
}

impl Path {
    /// The way of a flow whose data takes a link that behaves as `data`, and whose acknowledgements take one that behaves
    /// as `back`.
    pub fn new(data: &Profile, back: &Profile) -> Self {
        let nanos = data.delay.nanos().saturating_add(back.delay.nanos());
        Self { round_trip: Delay::from_nanos(nanos), loss: data.loss.mean(), rate: data.rate }
    }

    /// The way of a flow from a source of `rule` to a destination, over the rule's first pair; `None` when it has none left.
    pub fn of_rule(plan: &Plan, rule: &Rule) -> Option<Self> {
        let data = plan.links.get(*rule.links.first()?)?;
        let is_back = |link: &&Link| (link.source, link.destination) == (data.destination, data.source);
        let back = plan.links.iter().find(is_back).map(|link| link.profile).unwrap_or_default();
        Some(Self::new(&data.profile, &back))
    }

    /// What one flow with `control` carries, in bits of payload per second; `None` when the links do not limit it.
    pub fn one_flow(&self, control: Congestion) -> Option<Rate> {
        let limit = self.rate.map(|rate| rate.bits_per_s() as f64 * MSS / WIRE);
        let by_loss = match control {
            Congestion::Cubic => self.cubic(),
            Congestion::Reno => self.reno(),
            Congestion::Bbr => return limit.map(|limit| as_rate(limit * bbr_share(self.loss))),
        };
        match (limit, by_loss) {
            (Some(limit), Some(flow)) => Some(as_rate(limit.min(flow))),
            (limit, flow) => limit.or(flow).map(as_rate),
        }
    }

    fn round_trip_s(&self) -> f64 {
        (self.round_trip.nanos() as f64 / 1e9).max(RTT_MIN_S)
    }

    /// CUBIC's mean window by RFC 9438, section 5.1, with its C = 0.4 and beta = 0.7, or what Reno would carry where that
    /// is more: section 4.3 lets CUBIC be no slower.
    fn cubic(&self) -> Option<f64> {
        let reno = self.reno()?;
        let (c, beta) = (0.4_f64, 0.7);
        let scale = (c * (3.0 + beta) / (4.0 * (1.0 - beta))).powf(0.25);
        let segments = scale * (self.round_trip_s() / self.loss).powf(0.75);
        Some(reno.max(segments * MSS * 8.0 / self.round_trip_s()))
    }

    /// Reno with time-outs: Padhye, Firoiu, Towsley, Kurose, "Modeling TCP Throughput", SIGCOMM 1998, equation 30. One
    /// packet per acknowledgement (b = 1), since Linux counts what is acknowledged, not how often.
    fn reno(&self) -> Option<f64> {
        let p = self.loss;
        if p <= 0.0 {
            return None;
        }
        let rtt = self.round_trip_s();
        let timeout = rtt + TIMEOUT_MIN_S;
        let recovery = rtt * (2.0 * p / 3.0).sqrt();
        let silence = timeout * (3.0 * (3.0 * p / 8.0).sqrt()).min(1.0) * p * (1.0 + 32.0 * p * p);
        Some(MSS * 8.0 / (recovery + silence))
    }
}

/// The share of the bottleneck that BBR fills. It paces by the rate at which data arrives, so that at most `1 - loss` of
/// the rate is payload that was not sent in vain; the Linux version fills less. Measured on this emulator: 0.69 at 2 %
/// (5 ms each way, 1 gbit), 0.41 at 5 % (50 ms each way, 150 mbit); a power of 18 goes through both points, and
/// nothing else speaks for it.
fn bbr_share(loss: f64) -> f64 {
    (1.0 - loss).clamp(0.0, 1.0).powi(18)
}

/// A rate in three figures, as estimates are good for: `465kbit`, `58.3mbit`.
pub fn rounded(rate: Rate) -> String {
    let bits = rate.bits_per_s() as f64;
    let (name, scale) = match rate.bits_per_s() {
        0..1_000 => ("bit", 1.0),
        1_000..1_000_000 => ("kbit", 1e3),
        1_000_000..1_000_000_000 => ("mbit", 1e6),
        _ => ("gbit", 1e9),
    };
    let value = bits / scale;
    let places = if value >= 100.0 { 0 } else { usize::from(value < 100.0) + usize::from(value < 10.0) };
    let text = format!("{value:.places$}");
    let text = if places > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{name}")
}

fn as_rate(bits_per_s: f64) -> Rate {
    // A flow that gets nothing through is given the least rate there is.
    let bits = bits_per_s.round().clamp(1.0, 1e15) as u64;
    Rate::from_bits_per_s(bits).unwrap_or(ONE_BIT)
}

const ONE_BIT: Rate = match Rate::from_bits_per_s(1) {
    Some(rate) => rate,
    None => unreachable!(),
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(delay_ms: u64, rate: &str, loss: f64) -> Path {
        Path { round_trip: Delay::from_millis(2 * delay_ms), loss, rate: rate.parse().ok() }
    }

    fn mbit(path: Path, control: Congestion) -> f64 {
        path.one_flow(control).map_or(f64::INFINITY, |rate| rate.bits_per_s() as f64 / 1e6)
    }

    /// Measured with iperf3 through this emulator.
    #[test]
    fn estimates_are_within_a_factor_of_two_of_what_was_measured() {
        let far = path(50, "150mbit", 0.05);
        let near = path(5, "1gbit", 0.02);
        for (path, control, measured) in [
            // 0.5 to 1.0 Mbit/s in several runs.
            (far, Congestion::Cubic, 0.7),
            (far, Congestion::Bbr, 59.0),
            (near, Congestion::Cubic, 7.5),
            (near, Congestion::Bbr, 663.0),
        ] {
            let estimate = mbit(path, control);
            let factor = estimate / measured;
            assert!((0.5..=2.0).contains(&factor), "{control:?} {path:?}: {estimate} for {measured}");
        }
    }

    #[test]
    fn rates_are_said_in_three_figures() {
        for (bits, said) in
            [(7, "7bit"), (465_432, "465kbit"), (58_345_678, "58.3mbit"), (1_000_000_000, "1gbit")]
        {
            assert_eq!(rounded(as_rate(f64::from(bits))), said);
        }
    }

    #[test]
    fn without_loss_the_rate_is_the_limit() {
        for control in [Congestion::Cubic, Congestion::Reno, Congestion::Bbr] {
            // 143.46 was measured.
            let full = mbit(path(50, "150mbit", 0.0), control);
            assert!((full - 143.46).abs() < 0.01, "{full}");
            assert_eq!(path(50, "none", 0.0).one_flow(control), None);
        }
    }

    #[test]
    fn cubic_leaves_reno_behind_on_long_fat_links() {
        let long = path(50, "10gbit", 1e-5);
        assert!(mbit(long, Congestion::Cubic) > 2.0 * mbit(long, Congestion::Reno));
        let short = path(1, "10gbit", 1e-2);
        assert_eq!(mbit(short, Congestion::Cubic), mbit(short, Congestion::Reno));
    }

    proptest! {
        #[test]
        fn more_loss_or_delay_never_helps(
            delay in 0_u64..5_000, more in 0_u64..5_000, loss in 0.0_f64..1.0, worse in 0.0_f64..1.0,
        ) {
            for control in [Congestion::Cubic, Congestion::Reno, Congestion::Bbr] {
                let of = |delay, loss| mbit(path(delay, "100mbit", loss), control);
                let here = of(delay, loss);
                prop_assert!(here > 0.0 && here <= 100.0);
                prop_assert!(of(delay, loss.max(worse)) <= here);
                prop_assert!(of(delay + more, loss) <= here * 1.000_001);
            }
        }
    }
}
