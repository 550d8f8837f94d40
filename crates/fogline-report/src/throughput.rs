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
    /// Frames and bytes that left it.
    fn total(&self) -> (u64, u64) {
        self.seconds.iter().fold((0, 0), |sum, (_, frames, bytes)| (sum.0 + frames, sum.1 + bytes))
    }

    /// Seconds from the first to the last frame that left it. Stages that put out windows do so in bursts, so the
    /// idle seconds between count.
    fn span_s(&self) -> f64 {
        let busy = || self.seconds.iter().filter(|(_, frames, _)| *frames > 0).map(|(at, _, _)| *at);
        busy().min().zip(busy().max()).map_or(1.0, |(first, last)| (last - first + 1) as f64)
    }

    /// Mean frames per second from the first to the last frame.
    pub(crate) fn frames_per_s(&self) -> f64 {
        self.total().0 as f64 / self.span_s()
    }

    /// Mean bytes per second from the first to the last frame.
    pub(crate) fn bytes_per_s(&self) -> f64 {
        self.total().1 as f64 / self.span_s()
    }

    /// Mean bytes of a frame that left it; `None` without frames.
    pub(crate) fn frame_bytes(&self) -> Option<f64> {
        let (frames, bytes) = self.total();
        (frames > 0).then(|| bytes as f64 / frames as f64)
    }

    /// One line for a terminal.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} ({} processes): {:.0} frames/s and {:.2} MB/s out, {:.1} CPU s",
            self.role,
            self.processes,
            self.frames_per_s(),
            self.bytes_per_s() / 1e6,
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
