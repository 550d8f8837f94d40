//! How a running network is: each rule as asked, what its links do now, and their packets.

use super::live::{Live, State};
use super::protocol::{Shown, ShownLateness, ShownLink, ShownLinks, ShownPackets, ShownRule};
use crate::control::Answer;
use fogline_plan::{HostId, Rule};
use fogline_testbed::TestbedError;
use link::Profile;
use netem::{LinkSnapshot, Snapshot};

/// Links that are told one by one in one answer, at most.
const EACH_MAX: usize = 20_000;

/// The answer to a request to show the network, and each link by itself when `each`.
pub(super) fn shown(live: &Live<'_>, each: bool) -> Answer {
    let links = live.plan.links.len();
    if each && links > EACH_MAX {
        return Answer::Refused(format!(
            "{links} links are too many to list, {EACH_MAX} at most: leave --links out, or read fogline/network.json of the \
             run folder when the run is over"
        ));
    }
    match read(live, each) {
        Ok(shown) => Answer::Shown(Box::new(shown)),
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn read(live: &Live<'_>, each: bool) -> Result<Shown, TestbedError> {
    let state = live.state();
    let network = live.testbed.network()?.since(&live.probed);
    let profiles = live.testbed.profiles()?;
    let scene = Scene { live, state: &state, network: &network, profiles: &profiles, each };
    let rules = live.plan.rules.iter().filter(|rule| !rule.links.is_empty());
    Ok(Shown {
        scenario: live.plan.scenario.clone(),
        run: live.run.clone(),
        at_s: state.at_s(),
        rules: rules.map(|rule| scene.rule(rule)).collect(),
        lateness: scene.lateness(),
    })
}

/// What is needed to tell of links.
struct Scene<'a> {
    live: &'a Live<'a>,
    state: &'a State,
    network: &'a Snapshot,
    profiles: &'a [Profile],
    each: bool,
}

impl Scene<'_> {
    fn rule(&self, rule: &Rule) -> ShownRule {
        let mut now: Vec<ShownLinks> = Vec::new();
        for link in &rule.links {
            let in_force = self.profiles.get(*link).copied().unwrap_or(rule.profile);
            let by_hand = self.state.by_hand.contains(link);
            let packets = self.network.links.get(*link).map(packets).unwrap_or_default();
            let same = |group: &ShownLinks| group.in_force == in_force && group.by_hand == by_hand;
            let position = now.iter().position(same).unwrap_or_else(|| {
                let none = ShownPackets::default();
                now.push(ShownLinks { in_force, by_hand, links: 0, packets: none, each: Vec::new() });
                now.len() - 1
            });
            let group = &mut now[position];
            group.links += 1;
            group.packets.add(&packets);
            if self.each {
                let (source, destination) = self.ends(*link);
                group.each.push(ShownLink { source, destination, packets });
            }
        }
        ShownRule {
            rule: rule.name.clone(),
            source: rule.source.clone(),
            destination: rule.destination.clone(),
            asked: rule.profile,
            now,
        }
    }

    fn ends(&self, link: usize) -> (String, String) {
        let planned = &self.live.plan.links[link];
        let name = |host: HostId| self.live.plan.host(host).name.clone();
        (name(planned.source), name(planned.destination))
    }

    fn lateness(&self) -> Vec<ShownLateness> {
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let groups = self.network.by_delay.iter().filter(|group| group.lateness.count > 0);
        groups
            .map(|group| ShownLateness {
                delay_ms: millis(group.delay_ns),
                p50_ms: millis(group.lateness.p50_ns),
                p99_ms: millis(group.lateness.p99_ns),
                max_ms: millis(group.lateness.max_ns),
                bound_ms: millis(group.bound_ns(&self.live.bounds)),
            })
            .collect()
    }
}

fn packets(link: &LinkSnapshot) -> ShownPackets {
    ShownPackets {
        entered: link.entered.packets,
        delivered: link.delivered.packets,
        lost: link.lost.packets,
        cut: link.cut.packets,
        dropped: link.queue_dropped.packets + link.codel_dropped.packets + link.memory_dropped.packets,
        queued: link.queued.packets,
    }
}

impl ShownPackets {
    const fn add(&mut self, other: &Self) {
        self.entered += other.entered;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.cut += other.cut;
        self.dropped += other.dropped;
        self.queued += other.queued;
    }
}
