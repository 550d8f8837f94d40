//! Which packets of a link are lost.

use super::random::Random;
use ::link::LossModel;

/// Independent losses. Rather than one draw for each packet it draws how many packets survive until the next
/// loss (a geometric distribution), so that a rare loss costs next to nothing.
#[derive(Clone, Debug)]
pub struct LossProcess {
    random: Random,
    /// ln(1 - p); zero when nothing is ever lost.
    log_survival: f64,
    survivors: u64,
}

impl LossProcess {
    /// Losses at the share `loss`, from the stream `random`.
    pub fn new(loss: LossModel, random: Random) -> Self {
        let mut process = Self { random, log_survival: (-loss.mean()).ln_1p(), survivors: 0 };
        process.survivors = process.draw();
        process
    }

    fn draw(&mut self) -> u64 {
        if self.log_survival == 0.0 {
            return u64::MAX;
        }
        // Inversion: floor(ln U / ln(1 - p)). The conversion saturates, and p = 1 divides by -inf, giving 0.
        (self.random.unit().ln() / self.log_survival) as u64
    }

    /// Whether the next packet is lost.
    pub fn takes_next(&mut self) -> bool {
        if self.survivors > 0 {
            self.survivors -= 1;
            return false;
        }
        self.survivors = self.draw();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(percent: &str, seed: u64) -> LossProcess {
        LossProcess::new(LossModel::Independent(percent.parse().unwrap()), Random::new(seed))
    }

    #[test]
    fn shares_are_met_within_four_sigma() {
        for (percent, share) in [("0.1%", 0.001), ("2%", 0.02), ("5%", 0.05), ("60%", 0.6)] {
            let packets = 1_000_000;
            let mut losses = process(percent, 42);
            let lost = (0..packets).filter(|_| losses.takes_next()).count() as f64;
            let sigma = (f64::from(packets) * share * (1.0 - share)).sqrt();
            let error = (lost - f64::from(packets) * share).abs() / sigma;
            assert!(error < 4.0, "{percent}: {lost} lost, {error:.1} sigma off");
        }
    }

    #[test]
    fn nothing_and_everything() {
        assert!((0..10_000).all(|_| process("100%", 1).takes_next()));
        let mut none = process("0%", 1);
        assert!((0..10_000).all(|_| !none.takes_next()));
    }

    #[test]
    fn runs_of_losses_are_independent() {
        // At 50 % a loss is followed by a loss half the time.
        let mut losses = process("50%", 3);
        let fates: Vec<bool> = (0..100_000).map(|_| losses.takes_next()).collect();
        let pairs = fates.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64;
        assert!((pairs / 100_000.0 - 0.25).abs() < 0.01, "{pairs}");
    }
}
