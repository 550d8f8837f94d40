//! What delays and losses are to be expected of a profile, and how far chance takes a sample from them.

use link::{Jitter, JitterShape, LossModel, Profile};

/// Shape of the Pareto jitter, its mean and its standard deviation before it is shifted and scaled.
const PARETO: (f64, f64, f64) = (3.0, 1.5, 0.866_025_403_784_438_6);
/// Distance of shares over which a density is taken.
const STEP: f64 = 0.01;

/// The one-way delay, in milliseconds, that a share of the packets stays below.
pub(super) fn delay_ms(profile: &Profile, share: f64) -> f64 {
    let reordered = profile.reorder.fraction();
    if share <= reordered {
        return 0.0;
    }
    let share = (share - reordered) / (1.0 - reordered);
    let variation =
        profile.jitter.map_or(0.0, |jitter| jitter.spread.millis_f64() * spreads(jitter.shape, share));
    (profile.delay.millis_f64() + variation).max(0.0)
}

/// The variation, in spreads, that a share of the packets stays below.
fn spreads(shape: JitterShape, share: f64) -> f64 {
    match shape {
        JitterShape::Uniform => 2.0 * share - 1.0,
        JitterShape::Normal => normal_quantile(share),
        JitterShape::Pareto => ((1.0 - share).powf(-1.0 / PARETO.0) - PARETO.1) / PARETO.2,
    }
}

/// Standard deviation of the variation, in milliseconds.
pub(super) fn deviation_ms(jitter: &Jitter) -> f64 {
    let spread = jitter.spread.millis_f64();
    if jitter.shape == JitterShape::Uniform { spread / 3.0_f64.sqrt() } else { spread }
}

/// Standard error of a sample's median, in milliseconds.
pub(super) fn median_error_ms(profile: &Profile, samples: usize) -> f64 {
    slope_ms(profile, 0.5) * 0.5 / independent(profile, samples).sqrt()
}

/// The distance between the quartiles and the standard error of that of a sample, in milliseconds.
pub(super) fn quartiles_ms(profile: &Profile, samples: usize) -> (f64, f64) {
    let distance = delay_ms(profile, 0.75) - delay_ms(profile, 0.25);
    let (low, high) = (slope_ms(profile, 0.25), slope_ms(profile, 0.75));
    // The covariance of two quantiles at p < q is p (1 - q) over the product of the densities, see Serfling (1980), 2.3.3.
    let variance = 0.1875 * (low * low + high * high) - 2.0 * 0.0625 * low * high;
    (distance, (variance / independent(profile, samples)).sqrt())
}

/// The inverse of the density at the quantile of `share`, in milliseconds.
fn slope_ms(profile: &Profile, share: f64) -> f64 {
    (delay_ms(profile, share + STEP) - delay_ms(profile, share - STEP)) / (2.0 * STEP)
}

/// How many independent delays tell as much as so many correlated ones (a first-order autoregression).
fn independent(profile: &Profile, samples: usize) -> f64 {
    let correlation = profile.jitter.map_or(0.0, |jitter| jitter.correlation.fraction().min(0.999));
    (samples as f64 * (1.0 - correlation) / (1.0 + correlation)).max(1.0)
}

/// The loss asked for, as a fraction.
pub(super) fn loss(profile: &Profile) -> f64 {
    if profile.cut { 1.0 } else { profile.loss.mean() }
}

/// The share of packets that do not arrive, corrupted ones included.
pub(super) fn missing(profile: &Profile) -> f64 {
    1.0 - (1.0 - loss(profile)) * (1.0 - profile.corrupt.fraction())
}

/// The standard error of the loss of `packets` packets, as a fraction.
///
/// In a Gilbert-Elliott link the loss of one packet speaks for that of the next: with the autocorrelation
/// `rho = 1 - p - r` of its state, `k` packets apart the covariance is `(b - g)^2 P(bad) P(good) rho^k`, which sums to
/// `rho / (1 - rho)` of itself on either side. With b = 1 and g = 0 the variance grows by `(1 + rho) / (1 - rho)`.
pub(super) fn loss_error(profile: &Profile, packets: u64) -> f64 {
    let (missing, intact) = (missing(profile), 1.0 - profile.corrupt.fraction());
    let mut variance = missing * (1.0 - missing);
    if let (false, Some(chain)) = (profile.cut, Chain::of(&profile.loss)) {
        let between = (chain.bad - chain.good).powi(2) * chain.in_bad * (1.0 - chain.in_bad);
        variance += 2.0 * intact * intact * between * chain.memory / (1.0 - chain.memory);
    }
    (variance.max(0.0) / packets.max(1) as f64).sqrt() / intact.max(f64::MIN_POSITIVE)
}

/// By how much the mean loss of a link's first packets may differ from that of all: it begins in the good state.
pub(super) fn beginning(profile: &Profile, packets_per_link: f64) -> f64 {
    Chain::of(&profile.loss).map_or(0.0, |chain| {
        let lasting = 1.0 / ((1.0 - chain.memory) * packets_per_link.max(1.0));
        (chain.bad - chain.good).abs() * chain.in_bad * lasting.min(1.0)
    })
}

/// A Gilbert-Elliott link's state.
struct Chain {
    bad: f64,
    good: f64,
    in_bad: f64,
    /// Autocorrelation from packet to packet.
    memory: f64,
}

