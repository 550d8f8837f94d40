//! Latency distributions, merged over all processes of a role.

use crate::chart::{Chart, Line, Scale};
use meter::Latency;
use std::collections::BTreeMap;

/// Percentiles that the report shows, as far as there are samples for them.
const PERCENTILES: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

/// Samples that must lie beyond a percentile before it is shown; with fewer it is mostly chance.
const BEYOND_MIN: u64 = 10;

/// One latency of one role.
#[derive(Debug)]
pub(crate) struct Distribution {
    /// Who measured.
    pub(crate) role: String,
    /// What was measured: the histogram's tag.
    pub(crate) tag: String,
    /// The samples.
    pub(crate) latency: Latency,
}

/// All distributions, by role and tag.
pub(crate) fn distributions(latencies: &BTreeMap<(String, String), Latency>) -> Vec<Distribution> {
    let each = latencies.iter().map(|((role, tag), latency)| Distribution {
        role: role.clone(),
        tag: tag.clone(),
        latency: latency.clone(),
    });
    each.collect()
}

impl Distribution {
    /// The shown percentiles in milliseconds; `None` where samples are lacking.
    pub(crate) fn percentiles_ms(&self) -> Vec<(f64, Option<f64>)> {
        let count = self.latency.count();
        let enough = |percentile: f64| count as f64 * (1.0 - percentile / 100.0) >= BEYOND_MIN as f64;
        let ms = |percentile| self.latency.percentile(percentile).map(|latency| latency.as_secs_f64() * 1e3);
        PERCENTILES.into_iter().map(|p| (p, enough(p).then(|| ms(p)).flatten())).collect()
    }

    /// One line for a terminal.
    pub(crate) fn summary(&self) -> String {
        let shown = self.percentiles_ms();
        let shown = shown.iter().filter_map(|(p, ms)| ms.map(|ms| format!("p{p} {ms:.1} ms")));
        let shown = shown.collect::<Vec<_>>().join(", ");
        format!("{} ({}): {shown} over {} samples", self.tag, self.role, self.latency.count())
    }

    fn line(&self) -> Line {
        let total = self.latency.count() as f64;
        let steps = self.latency.steps().map(|(at, below)| (at.as_secs_f64() * 1e3, below as f64 / total));
        Line { name: format!("{} ({})", self.tag, self.role), points: thinned(steps.collect()), steps: true }
    }
}

/// The CDF of the latencies with one of the tags.
pub(crate) fn cdf(distributions: &[Distribution], title: &str, roles: &[&str]) -> Chart {
    let chosen = distributions.iter().filter(|d| roles.contains(&d.role.as_str()) && !d.latency.is_empty());
    Chart {
        title: title.to_owned(),
        x_name: "latency, ms (logarithmic)".to_owned(),
        y_name: "share of samples".to_owned(),
        x_scale: Scale::Log,
        y_top: Some(1.0),
        lines: chosen.map(Distribution::line).collect(),
    }
}

/// At most 400 points: more cannot be told apart on the page.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(400).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % stride == 0 || *index == last)
        .map(|(_, p)| p)
        .collect()
}
