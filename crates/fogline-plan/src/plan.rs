//! Scenario to plan, and questions to a plan.

use crate::bind::bind;
use crate::deploy::deployments;
use crate::expand::expand;
use crate::network::shape;
use crate::selector::Directory;
use crate::{Entry, Host, HostId, Monitoring, Options, Plan, Service, Variables};
use fogline_scenario::{Diagnostic, Findings, Scenario};
use link::Bounds;

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
    let directory = Directory { hosts: &expanded.hosts, services: &expanded.services };
    let (rules, links) = shape(&scenario.rules, directory, &mut findings);
    let entries = bind(&scenario.entries, directory, &mut findings);
    let complete = !findings.any_error();
    let plan = complete.then(|| Plan {
        scenario: options.scenario.clone(),
        hosts: expanded.hosts,
        services: expanded.services,
        deployments,
        rules,
        links,
        changes: Vec::new(),
        bounds: Bounds::default(),
        entries,
        monitoring: scenario.monitoring.as_ref().map(|asked| Monitoring { kind: asked.kind.value.clone() }),
    });
    (plan, findings.sorted())
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
}

impl Entry {
    /// The variables of `host` in this entry, merged; `None` when the entry does not run there.
    pub fn variables(&self, host: HostId) -> Option<&Variables> {
        self.hosts.iter().find(|bound| bound.host == host).map(|bound| &bound.variables)
    }
}