impl Chain {
    fn of(loss: &LossModel) -> Option<Self> {
        let LossModel::GilbertElliott { to_bad, to_good, bad, good } = *loss else { return None };
        let changes = to_bad.fraction() + to_good.fraction();
        (changes > 0.0).then(|| Self {
            bad: bad.fraction(),
            good: good.fraction(),
            in_bad: to_bad.fraction() / changes,
            memory: 1.0 - changes,
        })
    }
}

/// The standard normal quantile by P. J. Acklam's rational approximations (relative error below 1.2e-9).
fn normal_quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] =
        [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |share: f64| {
        let x = (-2.0 * share.ln()).sqrt();
        polynomial(&C, x) / polynomial(&D, x)
    };
    match share {
        _ if share < 0.02425 => tail(share.max(f64::MIN_POSITIVE)),
        _ if share > 1.0 - 0.02425 => -tail((1.0 - share).max(f64::MIN_POSITIVE)),
        _ => {
            let x = share - 0.5;
            x * polynomial(&A, x * x) / polynomial(&B, x * x)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{Delay, Percent};

    fn percent(text: &str) -> Percent {
        text.parse().unwrap()
    }

    fn jittered(shape: JitterShape) -> Profile {
        let jitter =
            Jitter { spread: Delay::from_millis(4), shape, correlation: Percent::NONE, reorder: false };
        Profile { delay: Delay::from_millis(20), jitter: Some(jitter), ..Profile::default() }
    }

    fn near(ours: f64, theirs: f64) -> bool {
        (ours - theirs).abs() <= 1e-3 * theirs.abs().max(1e-3)
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        assert!(near(delay_ms(&jittered(JitterShape::Uniform), 0.75), 22.0));
        assert!(near(delay_ms(&jittered(JitterShape::Normal), 0.975), 20.0 + 4.0 * 1.959964));
        assert!(near(delay_ms(&jittered(JitterShape::Normal), 0.001), 20.0 - 4.0 * 3.090232));
        let pareto = 20.0 + 4.0 * (2.0_f64.powf(1.0 / 3.0) - 1.5) / 0.75_f64.sqrt();
        assert!(near(delay_ms(&jittered(JitterShape::Pareto), 0.5), pareto));
        let short = Profile { delay: Delay::from_millis(1), ..jittered(JitterShape::Normal) };
        assert_eq!(delay_ms(&short, 0.1), 0.0, "no packet comes before it was sent");
        let reordered = Profile { reorder: percent("25%"), ..jittered(JitterShape::Uniform) };
        assert_eq!(delay_ms(&reordered, 0.2), 0.0);
        assert!(near(delay_ms(&reordered, 0.625), 20.0));
    }

    #[test]
    fn errors_of_medians_and_quartiles_are_those_of_the_books() {
        // Of the normal distribution: sqrt(pi / 2) and 1.5734 standard deviations over the root of the number.
        let normal = jittered(JitterShape::Normal);
        assert!((median_error_ms(&normal, 100) / 0.4 - 1.2533).abs() < 0.01);
        let (distance, error) = quartiles_ms(&normal, 100);
        assert!(near(distance, 4.0 * 1.34898) && (error / 0.4 - 1.5734).abs() < 0.01, "{distance} {error}");
        assert_eq!(median_error_ms(&Profile::default(), 9), 0.0);
    }

    #[test]
    fn losses_in_bursts_err_more_as_a_simulation_shows() {
        let bursts = LossModel::GilbertElliott {
            to_bad: percent("1%"),
            to_good: percent("19%"),
            bad: percent("90%"),
            good: percent("1%"),
        };
        let profile = Profile { loss: bursts, ..Profile::default() };
        let (packets, runs) = (4_000_u64, 600);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut unit = move || {
            // Xorshift64*, Vigna 2016.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut shares = Vec::new();
        let mut in_bad = false;
        for _ in 0..runs {
            let mut lost = 0;
            for _ in 0..packets {
                in_bad = if in_bad { unit() >= 0.19 } else { unit() < 0.01 };
                lost += u64::from(unit() < if in_bad { 0.9 } else { 0.01 });
            }
            shares.push(lost as f64 / packets as f64);
        }
        let mean = shares.iter().sum::<f64>() / f64::from(runs);
        let deviation =
            (shares.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / f64::from(runs - 1)).sqrt();
        let expected = loss_error(&profile, packets);
        assert!((mean - loss(&profile)).abs() < 4.0 * expected / f64::from(runs).sqrt(), "{mean}");
        assert!((deviation / expected - 1.0).abs() < 0.15, "{deviation}, but {expected} expected");
        let single = LossModel::Independent(Percent::from_fraction(mean).unwrap());
        assert!(expected > 2.0 * loss_error(&Profile { loss: single, ..Profile::default() }, packets));
    }

    #[test]
    fn corrupted_packets_are_missing_and_a_cut_link_loses_all() {
        let loss_of_two = LossModel::Independent(percent("2%"));
        let profile = Profile { loss: loss_of_two, corrupt: percent("10%"), ..Profile::default() };
        assert!(near(missing(&profile), 1.0 - 0.98 * 0.9));
        let cut = Profile { cut: true, ..profile };
        assert_eq!((loss(&cut), missing(&cut), loss_error(&cut, 9)), (1.0, 1.0, 0.0));
    }
}
