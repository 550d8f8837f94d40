//! A distribution of latencies, as an HDR histogram.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Smallest latency that is told apart, in nanoseconds.
const LOWEST_NS: u64 = 1_000;
/// Largest latency that can be recorded; what is longer counts as this long.
const HIGHEST_NS: u64 = 600 * 1_000_000_000;
/// Decimal digits that are kept of every value.
const DIGITS: u8 = 3;

/// A distribution of latencies from 1 microsecond to 10 minutes, three decimal digits kept.
///
/// HDR histogram (Gil Tene, <https://hdrhistogram.org>): constant memory, about 180 KB, whatever the number of
/// samples. A longer latency counts as ten minutes, a shorter one as up to one microsecond.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    histogram: Histogram<u64>,
}

/// One percentile of a distribution, with the number of samples that it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentile {
    /// Which one, 0 to 100.
    pub percentile: f64,
    /// The latency that this share of the samples does not exceed.
    pub latency: Duration,
    /// How many samples are longer. A percentile with fewer than about ten beyond it is mostly chance.
    pub beyond: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// An empty distribution.
    ///
    /// # Panics
    /// Never: the bounds are constants that the histogram accepts.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS);
        Self { histogram: histogram.expect("1 us to 10 min with 3 digits are bounds of a histogram") }
    }

    /// Takes a histogram that was read from a log, whatever its own bounds.
    pub(crate) fn from_histogram(other: &Histogram<u64>) -> Self {
        let mut latency = Self::new();
        for bucket in other.iter_recorded() {
            let count = bucket.count_since_last_iteration();
            latency.histogram.saturating_record_n(bucket.value_iterated_to(), count);
        }
        latency
    }

    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// Records one sample.
    pub fn record(&mut self, latency: Duration) {
        self.record_n(latency, 1);
    }

    /// Records `count` samples of the same latency.
    pub fn record_n(&mut self, latency: Duration, count: u64) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(HIGHEST_NS);
        self.histogram.saturating_record_n(nanos.min(HIGHEST_NS), count);
    }

    /// Adds all samples of another distribution.
    pub fn merge(&mut self, other: &Self) {
        for bucket in other.histogram.iter_recorded() {
            let count = bucket.count_since_last_iteration();
            self.histogram.saturating_record_n(bucket.value_iterated_to().min(HIGHEST_NS), count);
        }
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.histogram.reset();
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// Mean, or `None` without samples.
    pub fn mean(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.histogram.mean() as u64))
    }

    /// Smallest sample (rounded down within the three digits), or `None` without samples.
    pub fn min(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.histogram.min()))
    }

    /// Largest sample (rounded up within the three digits), or `None` without samples.
    pub fn max(&self) -> Option<Duration> {
        (!self.is_empty()).then(|| Duration::from_nanos(self.histogram.max()))
    }

    /// The latency that `percentile` per cent of the samples do not exceed, or `None` without samples.
    /// A percentile outside 0 to 100 is taken as the nearer end.
    pub fn percentile(&self, percentile: f64) -> Option<Duration> {
        (!self.is_empty()).then(|| {
            let nanos = self.histogram.value_at_percentile(percentile.clamp(0.0, 100.0));
            Duration::from_nanos(nanos)
        })
    }

    /// Several percentiles, each with the number of samples beyond it; empty without samples.
    pub fn percentiles(&self, which: &[f64]) -> Vec<Percentile> {
        let each = which.iter().filter_map(|&percentile| {
            let latency = self.percentile(percentile)?;
            Some(Percentile { percentile, latency, beyond: self.count() - self.count_up_to(latency) })
        });
        each.collect()
    }

    /// Number of samples up to and including this latency, within the three digits.
    pub fn count_up_to(&self, latency: Duration) -> u64 {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.count_between(0, nanos)
    }

    /// The distribution as steps: each recorded latency with the number of samples up to it.
    pub fn steps(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let mut below = 0;
        self.histogram.iter_recorded().map(move |bucket| {
            below += bucket.count_since_last_iteration();
            (Duration::from_nanos(bucket.value_iterated_to()), below)
        })
    }
}
