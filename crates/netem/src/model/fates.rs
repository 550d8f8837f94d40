//! What chance decides about each packet of a link.

use super::Profile;
use super::countdown::Countdown;
use super::jitter::JitterProcess;
use super::loss::LossProcess;
use super::random::Random;
use ::link::Jitter;
use units::Percent;

/// What chance decides about one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// It never arrives; then all else is without meaning.
    pub lost: bool,
    /// It arrives twice.
    pub duplicate: bool,
    /// One bit of it is flipped.
    pub corrupt: bool,
    /// Which bit, if so: any number, to be reduced to the bits that the packet has.
    pub bit: u64,
    /// It passes without delay.
    pub reorder: bool,
    /// How much later than by the delay it comes, or earlier if negative, nanoseconds. Not bounded by the delay.
    pub jitter_ns: i64,
}

/// The fates of all packets of one link, in their order.
///
/// Each purpose has a stream of randomness of its own, and each packet takes its turn in all of them, lost or not: so
/// the fate of packet number n depends on the seed, the names of the link's ends, n and the parameters of that
/// purpose, and on nothing else.
#[derive(Clone, Debug)]
pub struct Fates {
    loss: LossProcess,
    duplicate: Chance,
    corrupt: Chance,
    bits: Random,
    reorder: Chance,
    jitter: Option<Jitter>,
    jitter_process: JitterProcess,
}

impl Fates {
    /// The fates by `profile` on the link from `source` to `destination`.
    pub fn new(profile: &Profile, seed: u64, source: &str, destination: &str) -> Self {
        let stream = |purpose| Random::of_purpose(seed, source, destination, purpose);
        Self {
            loss: LossProcess::new(profile.loss, Random::of_link(seed, source, destination)),
            duplicate: Chance::new(profile.duplicate, stream("duplicate")),
            corrupt: Chance::new(profile.corrupt, stream("corrupt")),
            bits: stream("bit"),
            reorder: Chance::new(profile.reorder, stream("reorder")),
            jitter: profile.jitter,
            jitter_process: JitterProcess::new(stream("jitter")),
        }
    }

    /// The fate of the next packet; of the next frame where a loss takes all that the kernel hands over at once
    /// ([`LossUnit::Skb`](::link::LossUnit)), which the caller knows.
    #[allow(clippy::should_implement_trait, reason = "there is always a next one")]
    pub fn next(&mut self) -> Fate {
        let corrupt = self.corrupt.strikes();
        Fate {
            lost: self.loss.takes_next(),
            duplicate: self.duplicate.strikes(),
            corrupt,
            bit: if corrupt { self.bits.bits() } else { 0 },
            reorder: self.reorder.strikes(),
            jitter_ns: self.jitter.map_or(0, |jitter| self.jitter_process.next(&jitter)),
        }
    }

    /// Goes on by `profile`, for the packets to come. Streams and states are kept: what `profile` leaves as it was
    /// goes on as if nothing had happened, a burst of losses lasts, and variations resemble those before.
    pub fn follow(&mut self, profile: &Profile) {
        self.loss.follow(profile.loss);
        self.duplicate.follow(profile.duplicate);
        self.corrupt.follow(profile.corrupt);
        self.reorder.follow(profile.reorder);
        self.jitter = profile.jitter;
    }
}

/// A rare event with the stream that it is drawn from.
#[derive(Clone, Debug)]
struct Chance {
    random: Random,
    countdown: Countdown,
}

impl Chance {
    fn new(share: Percent, mut random: Random) -> Self {
        let countdown = Countdown::new(share, &mut random);
        Self { random, countdown }
    }

    fn strikes(&mut self) -> bool {
        self.countdown.strikes(&mut self.random)
    }

