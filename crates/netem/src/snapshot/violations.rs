//! Whether the network kept its word.

use super::{DelayLateness, Snapshot};
use link::Bounds;
use units::{Delay, Percent};

/// Lateness that is forgiven unless a bound is set, nanoseconds; of long delays the part below is.
const LATENESS_FORGIVEN_NS: u64 = 1_000_000;

/// Part of a link's delay by which its packets may be late, as its inverse: 5 %.
const DELAY_PER_LATENESS: u64 = 20;

/// Part of a core from which on a worker is held to be overloaded, percent.
const CPU_PERCENT_MAX: f64 = 90.0;

/// Devices named in one sentence.
const NAMED_MAX: usize = 3;

impl Snapshot {
    /// Where the network did not keep its word within `bounds`, one sentence each: what, how much, and the bound. None
    /// when it did.
    ///
    /// Lateness counts when the 99th percentile over the links of one delay exceeds [`Bounds::late`], or without that
    /// both 1 ms and 5 % of the delay. Drops at devices count as a share of all frames. Any packet dropped for lack of
    /// memory counts, any failure, and a worker that used more than 90 % of a core.
    pub fn violations(&self, bounds: &Bounds) -> Vec<String> {
        let mut found: Vec<String> =
            self.failure.iter().map(|why| format!("the emulator failed: {why}")).collect();
        for device in &self.devices {
            let failed = device.failure.iter();
            found.extend(failed.map(|why| format!("the device of {} failed: {why}", device.node)));
        }
        found.extend(self.by_delay.iter().filter_map(|group| late(group, bounds)));
        found.extend(self.device_drops(bounds.drops));
        let memory: u64 = self.links.iter().map(|link| link.memory_dropped.packets).sum();
        if memory > 0 {
            found.push(format!("{memory} packets dropped because too much was in flight, bound 0"));
        }
        for (number, worker) in self.workers.iter().enumerate() {
            let percent = worker.cpu_s / self.elapsed_s * 100.0;
            if percent > CPU_PERCENT_MAX {
                found.push(format!(
                    "worker {} of {} of the emulator used {percent:.0} % of a core, bound {CPU_PERCENT_MAX} %",
                    number + 1,
                    self.workers.len(),
                ));
            }
        }
        found
    }

    fn device_drops(&self, bound: Percent) -> Option<String> {
        let dropped: u64 = self.devices.iter().map(super::DeviceSnapshot::dropped).sum();
        // What a device drops on the way in was never read, so it is no frame yet.
        let unread: u64 = self.devices.iter().map(|device| device.transmit_dropped).sum();
        let share = dropped as f64 / (self.frames + unread).max(1) as f64;
        if dropped == 0 || share <= bound.fraction() {
            return None;
        }
        let mut worst: Vec<_> = self.devices.iter().filter(|device| device.dropped() > 0).collect();
        worst.sort_by_key(|device| std::cmp::Reverse(device.dropped()));
        let mut names: Vec<String> = worst
            .iter()
            .take(NAMED_MAX)
            .map(|device| format!("{} at {}", device.dropped(), device.node))
            .collect();
        if let Some(others @ 1..) = worst.len().checked_sub(NAMED_MAX) {
            names.push(format!("others at {others} more"));
        }
        let percent = share * 100.0;
        Some(format!(
            "{dropped} frames ({percent:.2} %) dropped at devices, bound {bound}: {}",
            names.join(", ")
        ))
    }
}

impl DelayLateness {
    /// The most that the 99th percentile may be, nanoseconds: [`Bounds::late`], or without that 1 ms, or 5 % of the
    /// delay where that is more.
    pub fn bound_ns(&self, bounds: &Bounds) -> u64 {
        let own = (self.delay_ns / DELAY_PER_LATENESS).max(LATENESS_FORGIVEN_NS);
        bounds.late.map_or(own, Delay::nanos)
    }
}

