//! Values over time.

/// Points: seconds since 1970 and a value, in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series(pub(crate) Vec<(f64, f64)>);

impl Series {
    /// The mean of the values; `None` of nothing.
    pub(crate) fn mean(&self) -> Option<f64> {
        let sum: f64 = self.0.iter().map(|point| point.1).sum();
        (!self.0.is_empty()).then(|| sum / self.0.len() as f64)
    }

    /// The largest value.
    pub(crate) fn max(&self) -> Option<f64> {
        self.0.iter().map(|point| point.1).reduce(f64::max)
    }

    /// The last value.
    pub(crate) fn last(&self) -> Option<f64> {
        self.0.last().map(|point| point.1)
    }

    /// The middle value, or the higher of the two.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut values: Vec<f64> = self.0.iter().map(|point| point.1).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// Of a total: how much came to it per second. A total that began anew, after a restart, leaves a gap.
    pub(crate) fn per_second(&self) -> Self {
        let rates = self.0.windows(2).filter_map(|pair| {
            let (span, more) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
            (span > 0.0 && more >= 0.0).then(|| (pair[1].0, more / span))
        });
        Self(rates.collect())
    }

    /// Of a total: how much came to it in all, restarts passed over.
    pub(crate) fn growth(&self) -> f64 {
        self.0.windows(2).map(|pair| (pair[1].1 - pair[0].1).max(0.0)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_begins_anew_leaves_a_gap() {
        let total = Series(vec![(0.0, 10.0), (2.0, 30.0), (3.0, 0.0), (4.0, 5.0)]);
        assert_eq!(total.per_second(), Series(vec![(2.0, 10.0), (4.0, 5.0)]));
        assert_eq!((total.growth(), total.last(), total.max()), (25.0, Some(5.0), Some(30.0)));
        assert_eq!(Series::default().mean(), None);
    }
}
