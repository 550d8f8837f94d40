//! Rare events that befall each packet with the same probability.

use super::elementary::{ln, ln_of_one_less};
use super::random::Random;
use units::Percent;

/// Rather than one draw for each packet it draws how many packets are spared until the next event (a geometric
/// distribution), so that a rare event costs next to nothing.
#[derive(Clone, Copy, Debug)]
pub struct Countdown {
    share: Percent,
    /// ln(1 - p).
    log_spared: f64,
    spared: u64,
}

impl Countdown {
    /// Events at `share`, the first drawn from `random`.
    pub fn new(share: Percent, random: &mut Random) -> Self {
        let log_spared = if is_certain(share) { 0.0 } else { ln_of_one_less(share.fraction()) };
        let mut countdown = Self { share, log_spared, spared: 0 };
        countdown.spared = countdown.draw(random);
        countdown
    }

    /// Whether the next packet meets the event.
    pub fn strikes(&mut self, random: &mut Random) -> bool {
        if self.spared > 0 {
            self.spared -= 1;
            return false;
        }
        self.spared = self.draw(random);
        true
    }

    /// Goes on at `share`. What was drawn stays if that is the share already; else the packets spared so far say
    /// nothing about those to come, and a new draw is right.
    pub fn follow(&mut self, share: Percent, random: &mut Random) {
        if share != self.share {
            *self = Self::new(share, random);
        }
    }

    fn draw(&self, random: &mut Random) -> u64 {
        if self.share == Percent::NONE {
            u64::MAX
        } else if is_certain(self.share) {
            0
        } else {
            // Inversion: floor(ln U / ln(1 - p)).
            (ln(random.unit()) / self.log_spared) as u64
        }
    }
}

fn is_certain(share: Percent) -> bool {
    share.per_billion() == 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(share: &str, packets: usize) -> Vec<bool> {
        let mut random = Random::new(42);
        let mut countdown = Countdown::new(share.parse().unwrap(), &mut random);
        (0..packets).map(|_| countdown.strikes(&mut random)).collect()
    }

    #[test]
    fn shares_are_met_within_four_sigma() {
        for (percent, share) in [("0.1%", 0.001), ("2%", 0.02), ("5%", 0.05), ("60%", 0.6), ("99.9%", 0.999)]
        {
            let packets = 1_000_000;
            let met = strikes(percent, packets).into_iter().filter(|strike| *strike).count() as f64;
            let sigma = (packets as f64 * share * (1.0 - share)).sqrt();
            let error = (met - packets as f64 * share).abs() / sigma;
            assert!(error < 4.0, "{percent}: {met} met, {error:.1} sigma off");
        }
    }

    #[test]
    fn never_and_always() {
        assert!(strikes("100%", 10_000).into_iter().all(|strike| strike));
        assert!(strikes("0%", 10_000).into_iter().all(|strike| !strike));
    }

    #[test]
    fn events_are_independent() {
        // At 50 % an event is followed by another half the time.
        let strikes = strikes("50%", 100_000);
        let pairs = strikes.windows(2).filter(|pair| pair[0] && pair[1]).count() as f64;
        assert!((pairs / 100_000.0 - 0.25).abs() < 0.01, "{pairs}");
    }

    #[test]
    fn the_rarest_share_has_the_right_mean() {
        let mut random = Random::new(1);
        let share: Percent = "0.0000001%".parse().unwrap();
        let draws = 10_000;
        let spared = (0..draws).map(|_| Countdown::new(share, &mut random).spared as f64);
        let mean = spared.sum::<f64>() / f64::from(draws);
        // A geometric distribution of mean 10^9 deviates by as much.
        assert!((mean / 1e9 - 1.0).abs() < 4.0 / f64::from(draws).sqrt(), "{mean}");
    }

    #[test]
    fn the_same_share_goes_on_and_another_begins_anew() {
        let mut random = Random::new(5);
        let mut countdown = Countdown::new("1%".parse().unwrap(), &mut random);
        let spared = countdown.spared;
        countdown.follow("1%".parse().unwrap(), &mut random);
        assert_eq!(countdown.spared, spared);
        countdown.follow("100%".parse().unwrap(), &mut random);
        assert!(countdown.strikes(&mut random));
        countdown.follow(Percent::NONE, &mut random);
        assert!((0..1000).all(|_| !countdown.strikes(&mut random)));
    }
}
