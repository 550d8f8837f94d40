//! Rules against the flows that the workflow's bindings imply: from each host of an entry to the hosts of the services
//! that it is bound to.

use super::{Network, Written};
use crate::HostId;
use fogline_scenario::Findings;
use std::collections::BTreeSet;

/// Warns of rules that shape the replies of flows only, and of rules that no flow uses.
pub(super) fn check(network: &Network<'_>, findings: &mut Findings) {
    let flows = flows(network);
    if flows.is_empty() {
        return;
    }
    let plan = network.plan;
    let ends = |link: &usize| (plan.links[*link].source, plan.links[*link].destination);
    let covered: BTreeSet<_> = plan.rules.iter().flat_map(|rule| &rule.links).map(ends).collect();
    for Written { forward, links } in network.written().iter().filter(|rule| !rule.links.is_empty()) {
        let back = |(source, destination)| (destination, source);
        let replies_only = |pair: &(HostId, HostId)| {
            flows.contains(&back(*pair)) && !flows.contains(pair) && !covered.contains(&back(*pair))
        };
        let replies: Vec<_> = links.iter().map(ends).filter(replies_only).collect();
        if let Some(first) = replies.first() {
            let message = format!(
                "this rule shapes only the replies of {} of the workflow's flows, such as {}: no rule covers what they send",
                replies.len(),
                network.pair(back(*first))
            );
            let hint = "add `symmetric: true`, or swap `src` and `dst`".to_owned();
            findings.warning(&forward.place, message, hint);
        } else if !links.iter().map(ends).any(|pair| flows.contains(&pair) || flows.contains(&back(pair))) {
            let message = "no binding of the workflow leads over this rule, in either direction";
            let hint = "nothing to do if its hosts talk to each other without a `depends_on`".to_owned();
            findings.warning(&forward.place, message, hint);
        }
    }
}

fn flows(network: &Network<'_>) -> BTreeSet<(HostId, HostId)> {
    let plan = network.plan;
    let mut flows = BTreeSet::new();
    for host in plan.entries.iter().flat_map(|entry| &entry.hosts) {
        let services = host.bindings.iter().flat_map(|binding| &binding.services);
        flows.extend(services.map(|service| (host.host, plan.services[*service].host)));
    }
    flows.retain(|(from, to)| from != to);
    flows
}
