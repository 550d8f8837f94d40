//! Workflow entries: their hosts, and the services each host is bound to.

use crate::cycle::{Depends, report_cycles};
use crate::lookup::look_up;
use crate::selector::Directory;
use crate::{Binding, Entry, EntryHost, HostId, Service, Variables};
use fogline_scenario::{ArrayInfo, Dependency, Findings, Grouping, Spanned, WorkflowEntry};
use serde_json::Value;
use std::collections::BTreeMap;
use units::Rate;

/// Variables that the runner or the template language sets itself.
const RESERVED: [&str; 14] = [
    "_self",
    "working_dir",
    "scenario_dir",
    "artifacts_dir",
    "current_repeat",
    "duration",
    "inventory_hostname",
    "play_hosts",
    "groups",
    "hostvars",
    "item",
    "instance",
    "app_conf",
    "optimization_config",
];

/// What one flow between hosts of a binding offers (`sends:`).
pub(crate) struct Offer {
    pub(crate) sends: Spanned<Rate>,
    /// Sending and receiving host of each flow.
    pub(crate) flows: Vec<(HostId, HostId)>,
}

/// Binds all entries; reports what cannot be bound. Entries with errors are left out.
pub(crate) fn bind(
    entries: &[WorkflowEntry],
    directory: Directory<'_>,
    findings: &mut Findings,
) -> (Vec<Entry>, Vec<Offer>) {
    let mut bound = Vec::new();
    let mut offers = Vec::new();
    let mut graph = Vec::new();
    for written in entries {
        let selected = look_up(&written.hosts, "hosts", directory, findings);
        let mut hosts: Vec<EntryHost> =
            selected.iter().map(|service| new_host(*service, directory)).collect();
        let mut targets = Vec::new();
        check_prefixes(written, findings);
        for dependency in &written.depends_on {
            let services = look_up(&dependency.selector, "service_selector", directory, findings);
            if hosts.is_empty() || services.is_empty() {
                continue;
            }
            targets.push((dependency.place.clone(), services.clone()));
            let before = hosts.first().map_or(0, |host| host.bindings.len());
            apply(dependency, &services, &mut hosts, directory, findings);
            if let Some(sends) = &dependency.sends {
                offers.push(Offer { sends: sends.clone(), flows: flows(&hosts, before, directory) });
            }
        }
        for (name, value) in &written.vars {
            for host in &mut hosts {
                host.variables.insert(name.clone(), value.value.clone());
            }
        }
        graph.push(Depends { label: &written.hosts.value, services: selected, targets });
        let (label, place) = (written.hosts.value.clone(), written.place.clone());
        bound.push(Entry { label, place, hosts, phases: written.phases.clone() });
    }
    report_cycles(&graph, findings);
    (bound, offers)
}

/// From each host to the hosts of what it is bound to, its first `skipped` bindings left out.
fn flows(hosts: &[EntryHost], skipped: usize, directory: Directory<'_>) -> Vec<(HostId, HostId)> {
    let of = |host: &EntryHost| -> Vec<(HostId, HostId)> {
        let services = host.bindings.iter().skip(skipped).flat_map(|binding| &binding.services);
        services.map(|service| (host.host, directory.services[*service].host)).collect()
    };
    hosts.iter().flat_map(of).filter(|(from, to)| from != to).collect()
}

fn new_host(service: usize, directory: Directory<'_>) -> EntryHost {
    let found = &directory.services[service];
    let mut variables = Variables::new();
    variables.insert("_self".to_owned(), Value::Object(found.variables.clone()));
    EntryHost { host: found.host, service, bindings: Vec::new(), variables }
}

/// Prefixes and play variables must not hide each other, nor what the runner sets.
fn check_prefixes(entry: &WorkflowEntry, findings: &mut Findings) {
    for (at, dependency) in entry.depends_on.iter().enumerate() {
        let prefix = &dependency.prefix;
        if RESERVED.contains(&prefix.value.as_str()) {
            let message = format!("the prefix `{}` is a variable that Fogline sets", prefix.value);
            findings.error(&prefix.place, message, "choose another prefix".to_owned());
        }
        let aggregates =
            |other: &Dependency| [other, dependency].iter().all(|d| d.grouping == Grouping::Aggregate);
        let earlier = entry.depends_on[..at].iter().find(|other| other.prefix.value == prefix.value);
        if let Some(earlier) = earlier.filter(|earlier| !aggregates(earlier)) {
            let line = earlier.prefix.place.line;
            let message = format!("the prefix `{}` is already used on line {line}", prefix.value);
            findings.error(&prefix.place, message, "give each dependency a prefix of its own".to_owned());
        }
    }
    for (name, value) in &entry.vars {
        let message = if RESERVED.contains(&name.as_str()) {
            format!("the variable `{name}` is one that Fogline sets")
        } else if entry.depends_on.iter().any(|dependency| dependency.prefix.value == *name) {
            format!("the variable `{name}` hides the prefix of the same name")
        } else {
            continue;
        };
        findings.error(&value.place, message, "choose another name".to_owned());
    }
}

/// Most services that the hosts of one entry may be given by one dependency, each host's counted.
const BOUND_MAX: usize = 1_000_000;

