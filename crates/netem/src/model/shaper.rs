//! The bottleneck of a link: a transmitter of a fixed rate with a bounded queue before it.

use ::link::{Limit, Queue};
use units::Rate;

/// Idle time that is made good, nanoseconds. The emulator reads packets late by up to a few milliseconds on a
/// busy machine; without credit a transmitter that was idle on paper only would lose that time for good.
pub const BURST_NS: u64 = 2_000_000;

/// A transmitter. It keeps no packets, only the time at which the last admitted one has left.
#[derive(Clone, Debug)]
pub struct Shaper {
    bits_per_s: u64,
    queue_ns: u64,
    next_free_ns: u64,
    /// What whole nanoseconds leave over, in bits x 10^9 / s, so that rounding never changes the rate.
    carry: u64,
}

impl Shaper {
    /// A transmitter of `rate` with room for `queue`.
    pub fn new(rate: Rate, queue: Queue) -> Self {
        let bytes = match queue.limit {
            Limit::Packets(packets) => u64::from(packets) * 1514,
            Limit::Bytes(size) => size.bytes(),
            Limit::Time(delay) => rate.bytes_in(delay.nanos()),
        };
        let queue_ns = u128::from(bytes) * 8_000_000_000 / u128::from(rate.bits_per_s());
        let queue_ns = u64::try_from(queue_ns).unwrap_or(u64::MAX);
        Self { bits_per_s: rate.bits_per_s(), queue_ns, next_free_ns: 0, carry: 0 }
    }

    /// Sends a packet of `bytes` that arrives at `now`: the time when its last bit has left, or `None` when the
    /// queue has no room for it. An idle transmitter takes any packet.
    pub fn admit(&mut self, now: u64, bytes: u64) -> Option<u64> {
        let earliest = now.saturating_sub(BURST_NS);
        let (start, carry) =
            if self.next_free_ns < earliest { (earliest, 0) } else { (self.next_free_ns, self.carry) };
        let work = bytes * 8_000_000_000 + carry;
        let departure = start + work / self.bits_per_s;
        let backlog_ns = start.saturating_sub(now);
        if backlog_ns > 0 && departure - now > self.queue_ns {
            return None;
        }
        self.next_free_ns = departure;
        self.carry = work % self.bits_per_s;
        Some(departure.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::Size;

    fn shaper(rate: &str, queue: u64) -> Shaper {
        Shaper::new(
            rate.parse().unwrap(),
            Queue { limit: Limit::Bytes(Size::from_bytes(queue)), ..Queue::default() },
        )
    }

    #[test]
    fn a_long_train_takes_exactly_its_time() {
        // 7 mbit/s doesn't divide a nanosecond: 1,000 packets of 1,514 bytes take 1,730,285,714.28 ns.
        let mut shaper = shaper("7mbit", 10_000_000);
        let now = 1_000_000_000;
        let last = (0..1000).map(|_| shaper.admit(now, 1514).unwrap()).last().unwrap();
        assert_eq!(last, now - BURST_NS + 1_730_285_714);
    }

    #[test]
    fn credit_never_exceeds_the_burst() {
        let mut shaper = shaper("8mbit", 1_000_000);
        let now = 60_000_000_000;
        // 8 mbit/s is a byte each microsecond: the burst is 2,000 bytes.
        assert_eq!(shaper.admit(now, 2000), Some(now));
        assert_eq!(shaper.admit(now, 1000), Some(now + 1_000_000));
    }

    #[test]
    fn a_full_queue_refuses_and_an_idle_link_takes_anything() {
        let mut shaper = shaper("8mbit", 3000);
        let now = 0;
        assert!(shaper.admit(now, 9000).is_some(), "idle");
        assert_eq!(shaper.admit(now, 1000), None);
        assert_eq!(shaper.admit(7_000_000, 1000), Some(10_000_000), "2,000 bytes left, 1,000 fit");
        assert_eq!(shaper.admit(7_000_000, 1), None);
    }
}
