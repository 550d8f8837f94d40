//! How the delay of single packets varies.

use super::elementary::{exp, ln, normal_quantile, normal_tail};
use super::random::Random;
use ::link::{Jitter, JitterShape};

/// Shape of the Pareto distribution: the least whole one with a variance.
const PARETO_SHAPE: f64 = 3.0;
/// Mean of that distribution on 1 and up, a / (a - 1).
const PARETO_MEAN: f64 = 1.5;
/// Its standard deviation, the square root of a / ((a - 1)^2 (a - 2)).
const PARETO_DEVIATION: f64 = 0.866_025_403_784_438_6;

/// The variations of one link.
///
/// Behind every shape stands a standard normal sequence: with a correlation r each value is r times the one before
/// plus the square root of 1 - r^2 times a fresh one (a first-order autoregression), which keeps mean and deviation.
/// Its values are mapped by rank to the shape, so that the distribution of single values is the same with and without
/// correlation. For the normal shape r is the correlation of successive variations. For the others it is that of the
/// hidden values: the uniform shape falls short of it by less than 0.02, the Pareto shape by more, as its few large
/// values outweigh all others.
#[derive(Clone, Debug)]
pub struct JitterProcess {
    random: Random,
    hidden: Option<f64>,
}

impl JitterProcess {
    /// Variations from the stream `random`.
    pub const fn new(random: Random) -> Self {
        Self { random, hidden: None }
    }

