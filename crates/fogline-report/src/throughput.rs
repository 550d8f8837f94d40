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

    /// Frames, bytes and seconds from the first frame that left it until 99 % of all had left: a last frame that was
    /// lost and sent again on a lossy link would otherwise stretch the run. Stages that put out windows do so in
    /// bursts, so the idle seconds between count.
    fn bulk(&self) -> (u64, u64, f64) {
        let enough = self.total().0 * 99 / 100;
        let first = self.seconds.iter().find(|(_, frames, _)| *frames > 0).map_or(0, |(at, _, _)| *at);
        let (mut sum, mut last) = ((0, 0), first);
        for (at, frames, bytes) in self.seconds.iter().filter(|(at, _, _)| *at >= first) {
            sum = (sum.0 + frames, sum.1 + bytes);
            last = *at;
            if sum.0 >= enough {
                break;
            }
        }
        (sum.0, sum.1, (last - first + 1) as f64)
    }

    /// Mean frames per second over the bulk of its frames.
    pub(crate) fn frames_per_s(&self) -> f64 {
        let (frames, _, seconds) = self.bulk();
        frames as f64 / seconds
    }

    /// Mean bytes per second over the bulk of its frames.
    pub(crate) fn bytes_per_s(&self) -> f64 {
        let (_, bytes, seconds) = self.bulk();
        bytes as f64 / seconds
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(seconds: Vec<(u64, u64, u64)>) -> Tier {
        Tier { role: "camera".to_owned(), processes: 1, seconds, cpu_s: 0.0, rss_kib_max: 0 }
    }

    #[test]
    fn a_straggler_does_not_stretch_the_run() {
        let mut seconds: Vec<_> = (100..110).map(|at| (at, 30, 300)).collect();
        seconds.push((140, 1, 10));
        let tier = tier(seconds);
        assert_eq!((tier.frames_per_s(), tier.bytes_per_s()), (30.0, 300.0));
        assert_eq!(tier.frame_bytes(), Some(10.0));
    }

    #[test]
    fn idle_seconds_between_bursts_count_and_nothing_is_zero() {
        assert_eq!(tier(vec![(0, 0, 0), (1, 50, 0), (2, 0, 0), (5, 50, 0)]).frames_per_s(), 20.0);
        assert_eq!(tier(Vec::new()).frames_per_s(), 0.0);
    }
}
