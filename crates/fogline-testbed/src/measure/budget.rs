//! How much probing the links bear: half of any rate, whoever shares it, and no more at once than its queue holds.

use super::round::{Flow, Traffic};
use fogline_plan::{HostId, Plan};
use link::{Limit, Profile};
use std::collections::HashMap;
use std::time::Duration;

/// A sender hands over what is due within this time at once, see the agent's probes.
const BURST: Duration = Duration::from_millis(2);

/// A rate and who shares it: one link, or all links of one bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pool {
    Link(usize),
    Bottleneck(usize),
}

/// The pools of a plan.
pub(super) struct Budget<'a> {
    plan: &'a Plan,
    /// The profile that counts: that of the first link.
    pools: HashMap<Pool, &'a Profile>,
    pairs: HashMap<(HostId, HostId), usize>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let mut pools = HashMap::new();
        let mut pairs = HashMap::new();
        for (index, link) in plan.links.iter().enumerate() {
            pools.entry(pool(plan, index)).or_insert(&link.profile);
            pairs.insert((link.source, link.destination), index);
        }
        Self { plan, pools, pairs }
    }

    /// Thins out flows of `frame_bytes` per packet until they fit into `duration`. At least one packet is left of each.
    pub(super) fn fit(&self, flows: &mut [Flow], frame_bytes: u64, duration: Duration) {
        let mut asked: HashMap<Pool, f64> = HashMap::new();
        for flow in &*flows {
            for pool in self.pools_of(flow) {
                *asked.entry(pool).or_default() += f64::from(flow.traffic.packets());
            }
        }
        for flow in flows {
            let share = |pool: Pool| self.most(pool, frame_bytes, duration) / asked[&pool];
            let share = self.pools_of(flow).map(share).fold(1.0, f64::min);
            flow.traffic.set_packets(((f64::from(flow.traffic.packets()) * share) as u32).max(1));
        }
    }

    /// The time in which these flows fit, at least `least`, at most `most`.
    pub(super) fn time(&self, flows: &[Flow], frame_bytes: u64, least: Duration, most: Duration) -> Duration {
        let mut asked: HashMap<Pool, f64> = HashMap::new();
        for flow in flows {
            for pool in self.pools_of(flow) {
                *asked.entry(pool).or_default() += f64::from(flow.traffic.packets());
            }
        }
        let seconds = asked
            .into_iter()
            .map(|(pool, packets)| packets / self.most(pool, frame_bytes, Duration::from_secs(1)))
            .fold(0.0, f64::max);
        Duration::from_secs_f64(seconds.min(most.as_secs_f64())).max(least)
    }

    /// The longest that one packet takes at the rate of a link.
    pub(super) fn packet_time(&self, link: usize, frame_bytes: u64) -> Duration {
        let rate = self.pools.get(&pool(self.plan, link)).and_then(|profile| profile.rate);
        rate.map_or(Duration::ZERO, |rate| Duration::from_nanos(rate.nanos_for(frame_bytes)))
    }

    /// Packets that a pool bears in `duration`.
    fn most(&self, pool: Pool, frame_bytes: u64, duration: Duration) -> f64 {
        let Some((profile, rate)) = self.pools.get(&pool).and_then(|it| Some((it, it.rate?))) else {
            return f64::MAX;
        };
        let packets_per_s = rate.bits_per_s() as f64 / (frame_bytes * 8) as f64 / 2.0;
        let room = match profile.queue.limit {
            Limit::Packets(packets) => f64::from(packets),
            Limit::Bytes(size) => size.bytes() as f64 / frame_bytes as f64,
            Limit::Time(time) => 2.0 * packets_per_s * time.duration().as_secs_f64(),
        };
        let burst = 1.0 + packets_per_s * BURST.as_secs_f64();
        let packets_per_s =
            if room < 2.0 * burst { packets_per_s.min(1.0 / BURST.as_secs_f64()) } else { packets_per_s };
        packets_per_s * duration.as_secs_f64()
    }

    /// Where a flow takes place: its own link, and for its echoes the one back.
    fn pools_of(&self, flow: &Flow) -> impl Iterator<Item = Pool> + use<> {
        let link = &self.plan.links[flow.link];
        let back = matches!(flow.traffic, Traffic::Delay { .. })
            .then(|| self.pairs.get(&(link.destination, link.source)))
            .flatten()
            .map(|back| pool(self.plan, *back));
        [Some(pool(self.plan, flow.link)), back].into_iter().flatten()
    }
}

pub(super) fn pool(plan: &Plan, link: usize) -> Pool {
    plan.links[link].bottleneck.map_or(Pool::Link(link), Pool::Bottleneck)
}
