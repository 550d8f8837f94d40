//! How far event time has come. Pure: the time of day is an argument.
//!
//! A partition's watermark is its newest event time minus a bound; the whole is the least of its partitions,
//! leaving out those that have been silent for a while (Akidau et al., "The Dataflow Model", VLDB 2015;
//! idleness as in Flink). It never goes back.

use std::collections::BTreeMap;

#[derive(Debug)]
struct Partition {
    newest_unix_ns: Option<u64>,
    heard_ns: u64,
}

/// The watermark over some partitions.
#[derive(Debug)]
pub(super) struct Watermarks {
    bound_ns: u64,
    idle_ns: u64,
    partitions: BTreeMap<i32, Partition>,
    current_unix_ns: Option<u64>,
}

impl Watermarks {
    /// Over `partitions`, none of which has been heard of at `now_ns` (any clock that does not go back).
    pub(super) fn new(
        bound_ns: u64,
        idle_ns: u64,
        partitions: impl IntoIterator<Item = i32>,
        now_ns: u64,
    ) -> Self {
        let silent = |number| (number, Partition { newest_unix_ns: None, heard_ns: now_ns });
        let partitions = partitions.into_iter().map(silent).collect();
        Self { bound_ns, idle_ns, partitions, current_unix_ns: None }
    }

    /// A record with this event time came from a partition.
    pub(super) fn observe(&mut self, partition: i32, event_unix_ns: u64, now_ns: u64) {
        let known =
            self.partitions.entry(partition).or_insert(Partition { newest_unix_ns: None, heard_ns: now_ns });
        known.newest_unix_ns = known.newest_unix_ns.max(Some(event_unix_ns));
        known.heard_ns = known.heard_ns.max(now_ns);
    }

    /// The watermark at `now_ns`: no frame taken before it is expected any more. `None` while nothing can be
    /// said.
    pub(super) fn advance(&mut self, now_ns: u64) -> Option<u64> {
        let awake = |p: &&Partition| now_ns.saturating_sub(p.heard_ns) < self.idle_ns;
        // A partition that is awake but has not spoken holds everything back: `None` is the least.
        let least = self.partitions.values().filter(awake).map(|p| p.newest_unix_ns).min().flatten();
        let reached = least.map(|newest| newest.saturating_sub(self.bound_ns));
        self.current_unix_ns = self.current_unix_ns.max(reached);
        self.current_unix_ns
    }

    /// The newest event time of a partition, if it has spoken.
    pub(super) fn newest(&self, partition: i32) -> Option<u64> {
        self.partitions.get(&partition).and_then(|known| known.newest_unix_ns)
    }

    /// Goes on where an earlier process was: `newest` by partition, and the watermark it had reached. Silence is
    /// counted from `now_ns`.
    pub(super) fn restore(&mut self, newest: &BTreeMap<i32, u64>, reached: Option<u64>, now_ns: u64) {
        for (partition, newest) in newest {
            self.observe(*partition, *newest, now_ns);
        }
        self.current_unix_ns = self.current_unix_ns.max(reached);
    }

    /// The watermark as it was at the last advance.
    pub(super) fn current(&self) -> Option<u64> {
        self.current_unix_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_slowest_partition_holds_it_back_until_it_is_idle() {
        let mut marks = Watermarks::new(10, 100, [0, 1], 0);
        marks.observe(0, 500, 1);
        assert_eq!(marks.advance(1), None, "partition 1 may still bring anything");
        marks.observe(1, 50, 2);
        assert_eq!(marks.advance(2), Some(40));
        marks.observe(0, 600, 90);
        assert_eq!(marks.advance(101), Some(40));
        assert_eq!(marks.advance(102), Some(590), "partition 1 has been silent for 100");
        marks.observe(1, 60, 103);
        assert_eq!(marks.advance(103), Some(590), "it never goes back");
        assert_eq!(marks.advance(1_000), Some(590), "when all are idle it stays");
    }

    proptest! {
        #[test]
        fn never_goes_back_and_never_passes_the_newest(
            steps in prop::collection::vec((0i32..4, 0u64..10_000, 0u64..50), 1..200),
        ) {
            let mut marks = Watermarks::new(7, 60, 0..4, 0);
            let (mut now, mut newest, mut before) = (0, 0, None);
            for (partition, event, pause) in steps {
                now += pause;
                newest = newest.max(event);
                marks.observe(partition, event, now);
                let mark = marks.advance(now);
                prop_assert!(mark >= before);
                prop_assert!(mark.is_none_or(|mark| mark <= newest.saturating_sub(7)));
                before = mark;
            }
        }
    }
}
