//! Ticks: round numbers on a linear or logarithmic axis.

use super::Scale;

/// Maps values of an axis to pixels and names its ticks.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    pixel_low: f64,
    pixel_high: f64,
}

impl Axis {
    /// An axis that shows `low..=high` between the two pixels; degenerate ranges are widened.
    pub(crate) fn new(scale: Scale, low: f64, high: f64, pixel_low: f64, pixel_high: f64) -> Self {
        let (low, high) = match scale {
            Scale::Linear if high > low => (low, high),
            Scale::Linear => (low, low + 1.0),
            Scale::Log => {
                let low = low.max(1e-3);
                (low, if high > low * 1.01 { high } else { low * 10.0 })
            }
        };
        Self { scale, low, high, pixel_low, pixel_high }
    }

    /// The pixel of `value`, clamped to the axis.
    pub(crate) fn pixel(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.pixel_low + share * (self.pixel_high - self.pixel_low)
    }

    /// Tick values, rising: steps of 1, 2 or 5 times a power of ten, or 1-2-5 decades on a logarithmic axis.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => self.linear_ticks(),
            Scale::Log => self.log_ticks(),
        }
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last.min(first + 20)).map(|k| k as f64 * step).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        (first..=last)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(|tick| *tick >= self.low * 0.999 && *tick <= self.high * 1.001)
            .collect()
    }
}

/// A tick's label: no trailing zeros, thousands as `k`.
pub(crate) fn label(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e6 {
        format!("{}M", trimmed(value / 1e6))
    } else if magnitude >= 1e4 {
        format!("{}k", trimmed(value / 1e3))
    } else {
        trimmed(value)
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_ticks_are_round_and_inside() {
        let axis = Axis::new(Scale::Linear, 0.0, 47.0, 0.0, 100.0);
        assert_eq!(axis.ticks(), [0.0, 10.0, 20.0, 30.0, 40.0]);
    }

    #[test]
    fn log_ticks_cover_decades() {
        let axis = Axis::new(Scale::Log, 1.0, 1000.0, 0.0, 100.0);
        assert_eq!(axis.ticks().first(), Some(&1.0));
        assert!((axis.pixel(10.0) - 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(
            [0.5, 12.0, 25_000.0, 3_000_000.0].map(label),
            ["0.5".to_owned(), "12".to_owned(), "25k".to_owned(), "3M".to_owned()]
        );
    }
}