    fn follow(&mut self, share: Percent) {
        self.countdown.follow(share, &mut self.random);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::link::{JitterShape, LossModel};
    use units::Delay;

    type Event = fn(&Fate) -> bool;

    fn percent(text: &str) -> Percent {
        text.parse().unwrap()
    }

    fn everything() -> Profile {
        let spread = Delay::from_millis(2);
        let correlation = percent("25%");
        Profile {
            loss: LossModel::Independent(percent("20%")),
            duplicate: percent("10%"),
            corrupt: percent("15%"),
            reorder: percent("30%"),
            jitter: Some(Jitter { spread, shape: JitterShape::Normal, correlation, reorder: false }),
            ..Profile::default()
        }
    }

    fn fates(profile: &Profile) -> Fates {
        Fates::new(profile, 42, "edge-1", "fog-1")
    }

    fn take(fates: &mut Fates, packets: usize) -> Vec<Fate> {
        (0..packets).map(|_| fates.next()).collect()
    }

    #[test]
    fn a_default_link_has_no_mishaps() {
        assert!(
            take(&mut fates(&Profile::default()), 10_000).into_iter().all(|fate| fate == Fate::default())
        );
    }

    #[test]
    fn asking_for_one_thing_never_shifts_another() {
        let all = take(&mut fates(&everything()), 10_000);
        let none = Profile::default();
        let only = |profile: Profile| take(&mut fates(&profile), 10_000);
        let asked = everything();
        let parts = [
            only(Profile { loss: asked.loss, ..none }),
            only(Profile { duplicate: asked.duplicate, ..none }),
            only(Profile { corrupt: asked.corrupt, ..none }),
            only(Profile { reorder: asked.reorder, ..none }),
            only(Profile { jitter: asked.jitter, ..none }),
        ];
        for (number, fate) in all.into_iter().enumerate() {
            let [loss, duplicate, corrupt, reorder, jitter] = parts.each_ref().map(|part| part[number]);
            let Fate { corrupt, bit, .. } = corrupt;
            let (lost, duplicate, reorder) = (loss.lost, duplicate.duplicate, reorder.reorder);
            assert_eq!(fate, Fate { lost, duplicate, corrupt, bit, reorder, jitter_ns: jitter.jitter_ns });
        }
    }

    #[test]
    fn mishaps_meet_each_other_by_chance_only() {
        let packets = 400_000;
        let all = take(&mut fates(&everything()), packets);
        let events: [(Event, f64); 5] = [
            (|fate| fate.lost, 0.2),
            (|fate| fate.duplicate, 0.1),
            (|fate| fate.corrupt, 0.15),
            (|fate| fate.reorder, 0.3),
            (|fate| fate.jitter_ns > 0, 0.5),
        ];
        for (first, (one, share)) in events.iter().enumerate() {
            for (second, (other, other_share)) in events.iter().enumerate().skip(first + 1) {
                let met = all.iter().filter(|fate| one(fate) && other(fate)).count() as f64;
                let expected = share * other_share;
                let sigma = (packets as f64 * expected * (1.0 - expected)).sqrt();
                let error = (met - packets as f64 * expected).abs() / sigma;
                assert!(error < 4.0, "events {first} and {second}: {met} together, {error:.1} sigma off");
            }
        }
    }

    #[test]
    fn bits_are_spread_over_the_packet() {
        let all = take(&mut fates(&Profile { corrupt: percent("100%"), ..Profile::default() }), 80_000);
        let mut hits = [0_i32; 8];
        all.iter().for_each(|fate| hits[(fate.bit % 8) as usize] += 1);
        assert!(hits.iter().all(|hits| (hits - 10_000).abs() < 4 * 94), "{hits:?}");
    }

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let mut changed = fates(&everything());
        let mut steady = fates(&everything());
        assert_eq!(take(&mut changed, 1000), take(&mut steady, 1000));
        changed.follow(&Profile { delay: Delay::from_millis(7), cut: true, ..everything() });
        assert_eq!(take(&mut changed, 1000), take(&mut steady, 1000));
        changed.follow(&Profile { loss: LossModel::Independent(percent("100%")), ..everything() });
        for (ours, theirs) in take(&mut changed, 1000).into_iter().zip(take(&mut steady, 1000)) {
            assert_eq!(ours, Fate { lost: true, ..theirs });
        }
        changed.follow(&Profile { loss: LossModel::default(), jitter: None, ..everything() });
        for (ours, theirs) in take(&mut changed, 1000).into_iter().zip(take(&mut steady, 1000)) {
            assert_eq!(ours, Fate { lost: false, jitter_ns: 0, ..theirs });
        }
    }

    #[test]
    fn variations_resemble_those_before_a_change() {
        let spread = Delay::from_millis(2);
        let same = |shape| {
            let jitter = Jitter { spread, shape, correlation: percent("100%"), reorder: false };
            Profile { jitter: Some(jitter), ..Profile::default() }
        };
        let mut fates = fates(&same(JitterShape::Normal));
        let first = fates.next().jitter_ns;
        fates.follow(&Profile::default());
        assert_eq!(fates.next().jitter_ns, 0);
        fates.follow(&same(JitterShape::Pareto));
        fates.next();
        fates.follow(&same(JitterShape::Normal));
        assert_eq!(fates.next().jitter_ns, first);
    }

    #[test]
    fn seed_and_names_decide() {
        let take =
            |seed, source, destination| take(&mut Fates::new(&everything(), seed, source, destination), 100);
        let first = take(1, "a", "b");
        assert_eq!(first, take(1, "a", "b"));
        for other in [take(2, "a", "b"), take(1, "b", "a"), take(1, "a", "c"), take(1, "ab", "")] {
            assert_ne!(first, other);
        }
    }

    /// Change these numbers only together with a note to those who compare runs by seed.
    #[test]
    fn a_seed_means_the_same_in_every_version() {
        let all = take(&mut fates(&everything()), 40);
        let numbers = |event: Event| {
            all.iter()
                .enumerate()
                .filter(|(_, fate)| event(fate))
                .map(|(number, _)| number)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(|fate| fate.lost), [15, 16, 18, 19, 28, 30, 37]);
        assert_eq!(numbers(|fate| fate.duplicate), [4, 12, 16, 21, 33]);
        assert_eq!(numbers(|fate| fate.corrupt), [4, 5, 7, 12, 15, 17, 21, 25, 26, 29]);
        assert_eq!(numbers(|fate| fate.reorder), [1, 7, 10, 15, 21, 22, 24, 26, 37]);
        assert_eq!(
            all[..4].iter().map(|fate| fate.jitter_ns).collect::<Vec<_>>(),
            [1568215, 962469, -1839973, -145733]
        );
    }
}
