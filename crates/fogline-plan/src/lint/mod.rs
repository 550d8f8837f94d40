//! What the network can't mean, or can't do, although it can be written.

mod capacity;
mod changes;
mod flows;

use crate::bind::Offer;
use crate::{HostId, Link, Plan, Profile, Rule};
use fogline_scenario::Findings;
use link::Congestion;
use std::collections::BTreeMap;

/// Warns of everything at once. `congestion` is the run's.
pub(crate) fn lint(plan: &Plan, offers: &[Offer], congestion: Congestion, findings: &mut Findings) {
    let network = Network { plan, pairs: plan.pairs() };
    flows::check(&network, findings);
    capacity::check_queues(&network, findings);
    capacity::check_delays(&network, findings);
    capacity::check_offers(&network, offers, congestion, findings);
    changes::check(&network, findings);
}

/// A plan with its links by pair.
struct Network<'p> {
    plan: &'p Plan,
    pairs: BTreeMap<(HostId, HostId), usize>,
}

/// A rule as it is written: one direction, or both.
struct Written<'p> {
    /// As written; never mirrored.
    forward: &'p Rule,
    /// Indices of the links of both directions.
    links: Vec<usize>,
}

impl<'p> Network<'p> {
    fn written(&self) -> Vec<Written<'p>> {
        let mut all: Vec<Written<'p>> = Vec::new();
        for rule in &self.plan.rules {
            match all.last_mut().filter(|_| rule.mirrored) {
                Some(last) => last.links.extend(&rule.links),
                None => all.push(Written { forward: rule, links: rule.links.clone() }),
            }
        }
        all
    }

    /// What the link back does; nothing where there is none.
    fn back(&self, link: &Link) -> Profile {
        let back = self.pairs.get(&(link.destination, link.source));
        back.map(|back| self.plan.links[*back].profile).unwrap_or_default()
    }

    fn name(&self, host: HostId) -> &'p str {
        &self.plan.host(host).name
    }

    /// `edge-producer-1-1 to fog-mosquitto-1-1`.
    fn pair(&self, (source, destination): (HostId, HostId)) -> String {
        format!("{} to {}", self.name(source), self.name(destination))
    }
}
