//! A histogram of fixed size for durations: 32 buckets per power of two, so that any value is kept to 3 %, as
//! HdrHistogram does it.

/// Buckets per power of two, as a power of two.
const PRECISION_BITS: u32 = 5;
const PER_POWER: usize = 1 << PRECISION_BITS;
/// Values below [`PER_POWER`] are exact; each power of two above has its buckets.
const BUCKETS: usize = (64 - PRECISION_BITS as usize + 1) * PER_POWER;

/// Counts of durations in nanoseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), max: 0 }
    }

    /// Counts `value` `times` times.
    pub(crate) fn record(&mut self, value: u64, times: u64) {
        self.counts[bucket_of(value)] += times;
        self.max = self.max.max(value);
    }

    /// The largest value.
    pub(crate) const fn max(&self) -> u64 {
        self.max
    }

    /// The buckets in use: (largest value of the bucket, count), ascending.
    pub(crate) fn buckets(&self) -> Vec<(u64, u64)> {
        let used = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        used.map(|(bucket, count)| (largest_in(bucket), *count)).collect()
    }
}

const fn bucket_of(value: u64) -> usize {
    if value < PER_POWER as u64 {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - PRECISION_BITS;
    (shift as usize + 1) * PER_POWER + (value >> shift) as usize - PER_POWER
}

const fn largest_in(bucket: usize) -> u64 {
    if bucket < PER_POWER {
        return bucket as u64;
    }
    let shift = bucket / PER_POWER - 1;
    let mantissa = (bucket % PER_POWER + PER_POWER) as u64;
    // The last bucket ends at the largest number there is.
    (mantissa << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_is_in_its_bucket_to_three_percent(value: u64) {
            let bucket = bucket_of(value);
            let bound = largest_in(bucket);
            prop_assert!(bound >= value);
            prop_assert!((bound - value) as f64 <= value as f64 / 32.0);
            prop_assert!(bucket == 0 || largest_in(bucket - 1) < value);
        }
    }

    #[test]
    fn the_ends_fit() {
        let mut histogram = Histogram::new();
        histogram.record(0, 2);
        histogram.record(u64::MAX, 1);
        assert_eq!(histogram.buckets(), [(0, 2), (u64::MAX, 1)]);
        assert_eq!(histogram.max(), u64::MAX);
    }
}
