//! How long frames wait in their device before they are read. No clock outside the worker sees that wait, so it is
//! bounded from above: a frame came after the last moment at which its device is known to have been empty.

/// An epoll call that took less did not sleep, or so little that it makes no difference; nanoseconds.
const AWAKE_NS: u64 = 20_000;

/// One call of epoll, by the worker's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    /// Before the call.
    pub(crate) asked: u64,
    /// After it.
    pub(crate) back: u64,
    /// For how long of that the thread could have run but got no CPU, as far as the kernel tells; nanoseconds.
    pub(crate) stalled: u64,
}

impl Poll {
    /// Whether it took so long that it must have slept or been kept from running.
    pub(crate) const fn took_long(asked: u64, back: u64) -> bool {
        back.saturating_sub(asked) > AWAKE_NS
    }

    /// A moment before which devices that it did not report were empty; after a sleep the same holds for all devices,
    /// or one would have ended the sleep earlier.
    const fn empty_at(self) -> (u64, bool) {
        let roused = self.back.saturating_sub(self.stalled);
        if Self::took_long(self.asked, roused) { (roused, true) } else { (self.asked, false) }
    }
}

/// When each device is known to have been empty.
#[derive(Debug)]
pub(crate) struct Waiting {
    devices: Vec<Seen>,
    poll: u64,
    /// When devices not reported by the poll before were empty.
    before: u64,
    /// The same of the present poll.
    now: u64,
    slept: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    empty_at: u64,
    reported_by: u64,
}

impl Waiting {
    /// Devices that have been watched since `now`.
    pub(crate) fn new(devices: usize, now: u64) -> Self {
        let seen = Seen { empty_at: now, reported_by: 0 };
        // Numbers of polls begin above that of the poll that reported nothing.
        Self { devices: vec![seen; devices], poll: 1, before: now, now, slept: false }
    }

    /// Begins to serve what a poll reported.
    pub(crate) const fn polled(&mut self, poll: Poll) {
        self.poll += 1;
        self.before = self.now;
        (self.now, self.slept) = poll.empty_at();
    }

    /// A device was reported by the present poll: when it was last known to be empty. What is read from it may have
    /// waited since then.
    pub(crate) fn reported(&mut self, device: usize) -> u64 {
        let seen = &mut self.devices[device];
        if self.slept {
            seen.empty_at = seen.empty_at.max(self.now);
        } else if seen.reported_by + 1 != self.poll {
            seen.empty_at = seen.empty_at.max(self.before);
        }
        seen.reported_by = self.poll;
        seen.empty_at
    }

    /// A device was read until nothing was left, at `now` or later.
    pub(crate) fn emptied(&mut self, device: usize, now: u64) {
        let seen = &mut self.devices[device];
        seen.empty_at = seen.empty_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn awake(at: u64) -> Poll {
        Poll { asked: at, back: at + 1000, stalled: 0 }
    }

    #[test]
    fn after_a_sleep_nothing_has_waited_longer_than_the_way_to_the_cpu() {
        let mut waiting = Waiting::new(2, 0);
        waiting.polled(Poll { asked: 5_000, back: 9_000_000, stalled: 0 });
        assert_eq!(waiting.reported(0), 9_000_000);
        waiting.polled(Poll { asked: 9_100_000, back: 20_000_000, stalled: 3_000_000 });
        assert_eq!(waiting.reported(1), 17_000_000);
        // All of the time was spent in wait for a CPU: no sleep, the device may have been filled at once.
        waiting.polled(Poll { asked: 21_000_000, back: 24_000_000, stalled: 2_999_000 });
        assert_eq!(
            waiting.reported(0),
            17_000_000,
            "not reported by the poll before, which saw the rest empty"
        );
    }

    #[test]
    fn a_device_that_is_never_empty_has_waited_ever_longer() {
        let mut waiting = Waiting::new(2, 0);
        waiting.polled(awake(10_000));
        let since = waiting.reported(0);
        assert_eq!(since, 0);
        for poll in 2..10 {
            waiting.polled(awake(poll * 10_000));
            assert_eq!(waiting.reported(0), since, "read in part, again and again");
        }
        assert_eq!(waiting.reported(1), 80_000, "seen empty by the poll before");
        waiting.emptied(0, 95_000);
        waiting.polled(awake(100_000));
        assert_eq!(waiting.reported(0), 95_000);
        waiting.polled(awake(110_000));
        waiting.polled(awake(120_000));
        assert_eq!(waiting.reported(0), 110_000, "not reported by the poll at 110,000");
    }
}