fn late(group: &DelayLateness, bounds: &Bounds) -> Option<String> {
    let bound_ns = group.bound_ns(bounds);
    let of_delay = bounds.late.is_none() && bound_ns > LATENESS_FORGIVEN_NS;
    let reason = if of_delay { " (5 %)" } else { "" };
    let late_ns = group.lateness.p99_ns;
    let millis = |nanos: u64| nanos as f64 / 1e6;
    (late_ns > bound_ns).then(|| {
        format!(
            "packets of links of {} ms left late: p99 {:.2} ms, bound {:.2} ms{reason}",
            millis(group.delay_ns),
            millis(late_ns),
            millis(bound_ns)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::lateness::tests::lateness;
    use crate::{DeviceSnapshot, LinkSnapshot, WorkerSnapshot};

    fn snapshot(late: &[(u64, &[(u64, u64)])]) -> Snapshot {
        let group = |(delay_ns, values): &(u64, &[(u64, u64)])| DelayLateness {
            delay_ns: *delay_ns,
            lateness: lateness(values),
        };
        let device = |node: &str| DeviceSnapshot { node: node.to_owned(), ..DeviceSnapshot::default() };
        Snapshot {
            elapsed_s: 10.0,
            frames: 1000,
            by_delay: late.iter().map(group).collect(),
            workers: vec![WorkerSnapshot { cpu_s: 1.0, ..WorkerSnapshot::default() }; 2],
            links: vec![LinkSnapshot::default()],
            devices: ["fog", "cloud", "camera", "edge"].map(device).to_vec(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_kept_word_is_no_violation() {
        let kept = snapshot(&[(0, &[(900_000, 100)]), (50_000_000, &[(2_400_000, 99), (90_000_000, 1)])]);
        assert_eq!(kept.violations(&Bounds::default()), [""; 0], "5 % of 50 ms are 2.5 ms");
        let mut dropping = snapshot(&[]);
        dropping.devices[0].receive_dropped = 10;
        let tolerant = Bounds { drops: "1%".parse().unwrap(), ..Bounds::default() };
        assert_eq!(dropping.violations(&tolerant), [""; 0]);
    }

    #[test]
    fn every_delay_is_judged_on_its_own() {
        let late: &[_] = &[(10, 98), (2_000_000, 2)];
        let both = snapshot(&[(5_000_000, late), (50_000_000, late)]);
        assert_eq!(
            both.violations(&Bounds::default()),
            ["packets of links of 5 ms left late: p99 2.00 ms, bound 1.00 ms"]
        );
        let later = snapshot(&[(50_000_000, &[(10, 98), (2_600_000, 2)])]);
        assert_eq!(
            later.violations(&Bounds::default()),
            ["packets of links of 50 ms left late: p99 2.60 ms, bound 2.50 ms (5 %)"]
        );
        let strict = Bounds { late: Some("0.5ms".parse().unwrap()), ..Bounds::default() };
        assert_eq!(both.violations(&strict).len(), 2);
        let lax = Bounds { late: Some("2ms".parse().unwrap()), ..Bounds::default() };
        assert_eq!(both.violations(&lax), [""; 0]);
    }

    #[test]
    fn each_broken_promise_is_named_with_its_bound() {
        let mut broken = snapshot(&[]);
        broken.workers[1].cpu_s = 9.5;
        broken.links[0].memory_dropped.packets = 4;
        broken.devices[0].transmit_dropped = 7;
        broken.devices[1].refused = 3;
        broken.devices[2].receive_dropped = 4;
        broken.devices[3].receive_dropped = 1;
        broken.devices[0].failure = Some("gone".to_owned());
        broken.failure = Some("the worker has ended".to_owned());
        let bounds = Bounds { drops: "1%".parse().unwrap(), ..Bounds::default() };
        assert_eq!(
            broken.violations(&bounds),
            [
                "the emulator failed: the worker has ended",
                "the device of fog failed: gone",
                "15 frames (1.49 %) dropped at devices, bound 1%: 7 at fog, 4 at camera, 3 at cloud, others at 1 more",
                "4 packets dropped because too much was in flight, bound 0",
                "worker 2 of 2 of the emulator used 95 % of a core, bound 90 %",
            ]
        );
    }
}
