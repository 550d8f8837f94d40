//! Which packets of a link are lost.

use super::countdown::Countdown;
use super::random::Random;
use ::link::LossModel;
use units::Percent;

/// The losses of one link.
#[derive(Clone, Debug)]
pub struct LossProcess {
    random: Random,
    model: LossModel,
    course: Course,
}

#[derive(Clone, Debug)]
enum Course {
    Independent(Countdown),
    Bursts(Bursts),
}

/// The chain of Gilbert and Elliott. A packet is lost by the state that it meets, then the state may change. The
/// stay in each state is drawn as a whole.
#[derive(Clone, Debug)]
struct Bursts {
    bad: bool,
    change: Countdown,
    /// In the good and in the bad state; while the other lasts, a countdown rests, which changes no odds.
    losses: [Countdown; 2],
}

impl LossProcess {
    /// Losses by `model`, from the stream `random`; a link begins in the good state.
    pub fn new(model: LossModel, mut random: Random) -> Self {
        let course = Course::new(model, false, &mut random);
        Self { random, model, course }
    }

    /// Whether the next packet is lost.
    pub fn takes_next(&mut self) -> bool {
        match &mut self.course {
            Course::Independent(losses) => losses.strikes(&mut self.random),
            Course::Bursts(bursts) => bursts.takes_next(self.model, &mut self.random),
        }
    }

    /// Goes on by `model`. A link in the bad state stays there if the new model has one.
    pub fn follow(&mut self, model: LossModel) {
        if model != self.model {
            let bad = matches!(&self.course, Course::Bursts(bursts) if bursts.bad);
            self.course = Course::new(model, bad, &mut self.random);
            self.model = model;
        }
    }
}

impl Course {
    fn new(model: LossModel, begins_bad: bool, random: &mut Random) -> Self {
        match model {
            LossModel::Independent(share) => Self::Independent(Countdown::new(share, random)),
            LossModel::GilbertElliott { to_bad, to_good, bad, good } => {
                let leaving = if begins_bad { to_good } else { to_bad };
                let change = Countdown::new(leaving, random);
                let losses = [good, bad].map(|share: Percent| Countdown::new(share, random));
                Self::Bursts(Bursts { bad: begins_bad, change, losses })
            }
        }
    }
}

