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
        let value = match self.hidden {
            Some(last) if correlation > 0.0 => {
                correlation * last + (1.0 - correlation * correlation).sqrt() * fresh
            }
            _ => fresh,
        };
        self.hidden = Some(value);
        let spreads = match jitter.shape {
            JitterShape::Uniform => 1.0 - 2.0 * normal_tail(value),
            JitterShape::Normal => value,
            JitterShape::Pareto => {
                let excess = exp(ln(normal_tail(value)) / -PARETO_SHAPE);
                (excess - PARETO_MEAN) / PARETO_DEVIATION
            }
        };
        // The conversion saturates; the least number is left out so that the sign can be changed.
        ((spreads * jitter.spread.nanos() as f64).round() as i64).max(-i64::MAX)
    }
}
