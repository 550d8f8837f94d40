//! When a camera's frames are due. Pure.

use frame::stable_hash;

/// The intended capture times of one camera: start + phase + k / fps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    first_unix_ns: u64,
    period_ns: f64,
    frames: u64,
}

impl Schedule {
    /// The schedule of camera `id` that starts at `start_unix_ns` and lasts `span_ns`. The phase lies within
    /// one period and follows from the id alone, so that many cameras do not all fire at once.
    pub(super) fn new(id: &str, start_unix_ns: u64, fps: f64, span_ns: u64) -> Self {
        let period_ns = 1e9 / fps;
        let share = (stable_hash(id) >> 11) as f64 / (1u64 << 53) as f64;
        let phase_ns = (share * period_ns) as u64;
        let frames = (span_ns as f64 / period_ns).round() as u64;
        Self { first_unix_ns: start_unix_ns + phase_ns, period_ns, frames }
    }

    /// How many frames the camera takes in all.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// When frame `k` is to be taken, in nanoseconds since the Unix epoch.
    pub(super) fn due_unix_ns(&self, k: u64) -> u64 {
        self.first_unix_ns + (k as f64 * self.period_ns).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_evenly_spaced_and_all_within_a_period_past_the_span() {
        let schedule = Schedule::new("edge_1_1-7", 1_000, 4.0, 10_000_000_000);
        assert_eq!(schedule.frames(), 40);
        let gaps: Vec<_> = (1..40).map(|k| schedule.due_unix_ns(k) - schedule.due_unix_ns(k - 1)).collect();
        assert!(gaps.iter().all(|gap| *gap == 250_000_000), "{gaps:?}");
        assert!(schedule.due_unix_ns(0) < 1_000 + 250_000_000);
    }

    #[test]
    fn phases_spread_the_load() {
        let phases = (1..=320).map(|n| Schedule::new(&format!("edge_1_1-{n}"), 0, 1.0, 1).due_unix_ns(0));
        let mut tenths = [0u32; 10];
        phases.for_each(|phase| tenths[(phase / 100_000_000) as usize] += 1);
        assert!(tenths.iter().all(|n| (10..=60).contains(n)), "{tenths:?}");
    }
}
