//! Scenario to plan, and questions to a plan.

use crate::bind::bind;
use crate::deploy::{collections, deployments};
use crate::expand::expand;
use crate::lint::lint;
use crate::lookup::hosts_named;
use crate::network::shape;
use crate::selector::Directory;
use crate::{Entry, Host, HostId, Monitoring, Options, Plan, Service, Variables};
use fogline_scenario::{Diagnostic, Findings, Scenario};
use link::Congestion;
use std::collections::{BTreeMap, BTreeSet};
use units::Delay;

/// Expands `scenario` into everything that will be done, and reports every problem at once, sorted by file and place.
///
/// Pure and deterministic: the same scenario and options give the same plan. The plan is present exactly when there is
/// no error; warnings alone do not withhold it.
pub fn plan(scenario: &Scenario, options: &Options) -> (Option<Plan>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let expanded = expand(scenario, options, &mut findings);
    if expanded.hosts.is_empty() {
        return (None, findings.sorted());
    }
    let deployments = deployments(&expanded);
    let collections = collections(&expanded);
    let directory = Directory { hosts: &expanded.hosts, services: &expanded.services, by_host: false };
    let network = shape(scenario, directory, &mut findings);
    let (entries, offers) = bind(&scenario.entries, directory, &mut findings);
    if findings.any_error() {
        return (None, findings.sorted());
    }
    let plan = Plan {
        scenario: options.scenario.clone(),
        hosts: expanded.hosts,
        services: expanded.services,
        deployments,
        collections,
        rules: network.rules,
        links: network.links,
        changes: network.changes,
        bounds: scenario.bounds,
        entries,
        monitoring: scenario.monitoring.as_ref().map(|asked| Monitoring { kind: asked.kind.value.clone() }),
    };
    lint(&plan, &offers, options.congestion.unwrap_or(Congestion::Cubic), &mut findings);
    (Some(plan), findings.sorted())
}

impl Plan {
    /// The length of the network's prefix: 10.99.0.0/16.
    pub const PREFIX_LEN: u8 = 16;

    /// The host `id`, which must come from this plan.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0]
    }

    /// The host called `name`.
    pub fn host_named(&self, name: &str) -> Option<HostId> {
        self.hosts.iter().position(|host| host.name == name).map(HostId)
    }

    /// The services on a host, in registration order.
    pub fn services_on(&self, id: HostId) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |service| service.host == id)
    }

    /// How many ordered pairs of hosts are shaped.
    pub fn shaped_pairs(&self) -> usize {
        self.links.len()
    }

    /// The hosts that `selector` selects, in registration order: what the files may write (layers, services, roles, keys,
    /// globs), and hosts' names.
    ///
    /// # Errors
    /// Which part of it selects nothing, and what there is instead.
    pub fn select(&self, selector: &str) -> Result<Vec<HostId>, String> {
        hosts_named(selector, Directory { hosts: &self.hosts, services: &self.services, by_host: true })
    }

    /// The links from any of `sources` to any of `destinations`, ascending; pairs that nothing shapes have none.
    pub fn links_between(&self, sources: &[HostId], destinations: &[HostId]) -> Vec<usize> {
        let (from, to): (BTreeSet<_>, BTreeSet<_>) =
            (sources.iter().collect(), destinations.iter().collect());
        let links = self.links.iter().enumerate();
        let between = links.filter(|(_, link)| from.contains(&link.source) && to.contains(&link.destination));
        between.map(|(index, _)| index).collect()
    }

    /// All links by sending and receiving host.
    pub fn pairs(&self) -> BTreeMap<(HostId, HostId), usize> {
        let links = self.links.iter().enumerate();
        links.map(|(index, link)| ((link.source, link.destination), index)).collect()
    }

    /// Warnings about changes that begin only when the application has run for `duration` and nothing is in force any more.
    pub fn changes_after(&self, duration: Delay) -> Vec<Diagnostic> {
        let mut findings = Findings::default();
        for planned in self.changes.iter().filter(|planned| planned.change.schedule.at >= duration) {
            let at = planned.change.schedule.at;
            let message = format!("this change begins at {at}, but the application runs for {duration}");
            findings.warning(&planned.place, message, "run it for longer with `--duration`".to_owned());
        }
        findings.sorted()
    }
}

impl Entry {
    /// The variables of `host` in this entry, merged; `None` when the entry does not run there.
    pub fn variables(&self, host: HostId) -> Option<&Variables> {
        self.hosts.iter().find(|bound| bound.host == host).map(|bound| &bound.variables)
    }
}
