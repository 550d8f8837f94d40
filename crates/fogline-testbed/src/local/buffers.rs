//! How much TCP may have under way: enough for the longest fat link of a host, and no more. What a sender has beyond
//! that waits in its device and has left the processor's caches when the emulator comes to it: an unshaped path
//! carries a third less with 64 MiB than with Linux's usual 4 MiB.

use fogline_plan::{Link, Plan};
use link::{Action, Profile, Trace};
use std::collections::HashMap;
use units::{Delay, Rate};

/// Linux's own limit of a send buffer, bytes.
const LEAST: u64 = 4 << 20;
/// Enough for 1 gbit/s over a round trip of 160 ms, bytes.
const MOST: u64 = 64 << 20;
/// A buffer counts the kernel's own structures too, and holds what is sent again.
const SURPLUS: u64 = 3;

/// What a link may become at most: rate (without limit when absent) and delay, each on its own.
#[derive(Clone, Copy)]
struct Extent {
    rate: Option<Rate>,
    delay: Delay,
}

impl Extent {
    const fn of(profile: &Profile) -> Self {
        Self { rate: profile.rate, delay: profile.delay }
    }

    fn grow(&mut self, rate: Option<Rate>, delay: Option<Delay>) {
        // No rate is the greatest of all.
        self.rate = self.rate.zip(rate.or(self.rate)).map(|(one, other)| one.max(other));
        self.delay = self.delay.max(delay.unwrap_or_default());
    }
}

/// Longest send buffer of each host of the plan, bytes.
pub(crate) fn send_buffers(plan: &Plan) -> Vec<u64> {
    let extents = extents(plan);
    let pairs: HashMap<_, _> = plan
        .links
        .iter()
        .zip(&extents)
        .map(|(link, extent)| ((link.source, link.destination), extent))
        .collect();
    let mut buffers = vec![LEAST; plan.hosts.len()];
    for (link, extent) in plan.links.iter().zip(&extents) {
        let back = pairs.get(&(link.destination, link.source)).map_or(Delay::ZERO, |back| back.delay);
        let needed = needed(link, extent, extent.delay.nanos().saturating_add(back.nanos()));
        if let Some(buffer) = buffers.get_mut(link.source.0) {
            *buffer = (*buffer).max(needed);
        }
    }
    buffers
}

fn needed(link: &Link, extent: &Extent, round_trip_ns: u64) -> u64 {
    match extent.rate {
        None if round_trip_ns == 0 => LEAST,
        None => MOST,
        Some(rate) => {
            let queue = link.profile.queue.limit.bytes_at(rate);
            let under_way = rate.bytes_in(round_trip_ns).saturating_add(queue);
            under_way.saturating_mul(SURPLUS).clamp(LEAST, MOST)
        }
    }
}

/// The extent of each link over all changes of the plan.
fn extents(plan: &Plan) -> Vec<Extent> {
    let mut extents: Vec<Extent> = plan.links.iter().map(|link| Extent::of(&link.profile)).collect();
    for planned in &plan.changes {
        for link in &planned.change.links {
            let Some(extent) = extents.get_mut(*link) else { continue };
            match &planned.change.action {
                Action::Alter(patch) => extent.grow(patch.rate, patch.delay),
                Action::Follow(Trace::Steps(steps)) => {
                    steps.iter().for_each(|step| extent.grow(step.rate, step.delay));
                }
                // A recording may deliver any number at once.
                Action::Follow(Trace::Deliveries(_)) => extent.rate = None,
            }
        }
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_plan::{Host, HostId, PlannedChange};
    use link::{Change, Patch, Schedule};

    fn host(index: u8) -> Host {
        Host {
            name: format!("host-{index}"),
            address: [10, 0, 0, index + 1].into(),
            layer: "fog".to_owned(),
            roles: Vec::new(),
            monitored: false,
            software: Vec::new(),
        }
    }

    fn plan(links: &[(usize, usize, &str, Option<&str>)]) -> Plan {
        let profile = |delay: &str, rate: Option<&str>| Profile {
            delay: delay.parse().unwrap(),
            rate: rate.map(|rate| rate.parse().unwrap()),
            ..Profile::default()
        };
        let links = links.iter().map(|(source, destination, delay, rate)| {
            Link::new(HostId(*source), HostId(*destination), profile(delay, *rate))
        });
        Plan { hosts: (0..3).map(host).collect(), links: links.collect(), ..Plan::default() }
    }

    #[test]
    fn a_buffer_holds_the_longest_fat_link_and_no_more() {
        let surveillance = plan(&[(0, 1, "5ms", Some("1gbit")), (1, 0, "5ms", Some("1gbit"))]);
        assert_eq!(
            send_buffers(&surveillance),
            [3 * (1_250_000 + 1_514_000); 2].into_iter().chain([LEAST]).collect::<Vec<_>>()
        );
        let far =
            plan(&[(0, 1, "100ms", Some("1gbit")), (1, 0, "100ms", Some("1mbit")), (2, 0, "1ms", None)]);
        assert_eq!(send_buffers(&far), [MOST, 3 * (25_000 + 1_514_000), MOST]);
        assert_eq!(send_buffers(&plan(&[(0, 1, "0ms", None)])), [LEAST; 3]);
    }

    #[test]
    fn changes_to_come_count() {
        let mut plan = plan(&[(0, 1, "5ms", Some("10mbit"))]);
        assert_eq!(send_buffers(&plan)[0], 3 * (6_250 + 1_514_000));
        let patch = Patch { rate: "1gbit".parse().ok(), delay: "20ms".parse().ok(), ..Patch::default() };
        let schedule = Schedule { at: Delay::ZERO, lasts: None, every: None };
        plan.changes.push(PlannedChange {
            label: "host-0-host-1".to_owned(),
            place: fogline_scenario::Place { file: "network.yaml".into(), line: 1, column: 1 },
            change: Change { schedule, links: vec![0], action: Action::Alter(patch) },
        });
        assert_eq!(send_buffers(&plan)[0], 3 * (2_500_000 + 1_514_000));
        plan.changes[0].change.action = Action::Follow(Trace::Deliveries(vec![1]));
        assert_eq!(send_buffers(&plan)[0], MOST);
    }
}