impl Bursts {
    fn takes_next(&mut self, model: LossModel, random: &mut Random) -> bool {
        let lost = self.losses[usize::from(self.bad)].strikes(random);
        if self.change.strikes(random) {
            self.bad = !self.bad;
            if let LossModel::GilbertElliott { to_bad, to_good, .. } = model {
                self.change = Countdown::new(if self.bad { to_good } else { to_bad }, random);
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(fraction: f64) -> Percent {
        Percent::from_fraction(fraction).unwrap()
    }

    /// p, r, 1 - h, 1 - k.
    fn bursts([to_bad, to_good, bad, good]: [f64; 4]) -> LossModel {
        let (to_bad, to_good) = (percent(to_bad), percent(to_good));
        LossModel::GilbertElliott { to_bad, to_good, bad: percent(bad), good: percent(good) }
    }

    fn losses(model: LossModel, seed: u64, packets: usize) -> Vec<bool> {
        let mut process = LossProcess::new(model, Random::new(seed));
        (0..packets).map(|_| process.takes_next()).collect()
    }

    #[test]
    fn the_share_of_bursts_is_that_of_theory() {
        for numbers @ [p, r, bad, good] in
            [[0.001, 0.1, 1.0, 0.0], [0.02, 0.3, 0.7, 0.01], [0.5, 0.5, 0.4, 0.1], [0.9, 0.95, 1.0, 0.0]]
        {
            let packets = 2_000_000;
            let lost = losses(bursts(numbers), 11, packets).into_iter().filter(|lost| *lost).count() as f64;
            let mean = bursts(numbers).mean();
            // Neighbours resemble each other by the chain's second eigenvalue, 1 - p - r.
            let memory = 1.0 - p - r;
            let in_bad = p / (p + r);
            let states = (bad - good).powi(2) * in_bad * (1.0 - in_bad);
            let variance = mean * (1.0 - mean) + 2.0 * states * memory / (1.0 - memory);
            let error = (lost - packets as f64 * mean).abs() / (packets as f64 * variance).sqrt();
            assert!(error < 4.0, "{numbers:?}: {lost} lost, {error:.1} sigma off");
        }
    }

    #[test]
    fn bursts_and_gaps_are_geometric() {
        let (p, r) = (0.01, 0.25);
        let fates = losses(bursts([p, r, 1.0, 0.0]), 12, 2_000_000);
        let runs: Vec<&[bool]> = fates.chunk_by(|one, next| one == next).collect();
        for (lost, leaving) in [(true, r), (false, p)] {
            let lengths: Vec<f64> =
                runs.iter().filter(|run| run[0] == lost).map(|run| run.len() as f64).collect();
            let count = lengths.len() as f64;
            let mean = lengths.iter().sum::<f64>() / count;
            let sigma = (1.0 - leaving).sqrt() / leaving / count.sqrt();
            assert!(
                (mean - 1.0 / leaving).abs() < 4.0 * sigma,
                "{lost}: runs of {mean}, {} expected",
                1.0 / leaving
            );
            let longer = lengths.iter().filter(|length| **length > 3.0).count() as f64 / count;
            let expected = (1.0 - leaving).powi(3);
            let sigma = (expected * (1.0 - expected) / count).sqrt();
            assert!(
                (longer - expected).abs() < 4.0 * sigma,
                "{lost}: {longer} longer than 3, {expected} expected"
            );
        }
    }

    /// Each pattern of losses among the first five packets of a link is as frequent as the chain makes it, packet by
    /// packet, from the good state on.
    #[test]
    fn first_packets_follow_the_chain_from_the_good_state() {
        const PACKETS: usize = 5;
        let numbers @ [p, r, bad, good] = [0.3, 0.4, 0.8, 0.1];
        let links = 200_000;
        let mut seen = [0_u32; 1 << PACKETS];
        for seed in 0..links {
            let fates = losses(bursts(numbers), seed, PACKETS);
            seen[fates.iter().fold(0, |pattern, lost| pattern << 1 | usize::from(*lost))] += 1;
        }
        for (pattern, seen) in seen.into_iter().enumerate() {
            // Probabilities of having seen the pattern so far and being in the good and in the bad state.
            let (mut in_good, mut in_bad) = (1.0, 0.0);
            for packet in (0..PACKETS).rev() {
                let lost = pattern >> packet & 1 == 1;
                let (after_good, after_bad) = (
                    in_good * if lost { good } else { 1.0 - good },
                    in_bad * if lost { bad } else { 1.0 - bad },
                );
                in_good = after_good * (1.0 - p) + after_bad * r;
                in_bad = after_good * p + after_bad * (1.0 - r);
            }
            let expected = (in_good + in_bad) * links as f64;
            let error = (f64::from(seen) - expected).abs() / expected.sqrt();
            assert!(error < 4.0, "{pattern:05b}: {seen} seen, {expected:.0} expected");
        }
    }

    #[test]
    fn extreme_chains() {
        assert!(losses(bursts([0.0, 0.0, 1.0, 0.0]), 1, 1000).into_iter().all(|lost| !lost));
        assert!(losses(bursts([0.0, 1.0, 0.0, 1.0]), 1, 1000).into_iter().all(|lost| lost));
        let alternating = losses(bursts([1.0, 1.0, 1.0, 0.0]), 1, 1000);
        assert!(alternating.into_iter().enumerate().all(|(number, lost)| lost == (number % 2 == 1)));
        let stuck = losses(bursts([1.0, 0.0, 1.0, 0.0]), 1, 1000);
        assert_eq!(stuck.iter().position(|lost| *lost), Some(1));
        assert!(stuck[1..].iter().all(|lost| *lost));
    }

    #[test]
    fn following_the_same_model_changes_nothing() {
        for model in [LossModel::Independent(percent(0.1)), bursts([0.1, 0.3, 0.9, 0.05])] {
            let mut process = LossProcess::new(model, Random::new(3));
            let fates: Vec<bool> = (0..10_000)
                .map(|_| {
                    process.follow(model);
                    process.takes_next()
                })
                .collect();
            assert_eq!(fates, losses(model, 3, 10_000));
        }
    }

    #[test]
    fn a_burst_outlasts_a_change_and_an_end_of_bursts_ends_it() {
        let mut process = LossProcess::new(bursts([1.0, 0.0, 1.0, 0.0]), Random::new(4));
        process.takes_next();
        process.follow(bursts([0.0, 0.0, 1.0, 0.0]));
        assert!((0..100).all(|_| process.takes_next()), "still bad");
        process.follow(LossModel::default());
        assert!((0..100).all(|_| !process.takes_next()));
        process.follow(bursts([0.0, 0.0, 1.0, 0.0]));
        assert!((0..100).all(|_| !process.takes_next()), "good again");
    }

    #[test]
    fn a_new_share_holds_from_the_next_packet_on() {
        let mut process = LossProcess::new(LossModel::Independent(percent(1e-9)), Random::new(6));
        process.takes_next();
        process.follow(LossModel::Independent(percent(0.3)));
        let lost = (0..100_000).filter(|_| process.takes_next()).count() as f64;
        assert!((lost - 30_000.0).abs() < 4.0 * (100_000.0_f64 * 0.3 * 0.7).sqrt(), "{lost}");
    }
}
