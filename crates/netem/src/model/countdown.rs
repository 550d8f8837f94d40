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
