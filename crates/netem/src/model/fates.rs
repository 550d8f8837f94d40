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
