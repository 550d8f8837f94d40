//! Frames and bytes per second of each tier, and what they cost.

use crate::chart::{Chart, Line, Scale};
use crate::results::Results;
use std::collections::BTreeMap;

/// One tier: all processes of a role together.
#[derive(Debug)]
pub(crate) struct Tier {
    /// The role.
    pub(crate) role: String,
    /// Its processes.
    pub(crate) processes: usize,
    /// Frames that left it per second of the run: Unix second, frames, bytes.
    pub(crate) seconds: Vec<(u64, u64, u64)>,
    /// CPU seconds of all its processes.
    pub(crate) cpu_s: f64,
    /// Largest resident memory of one process, KiB.
    pub(crate) rss_kib_max: u64,
}

/// All tiers that left metric files, by role.
pub(crate) fn tiers(results: &Results) -> Vec<Tier> {
    let mut tiers: BTreeMap<&str, Tier> = BTreeMap::new();
    for account in &results.accounts {
        let tier = tiers.entry(&account.role).or_insert_with(|| Tier {
            role: account.role.clone(),
            processes: 0,
            seconds: Vec::new(),
            cpu_s: 0.0,
            rss_kib_max: 0,
        });
        tier.processes += 1;
        tier.cpu_s += account.cpu_seconds;
        tier.rss_kib_max = tier.rss_kib_max.max(account.rss_kib_max);
    }
    for (role, seconds) in &results.seconds {
        let mut sums: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for second in seconds {
            let sum = sums.entry(second.second).or_default();
            sum.0 += second.frames_out;
            sum.1 += second.bytes_out;
        }
        if let Some(tier) = tiers.get_mut(role.as_str()) {
            tier.seconds = sums.into_iter().map(|(at, (frames, bytes))| (at, frames, bytes)).collect();
        }
    }
    tiers.into_values().collect()
}

impl Tier {
    /// Median frames per second over the seconds in which the tier was at work.
    pub(crate) fn frames_per_s_median(&self) -> f64 {
        median(self.seconds.iter().map(|(_, frames, _)| *frames).filter(|frames| *frames > 0).collect())
    }

    /// Median bytes per second over the seconds in which the tier was at work.
    pub(crate) fn bytes_per_s_median(&self) -> f64 {
        median(self.seconds.iter().map(|(_, _, bytes)| *bytes).filter(|bytes| *bytes > 0).collect())
    }

    /// One line for a terminal.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} ({} processes): {:.0} frames/s and {:.2} MB/s out (median), {:.1} CPU s",
            self.role,
            self.processes,
            self.frames_per_s_median(),
            self.bytes_per_s_median() / 1e6,
            self.cpu_s
        )
    }
}

/// Frames per second of every tier over the run.
pub(crate) fn chart(tiers: &[Tier]) -> Chart {
    let start =
        tiers.iter().filter_map(|tier| tier.seconds.first()).map(|second| second.0).min().unwrap_or(0);
    let line = |tier: &Tier| Line {
        name: tier.role.clone(),
        points: tier.seconds.iter().map(|(at, frames, _)| ((at - start) as f64, *frames as f64)).collect(),
        steps: false,
    };
    Chart {
        title: "Frames per second that leave each tier".to_owned(),
        x_name: "seconds since the first camera".to_owned(),
        y_name: "frames/s".to_owned(),
        x_scale: Scale::Linear,
        y_top: None,
        lines: tiers.iter().map(line).collect(),
    }
}

fn median(mut values: Vec<u64>) -> f64 {
    values.sort_unstable();
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2] as f64,
        count => (values[count / 2 - 1] + values[count / 2]) as f64 / 2.0,
    }
}