/// Adds one dependency's bindings to the hosts.
fn apply(
    dependency: &Dependency,
    services: &[usize],
    hosts: &mut Vec<EntryHost>,
    directory: Directory<'_>,
    findings: &mut Findings,
) {
    let prefix = &dependency.prefix.value;
    let value = |service: usize| Value::Object(directory.services[service].variables.clone());
    let grouping = dependency.grouping;
    let all = matches!(grouping, Grouping::Aggregate | Grouping::AsArray(_));
    if all && hosts.len().saturating_mul(services.len()) > BOUND_MAX {
        let message = format!("{} hosts would be given {} services each", hosts.len(), services.len());
        findings.error(&dependency.place, message, "narrow `hosts` or `service_selector`".to_owned());
        return;
    }
    match grouping {
        Grouping::RoundRobin => {
            if hosts.iter().map(|host| host.service).eq(services.iter().copied()) {
                let message = format!(
                    "`{}` is this entry itself: every host would depend on itself",
                    dependency.selector.value
                );
                let hint = "use `_self`, or select another service".to_owned();
                findings.error(&dependency.selector.place, message, hint);
            }
            for (host, service) in hosts.iter_mut().zip(services.iter().cycle()) {
                host.set(prefix, grouping, vec![*service], value(*service));
            }
        }
        Grouping::AddressMatch => match_addresses(dependency, services, hosts, directory, findings),
        Grouping::Aggregate => aggregate(dependency, services, hosts, directory, findings),
        Grouping::AsArray(info) => {
            let list = services.iter().map(|service| listed(&directory.services[*service], info)).collect();
            for host in hosts.iter_mut() {
                host.set(prefix, grouping, services.to_vec(), Value::Array(Vec::clone(&list)));
            }
        }
    }
}

/// What `asarray` lists of one service: `_id` without underscores, or the address.
fn listed(service: &Service, info: ArrayInfo) -> Value {
    let text = |name: &str| service.variables.get(name).and_then(Value::as_str).unwrap_or_default();
    match info {
        ArrayInfo::Id => Value::from(text("_id").replace('_', "")),
        ArrayInfo::Hostname => Value::from(text("__address__")),
    }
}

/// Each host gets the service on its own address; hosts without one are dropped, as in E2Clab, but not silently.
fn match_addresses(
    dependency: &Dependency,
    services: &[usize],
    hosts: &mut Vec<EntryHost>,
    directory: Directory<'_>,
    findings: &mut Findings,
) {
    let mut dropped = Vec::new();
    let on: BTreeMap<HostId, usize> =
        services.iter().map(|service| (directory.services[*service].host, *service)).collect();
    hosts.retain_mut(|host| {
        let own = on.get(&host.host).copied();
        match own {
            Some(service) => {
                let value = Value::Object(directory.services[service].variables.clone());
                host.set(&dependency.prefix.value, dependency.grouping, vec![service], value);
            }
            None => dropped.push(directory.hosts[host.host.0].name.as_str()),
        }
        own.is_some()
    });
    let (Some(first), selector) = (dropped.first(), &dependency.selector) else { return };
    if hosts.is_empty() {
        let message = format!("no host of this entry has a service of `{}` on it", selector.value);
        let hint = "`address_match` binds to a service on the same host; use `round_robin` for one elsewhere";
        findings.error(&selector.place, message, hint.to_owned());
    } else {
        let message = format!(
            "{} of {} hosts have no service of `{}` on them and are left out of this entry: {first}{}",
            dropped.len(),
            dropped.len() + hosts.len(),
            selector.value,
            if dropped.len() > 1 { ", ..." } else { "" }
        );
        findings.warning(&selector.place, message, "narrow `hosts` to say so".to_owned());
    }
}

/// Every host gets every service, each under `prefix<service id>_<machine id>`. A variable that an earlier aggregate
/// set is merged into: the earlier keys win.
fn aggregate(
    dependency: &Dependency,
    services: &[usize],
    hosts: &mut [EntryHost],
    directory: Directory<'_>,
    findings: &mut Findings,
) {
    let prefix = &dependency.prefix;
    for service in services {
        let variables = &directory.services[*service].variables;
        let id = variables.get("_id").and_then(Value::as_str).unwrap_or_default();
        // The last two parts of `layer_service_machine`.
        let name = format!("{}{}", prefix.value, id.split_once('_').map_or(id, |(_, rest)| rest));
        for host in hosts.iter_mut() {
            let earlier = host.variables.get(&name).cloned();
            let mut merged = variables.clone();
            if let Some(Value::Object(earlier)) = earlier {
                let message =
                    format!("`{name}` stands for two services: the values of the first one are kept");
                findings.warning(
                    &prefix.place,
                    message,
                    "give each dependency a prefix of its own".to_owned(),
                );
                merged.extend(earlier);
            }
            host.set(&name, dependency.grouping, vec![*service], Value::Object(merged));
        }
    }
}

impl EntryHost {
    fn set(&mut self, variable: &str, grouping: Grouping, services: Vec<usize>, value: Value) {
        self.variables.insert(variable.to_owned(), value);
        self.bindings.push(Binding { variable: variable.to_owned(), grouping, services });
    }
}
