//! How fast a bottleneck sends: at a rate, or at the moments of a recording.

use ::link::DELIVERY_BYTES;
use std::sync::Arc;
use units::Rate;

/// Idle time that is made good, nanoseconds. The emulator reads packets late by up to a few milliseconds on a
/// busy machine; without credit a transmitter that was idle on paper only would lose that time for good.
pub const BURST_NS: u64 = 2_000_000;

/// Work is counted in billionths of a bit: a rate in bits/s times nanoseconds, so that nothing is ever rounded.
const WORK_PER_BYTE: u64 = 8_000_000_000;

/// What one delivery of a recording can carry.
pub const DELIVERY_WORK: u64 = DELIVERY_BYTES * WORK_PER_BYTE;

const NANOS_PER_MS: u64 = 1_000_000;

/// The work that a packet is.
pub const fn work_of(bytes: u64) -> u64 {
    bytes * WORK_PER_BYTE
}

/// What a bottleneck is asked to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Capacity {
    /// None.
    #[default]
    Unlimited,
    /// A rate.
    Rate(Rate),
    /// A recording.
    Granted(Grant),
}

/// Mahimahi's packet-delivery format, from some moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// When the recording began.
    pub begin: u64,
    /// The moments of its deliveries, milliseconds since the beginning, ascending, the last above zero.
    pub moments: Arc<[u64]>,
}

impl Grant {
    /// The mean rate, at least one bit per second.
    pub fn mean(&self) -> Option<Rate> {
        let millis = u128::from(*self.moments.last()?).max(1);
        let bits = self.moments.len() as u128 * u128::from(DELIVERY_BYTES) * 8 * 1000 / millis;
        Rate::from_bits_per_s(u64::try_from(bits).unwrap_or(u64::MAX).max(1))
    }
}

/// A transmitter of a fixed rate.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bits_per_s: u64,
    /// Up to when work is done, or since when there is none.
    since: u64,
    /// Work left at `since`. Without a packet: what whole nanoseconds left over, so that rounding never changes the rate.
    work: u64,
}

impl Pace {
    /// A transmitter of `rate` that has `work` to do from `now` on.
    pub const fn new(rate: Rate, now: u64, work: u64) -> Self {
        Self { bits_per_s: rate.bits_per_s(), since: now, work }
    }

    /// Bits per second.
    pub const fn bits_per_s(&self) -> u64 {
        self.bits_per_s
    }

    /// Forgets idle time beyond the credit.
    pub const fn rest_until(&mut self, now: u64) {
        let earliest = now.saturating_sub(BURST_NS);
        if self.since < earliest {
            (self.since, self.work) = (earliest, 0);
        }
    }

    /// When `more` work behind what there is will be done.
    pub const fn done_with(&self, more: u64) -> u64 {
        self.since.saturating_add((self.work + more) / self.bits_per_s)
    }

    /// Takes a packet.
    pub const fn begin(&mut self, bytes: u64) {
        self.work += work_of(bytes);
    }

    /// Is done with the packet: when that was.
    pub const fn finish(&mut self) -> u64 {
        self.since = self.done_with(0);
        self.work %= self.bits_per_s;
        self.since
    }

    /// Work left at `now`, before it is done.
    pub const fn left(&self, now: u64) -> u64 {
        self.work - (now - self.since) * self.bits_per_s
    }

    /// The greatest work that is done by `moment`, counted from where `self` stands.
    pub const fn done_by(&self, moment: u64) -> u128 {
        (moment.saturating_sub(self.since) as u128 + 1) * self.bits_per_s as u128 - 1
    }

    /// The work that there is.
    pub const fn work(&self) -> u64 {
        self.work
    }

    /// Goes on at another rate from `now` on. An idle transmitter keeps its credit, as work.
    pub fn change(&mut self, now: u64, rate: Rate, busy: bool) {
        if busy {
            (self.work, self.since) = (self.left(now), now);
            self.bits_per_s = rate.bits_per_s();
            return;
        }
        self.rest_until(now);
        let credit = u128::from(now - self.since) * u128::from(self.bits_per_s);
        self.bits_per_s = rate.bits_per_s();
        let Some(credit) = credit.checked_sub(self.work.into()) else {
            self.since = now;
            return;
        };
        let nanos = credit.div_ceil(self.bits_per_s.into());
        (self.since, self.work) = match u64::try_from(nanos) {
            // The difference is less than one nanosecond's work.
            Ok(nanos) if nanos <= BURST_NS.min(now) => {
                (now - nanos, (u128::from(nanos) * u128::from(self.bits_per_s) - credit) as u64)
            }
            _ => (now.saturating_sub(BURST_NS), 0),
        };
    }
}

/// The deliveries of a recording, one after the other.
#[derive(Clone, Debug)]
pub struct Chances {
    grant: Grant,
    /// When the current repetition began.
    cycle: u64,
    index: usize,
    /// Work left of the packet that was begun.
    pub work: u64,
}

impl Chances {
    /// The deliveries from `now` on, with `work` to do.
    pub fn new(grant: Grant, now: u64, work: u64) -> Self {
        let cycle = grant.begin;
        let mut chances = Self { grant, cycle, index: 0, work };
        if now > chances.grant.begin {
            chances.skip(now - 1);
        }
        chances
    }

    /// The recording.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// When the next one is.
    pub fn next(&self) -> u64 {
        self.cycle.saturating_add(self.grant.moments[self.index] * NANOS_PER_MS)
    }

    /// Uses the next one up.
    pub fn take(&mut self) {
        self.index += 1;
        if self.index == self.grant.moments.len() {
            self.index = 0;
            self.cycle = self.cycle.saturating_add(self.period());
        }
    }

    /// Lets all pass that are not after `now`, which is not before the beginning.
    pub fn skip(&mut self, now: u64) {
        let begin = self.grant.begin;
        self.cycle = begin + (now - begin) / self.period() * self.period();
        let since = now - self.cycle;
        self.index = self.grant.moments.partition_point(|moment| moment * NANOS_PER_MS <= since);
    }

    fn period(&self) -> u64 {
        self.grant.moments[self.grant.moments.len() - 1] * NANOS_PER_MS
    }
}