    /// How much later, or earlier if negative, the next packet is than by the delay alone, nanoseconds. Each call
    /// takes one number of the stream, whatever `jitter` asks for.
    pub fn next(&mut self, jitter: &Jitter) -> i64 {
        let share = self.random.open_unit();
        let fresh = normal_quantile(share);
        let correlation = jitter.correlation.fraction();
        let last = self.hidden.filter(|_| correlation > 0.0);
        let value =
            last.map_or(fresh, |last| correlation * last + (1.0 - correlation * correlation).sqrt() * fresh);
        self.hidden = Some(value);
        // The share of values above; what the quantile was taken of needs no way back.
        let above = || if last.is_some() { normal_tail(value) } else { 1.0 - share };
        let spreads = match jitter.shape {
            JitterShape::Uniform => 1.0 - 2.0 * above(),
            JitterShape::Normal => value,
            JitterShape::Pareto => (exp(ln(above()) / -PARETO_SHAPE) - PARETO_MEAN) / PARETO_DEVIATION,
        };
        // The conversion saturates; the least number is left out so that the sign can be changed.
        ((spreads * jitter.spread.nanos() as f64).round() as i64).max(-i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;
    use units::{Delay, Percent};

    const DRAWS: usize = 400_000;
    const SHAPES: [JitterShape; 3] = [JitterShape::Uniform, JitterShape::Normal, JitterShape::Pareto];

    fn jitter(shape: JitterShape, correlation: f64) -> Jitter {
        let correlation = Percent::from_fraction(correlation).unwrap();
        Jitter { spread: Delay::from_millis(1), shape, correlation, reorder: false }
    }

    /// Variations, in spreads.
    fn variations(shape: JitterShape, correlation: f64) -> Vec<f64> {
        let mut process = JitterProcess::new(Random::new(77));
        (0..DRAWS).map(|_| process.next(&jitter(shape, correlation)) as f64 / 1e6).collect()
    }

    /// The share of a shape below a value, in closed form.
    fn share_below(shape: JitterShape, value: f64) -> f64 {
        match shape {
            JitterShape::Uniform => (value + 1.0) / 2.0,
            JitterShape::Normal => normal_tail(-value),
            JitterShape::Pareto => 1.0 - (value * 0.75_f64.sqrt() + 1.5).max(1.0).powi(-3),
        }
    }

    fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
        let count = values.len() as f64;
        values.sum::<f64>() / count
    }

    /// By how much the effective number of draws falls short of their number, for a first-order autoregression.
    fn inflation(correlation: f64) -> f64 {
        (1.0 + correlation) / (1.0 - correlation)
    }

    fn assert_near(what: &str, ours: f64, theirs: f64, sigma: f64) {
        assert!((ours - theirs).abs() < 4.0 * sigma, "{what}: {ours}, but {theirs} +- {sigma} expected");
    }

    #[test]
    fn single_values_have_their_distribution_whatever_the_correlation() {
        for correlation in [0.0, 0.6] {
            for shape in SHAPES {
                let values = variations(shape, correlation);
                let draws = DRAWS as f64 / inflation(correlation);
                for edge in [-1.5, -0.9, -0.5, -0.2, 0.0, 0.3, 0.8, 1.5, 4.0] {
                    let below = values.iter().filter(|value| **value <= edge).count() as f64 / DRAWS as f64;
                    let expected = share_below(shape, edge).clamp(0.0, 1.0);
                    let sigma = (expected * (1.0 - expected) / draws).sqrt() + 1e-6;
                    assert_near(&format!("{shape:?} {correlation} below {edge}"), below, expected, sigma);
                }
            }
        }
    }

    #[test]
    fn mean_and_deviation_are_those_asked_for() {
        for correlation in [0.0, 0.6] {
            let draws = DRAWS as f64 / inflation(correlation);
            // Variance, and deviation of the squares.
            for (shape, variance, squares) in [
                (JitterShape::Uniform, 1.0 / 3.0, (4.0_f64 / 45.0).sqrt()),
                (JitterShape::Normal, 1.0, 2.0_f64.sqrt()),
            ] {
                let values = variations(shape, correlation);
                assert_near("mean", mean(values.iter().copied()), 0.0, (variance / draws).sqrt());
                assert_near(
                    "square",
                    mean(values.iter().map(|value| value * value)),
                    variance,
                    squares / draws.sqrt(),
                );
            }
            let values = variations(JitterShape::Pareto, correlation);
            assert_near("mean", mean(values.iter().copied()), 0.0, 1.0 / draws.sqrt());
            // Squares have no variance here, but capped ones do: with Y the Pareto distribution on 1 and up and a cap
            // c, the mean of min(Y, c)^2 is 1 + 2 (1 - 1/c), that of min(Y, c)^4 is 1 + 4 (c - 1).
            let cap: f64 = 50.0;
            let squares = mean(values.iter().map(|value| (value * 0.75_f64.sqrt() + 1.5).min(cap).powi(2)));
            let expected = 1.0 + 2.0 * (1.0 - 1.0 / cap);
            let sigma = ((1.0 + 4.0 * (cap - 1.0) - expected * expected) / draws).sqrt();
            assert_near("capped square", squares, expected, sigma);
        }
    }

    #[test]
    fn bounds_are_kept() {
        let extremes = |shape| {
            let values = variations(shape, 0.3);
            (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(f64::MIN, f64::max))
        };
        let (least, most) = extremes(JitterShape::Uniform);
        assert!(least >= -1.0 && most <= 1.0 && most - least > 1.99);
        let (least, most) = extremes(JitterShape::Pareto);
        assert!((-0.577_351..-0.577).contains(&least) && most > 20.0, "{least} to {most}");
    }

    #[test]
    fn successive_values_resemble_each_other_as_asked() {
        let r = 0.6_f64;
        for correlation in [0.0, r] {
            for shape in SHAPES {
                let ranks: Vec<f64> = variations(shape, correlation)
                    .iter()
                    .map(|value| share_below(shape, *value) - 0.5)
                    .collect();
                for lag in [1, 2, 5] {
                    let products = ranks.iter().zip(&ranks[lag..]).map(|(one, other)| one * other * 12.0);
                    let ours = mean(products.collect::<Vec<_>>().into_iter());
                    // The rank correlation of two normal variables.
                    let theirs = 6.0 / PI * (correlation.powi(lag as i32) / 2.0).asin();
                    let sigma = (inflation(correlation) / DRAWS as f64).sqrt();
                    assert_near(&format!("{shape:?} {correlation} lag {lag}"), ours, theirs, sigma);
                }
            }
        }
        let values = variations(JitterShape::Normal, r);
        let products = values.iter().zip(&values[1..]).map(|(one, next)| one * next).collect::<Vec<_>>();
        let sigma = (inflation(r) / DRAWS as f64).sqrt();
        assert_near("correlation", mean(products.into_iter()), r, sigma);
    }

    #[test]
    fn whole_correlation_repeats_the_first_value() {
        for shape in SHAPES {
            let values = variations(shape, 1.0);
            assert!(values.iter().all(|value| *value == values[0]));
        }
    }

    #[test]
    fn the_largest_spread_does_not_overflow() {
        let mut process = JitterProcess::new(Random::new(1));
        let mut jitter = jitter(JitterShape::Pareto, 0.0);
        jitter.spread = Delay::from_nanos(u64::MAX);
        for shape in SHAPES {
            jitter.shape = shape;
            assert!((0..1000).map(|_| process.next(&jitter)).all(|value| value.checked_neg().is_some()));
        }
        jitter.spread = Delay::ZERO;
        assert_eq!(process.next(&jitter), 0);
    }
}
