//! One line of the table.

use super::statistics::median;
use serde::Serialize;
use serde_json::{Map, Value};

/// A figure of the emulator's beside what it is held against.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    /// For machines: `bulk-tcp-1`.
    pub(super) name: String,
    /// For people, with the unit.
    pub(super) what: String,
    /// The unit of `reference`, `emulator` and `repeats`.
    pub(super) unit: &'static str,
    /// What `reference` is: `bridge`, or `asked` (theory).
    pub(super) against: Option<&'static str>,
    /// The figure of the bridge, or the theoretical one.
    pub(super) reference: Option<f64>,
    /// The emulator's figure.
    pub(super) emulator: f64,
    /// The two compared.
    pub(super) compared: Option<Compared>,
    /// What is demanded of `compared`, or of `emulator` where nothing is compared.
    pub(super) bound: Option<Bound>,
    /// Whether the bound is met; absent when there is none, or when it is not judged.
    met: Option<bool>,
    /// Every single repetition.
    pub(super) repeats: Repeats,
    /// What else was seen.
    pub(super) details: Map<String, Value>,
}

/// How two figures are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Comparison {
    /// The emulator's in percent of the reference.
    Ratio,
    /// The emulator's less the reference, in their unit.
    Difference,
    /// The difference in percent of the reference.
    Error,
    /// The difference in standard errors.
    Deviation,
}

/// A comparison made.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Compared {
    pub(super) how: Comparison,
    pub(super) value: f64,
}

/// What is demanded.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    /// No less than this.
    AtLeast(f64),
    /// Less than this.
    Below(f64),
    /// No further from zero than this.
    Within(f64),
}

impl Bound {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::Below(limit) => value < limit,
            Self::Within(limit) => value.abs() <= limit,
        }
    }
}

/// Every single repetition.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Repeats {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) bridge: Vec<f64>,
    pub(super) emulator: Vec<f64>,
}

impl Row {
    /// The median of the repetitions, held against nothing yet.
    pub(super) fn new(
        name: impl Into<String>,
        what: impl Into<String>,
        unit: &'static str,
        repeats: Vec<f64>,
    ) -> Self {
        Self {
            name: name.into(),
            what: what.into(),
            unit,
            against: None,
            reference: None,
            emulator: median(&repeats),
            compared: None,
            bound: None,
            met: None,
            repeats: Repeats { bridge: Vec::new(), emulator: repeats },
            details: Map::new(),
        }
    }

    /// Held against the median of the bridge's repetitions.
    pub(super) fn against_bridge(mut self, repeats: Vec<f64>, how: Comparison) -> Self {
        let reference = median(&repeats);
        self.repeats.bridge = repeats;
        self.against = Some("bridge");
        self.compare(reference, how, f64::NAN)
    }

    /// Held against theory.
    pub(super) fn against_theory(mut self, theory: f64, how: Comparison, standard_error: f64) -> Self {
        self.against = Some("asked");
        self.compare(theory, how, standard_error)
    }

    fn compare(mut self, reference: f64, how: Comparison, standard_error: f64) -> Self {
        let difference = self.emulator - reference;
        let value = match how {
            Comparison::Ratio => self.emulator / reference * 100.0,
            Comparison::Difference => difference,
            Comparison::Error => difference / reference * 100.0,
            Comparison::Deviation => difference / standard_error,
        };
        (self.reference, self.compared) = (Some(reference), Some(Compared { how, value }));
        self
    }

    /// Demands something, judged unless the measurement was only a quick look.
    pub(super) fn bound(mut self, bound: Bound, quick: bool) -> Self {
        let value = self.compared.map_or(self.emulator, |compared| compared.value);
        self.bound = Some(bound);
        self.met = (!quick).then(|| bound.is_met_by(value));
        self
    }

    pub(super) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Whether the bound is met, where there is one and it was judged.
    pub(super) const fn ok(&self) -> Option<bool> {
        self.met
    }

    /// The cells of the table, after the first: reference, emulator, comparison, bound, verdict.
    pub(super) fn cells(&self) -> [String; 5] {
        let reference = match (self.reference, self.against) {
            (Some(value), Some(what)) => format!("{} ({what})", short(value)),
            _ => "-".to_owned(),
        };
        let suffix = match self.compared.map(|compared| compared.how) {
            Some(Comparison::Ratio | Comparison::Error) => " %".to_owned(),
            Some(Comparison::Deviation) => " se".to_owned(),
            Some(Comparison::Difference) | None => format!(" {}", self.unit),
        };
        let compared = self.compared.map(|compared| match compared.how {
            Comparison::Ratio => format!("{:.0}{suffix}", compared.value),
            Comparison::Difference | Comparison::Error | Comparison::Deviation => {
                format!("{:+.2}{suffix}", compared.value)
            }
        });
        let bound = self.bound.map(|bound| match bound {
            Bound::AtLeast(limit) => format!(">= {}{suffix}", short(limit)),
            Bound::Below(limit) => format!("< {}{suffix}", short(limit)),
            Bound::Within(limit) => format!("+-{}{suffix}", short(limit)),
        });
        let verdict = match (self.bound, self.met) {
            (None, _) => "",
            (Some(_), None) => "not judged",
            (Some(_), Some(true)) => "ok",
            (Some(_), Some(false)) => "NOT MET",
        };
        let dash = || "-".to_owned();
        [
            reference,
            format!("{} {}", short(self.emulator), self.unit),
            compared.unwrap_or_else(dash),
            bound.unwrap_or_else(dash),
            verdict.to_owned(),
        ]
    }
}

/// Four significant digits, no more than three after the point.
pub(super) fn short(value: f64) -> String {
    let digits = if value == 0.0 { 0 } else { 3 - value.abs().log10().floor() as i32 };
    let text = format!("{value:.*}", digits.clamp(0, 3) as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_the_medians_and_judged_by_its_bound() {
        let row = Row::new("x", "x", "Gbit/s", vec![6.0, 60.0, 5.0]);
        let row =
            row.against_bridge(vec![10.0, 9.0, 90.0], Comparison::Ratio).bound(Bound::AtLeast(60.0), false);
        assert_eq!(row.cells(), ["10 (bridge)", "6 Gbit/s", "60 %", ">= 60 %", "ok"]);
        assert_eq!(row.ok(), Some(true));
    }

    #[test]
    fn errors_count_either_way() {
        let row = |value: f64| {
            let row =
                Row::new("x", "x", "Mbit/s", vec![value]).against_theory(100.0, Comparison::Error, f64::NAN);
            row.bound(Bound::Within(1.0), false).ok()
        };
        assert_eq!([98.9, 99.1, 100.9, 101.1].map(row), [Some(false), Some(true), Some(true), Some(false)]);
    }

    #[test]
    fn what_was_not_measured_meets_no_bound() {
        for bound in [Bound::AtLeast(1.0), Bound::Below(1.0), Bound::Within(1.0)] {
            assert_eq!(Row::new("x", "x", "s", Vec::new()).bound(bound, false).ok(), Some(false));
        }
    }

    #[test]
    fn a_quick_look_judges_nothing() {
        let row = Row::new("x", "x", "s", vec![9.0]).bound(Bound::Below(1.0), true);
        assert_eq!((row.ok(), row.cells()[4].as_str()), (None, "not judged"));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0.0, 0.0831, 9.5641, 143.46, 17_350.2].map(short),
            ["0", "0.083", "9.564", "143.5", "17350"]
        );
    }
}
