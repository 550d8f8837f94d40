//! Distributions of durations, as values.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How late packets left, or how long they waited: nanoseconds, one entry per wire packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Packets measured.
    pub count: u64,
    /// Median, to 3 %.
    pub p50_ns: u64,
    /// 90th percentile, to 3 %.
    pub p90_ns: u64,
    /// 99th percentile, to 3 %.
    pub p99_ns: u64,
    /// 99.9th percentile, to 3 %.
    pub p999_ns: u64,
    /// Largest, exact (of a difference of two snapshots: to 3 %).
    pub max_ns: u64,
    /// The histogram behind these: (largest value of a bucket, packets in it), empty buckets left out.
    pub buckets: Vec<(u64, u64)>,
}

impl Lateness {
    /// Summarises buckets that ascend by value.
    pub(crate) fn from_buckets(buckets: Vec<(u64, u64)>, max_ns: u64) -> Self {
        let count = buckets.iter().map(|(_, packets)| packets).sum();
        let percentile = |per_mille: u64| {
            let rank = (u128::from(count) * u128::from(per_mille)).div_ceil(1000) as u64;
            let mut below = 0;
            let reached = buckets.iter().find(|(_, packets)| {
                below += packets;
                below >= rank.max(1)
            });
            reached.map_or(0, |(value, _)| (*value).min(max_ns))
        };
        let (p50_ns, p90_ns) = (percentile(500), percentile(900));
        let (p99_ns, p999_ns) = (percentile(990), percentile(999));
        Self { count, p50_ns, p90_ns, p99_ns, p999_ns, max_ns, buckets }
    }

    /// The distribution of all packets of two others.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let mut buckets: BTreeMap<u64, u64> = self.buckets.iter().copied().collect();
        for (value, packets) in &other.buckets {
            *buckets.entry(*value).or_default() += packets;
        }
        Self::from_buckets(buckets.into_iter().collect(), self.max_ns.max(other.max_ns))
    }

    /// The lateness of the packets that left after `earlier` was taken.
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |value| {
            let found = earlier.buckets.binary_search_by_key(&value, |(bound, _)| *bound);
            found.map_or(0, |position| earlier.buckets[position].1)
        };
        let buckets: Vec<_> = self
            .buckets
            .iter()
            .map(|(value, packets)| (*value, packets.saturating_sub(before(*value))))
            .filter(|(_, packets)| *packets > 0)
            .collect();
        let max_ns = buckets.last().map_or(0, |(value, _)| (*value).min(self.max_ns));
        Self::from_buckets(buckets, max_ns)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The lateness of so many packets each.
    pub(crate) fn lateness(values: &[(u64, u64)]) -> Lateness {
        let max = values.last().map_or(0, |(value, _)| *value);
        Lateness::from_buckets(values.to_vec(), max)
    }

    #[test]
    fn percentiles_are_of_the_counted_packets() {
        let lateness = lateness(&[(10, 90), (20, 9), (30, 1)]);
        assert_eq!((lateness.count, lateness.p50_ns, lateness.p90_ns), (100, 10, 10));
        assert_eq!((lateness.p99_ns, lateness.p999_ns, lateness.max_ns), (20, 30, 30));
        assert_eq!(Lateness::from_buckets(Vec::new(), 0), Lateness::default());
    }

    #[test]
    fn merging_counts_all_packets() {
        let (one, other) = (lateness(&[(10, 1), (30, 2)]), lateness(&[(20, 4), (30, 8)]));
        assert_eq!(one.merged(&other), lateness(&[(10, 1), (20, 4), (30, 10)]));
    }

    #[test]
    fn a_difference_forgets_what_came_before() {
        let earlier = lateness(&[(10, 5), (5_000_000, 3)]);
        let later = lateness(&[(10, 9), (40, 4), (5_000_000, 3)]);
        assert_eq!(later.since(&earlier), lateness(&[(10, 4), (40, 4)]));
    }
}
