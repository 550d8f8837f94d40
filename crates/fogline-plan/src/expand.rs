//! Layers to hosts and registered services.

use crate::name::{HOSTS_MAX, Names, address};
use crate::own::{MEMBERS_MAX, Own, with_extras};
use crate::{Host, HostId, Options, Service};
use fogline_scenario::{
    Definition, Engine, Findings, Layer, Placement, Role, Scenario, ServiceRequest, hint, nearest,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// All hosts and services, and which service instance each came from.
#[derive(Debug, Default)]
pub(crate) struct Expanded<'s> {
    pub(crate) hosts: Vec<Host>,
    pub(crate) services: Vec<Service>,
    pub(crate) instances: Vec<Instance<'s>>,
}

/// One instance of a service.
#[derive(Debug)]
pub(crate) struct Instance<'s> {
    pub(crate) layer: &'s Layer,
    pub(crate) request: &'s ServiceRequest,
    /// The process environment: the definition's defaults, then the scenario's.
    pub(crate) env: Map<String, Value>,
    /// The roles of its engine, each with its services; empty for a service without a definition.
    pub(crate) roles: Vec<(&'s Role, Range<usize>)>,
}

/// Where an instance stands in the scenario.
struct Position<'s> {
    layer: &'s Layer,
    layer_id: usize,
    request: &'s ServiceRequest,
    service_id: usize,
}

/// Expands all layers. Reports unknown engines, clashing ports, bad extras and too many hosts.
pub(crate) fn expand<'s>(scenario: &'s Scenario, options: &Options, findings: &mut Findings) -> Expanded<'s> {
    let mut expanded = Expanded::default();
    if !enough_addresses(scenario, findings) {
        return expanded;
    }
    check_options(scenario, options, findings);
    let mut names = Names::default();
    for (layer, layer_id) in scenario.layers.iter().zip(1..) {
        let copies = layer.services.iter().flat_map(|r| std::iter::repeat_n(r, copies(r)));
        let mut engines = BTreeMap::new();
        for (request, service_id) in layer.services.iter().chain(copies).zip(1..) {
            let key = (request.place.line, request.place.column);
            let chosen = *engines.entry(key).or_insert_with(|| choose(scenario, request, options, findings));
            let position = Position { layer, layer_id, request, service_id };
            expanded.add(&position, chosen, scenario, &mut names, findings);
        }
    }
    expanded
}

/// Engines that were asked for from outside the files and that nothing here has.
fn check_options(scenario: &Scenario, options: &Options, findings: &mut Findings) {
    let requests = || scenario.layers.iter().flat_map(|layer| &layer.services);
    let Some(first) = requests().next() else { return };
    let names: BTreeSet<&str> = requests().map(|request| request.name.value.as_str()).collect();
    for service in options.engines.keys() {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(service)) {
            let names: Vec<&str> = names.iter().copied().collect();
            let message = format!("an engine is asked for `{service}`, which is no service of this scenario");
            findings.error(&first.name.place, message, hint(service, &names));
        }
    }
    let Some(wanted) = &options.engine else { return };
    let used = scenario
        .definitions
        .iter()
        .filter(|definition| names.iter().any(|name| name.eq_ignore_ascii_case(&definition.service.value)));
    let known: BTreeSet<&str> =
        used.flat_map(|d| &d.engines).map(|engine| engine.name.value.as_str()).collect();
    if !known.contains(wanted.as_str()) {
        let known: Vec<&str> = known.into_iter().collect();
        let message = format!("no service of this scenario has an engine `{wanted}`");
        let hint = match known.is_empty() {
            true => "none of its services has a definition, which is where engines are named".to_owned(),
            false => hint(wanted, &known),
        };
        findings.error(&first.name.place, message, hint);
    }
}

/// The hosts of one instance know each other, which has its limit.
fn too_many_members(request: &ServiceRequest, findings: &mut Findings) {
    let (name, quantity) = (&request.name.value, request.quantity.value);
    let message = format!(
        "one instance of `{name}` has {quantity} hosts that know each other; {MEMBERS_MAX} is the most"
    );
    let hint = "`repeat` makes instances that know nothing of each other".to_owned();
    findings.error(&request.quantity.place, message, hint);
}

fn copies(request: &ServiceRequest) -> usize {
    usize::try_from(request.repeat.value).unwrap_or(usize::MAX)
}

/// Counts before anything is made, so that a slip of the keyboard costs no memory.
fn enough_addresses(scenario: &Scenario, findings: &mut Findings) -> bool {
    let mut total: u64 = 0;
    for request in scenario.layers.iter().flat_map(|layer| &layer.services) {
        let instances = u64::from(request.repeat.value) + 1;
        total += u64::from(request.quantity.value) * instances;
        if total > HOSTS_MAX {
            let place = if instances > u64::from(request.quantity.value) {
                &request.repeat
            } else {
                &request.quantity
            };
            let message =
                format!("the scenario needs at least {total} hosts, the network has {HOSTS_MAX} addresses");
            findings.error(&place.place, message, "lower `quantity` or `repeat`".to_owned());
            return false;
        }
    }
    true
}

/// The definition of a service and the engine that runs it.
#[derive(Clone, Copy)]
struct Chosen<'s> {
    definition: &'s Definition,
    engine: &'s Engine,
}

fn choose<'s>(
    scenario: &'s Scenario,
    request: &ServiceRequest,
    options: &Options,
    findings: &mut Findings,
) -> Option<Chosen<'s>> {
    let name = &request.name;
    let named = |wanted: &str| {
        scenario.definitions.iter().find(|definition| definition.service.value.eq_ignore_ascii_case(wanted))
    };
    let own = named(&name.value);
    if own.is_none() {
        let known = scenario.definitions.iter().map(|definition| definition.service.value.as_str());
        if let Some(near) = nearest(&name.value, known) {
            let message =
                format!("no definition for service `{}`: nothing is started on its hosts", name.value);
            findings.warning(&name.place, message, format!("did you mean `{near}`?"));
        }
    }
    let definition = own.or_else(|| named(Definition::FALLBACK))?;
    if own.is_some() {
        check_env(definition, request, findings);
    }
    let asked = options.engines.iter().find(|(service, _)| service.eq_ignore_ascii_case(&name.value));
    let general = options.engine.as_ref().filter(|engine| definition.engine(engine).is_some());
    let (wanted, place) = match (asked.map(|(_, engine)| engine).or(general), &request.engine) {
        (Some(engine), _) => (engine, &name.place),
        (None, Some(engine)) => (&engine.value, &engine.place),
        (None, None) => (&definition.default_engine.value, &name.place),
    };
    let engine = definition.engine(wanted);
    if engine.is_none() {
        let known: Vec<&str> = definition.engines.iter().map(|engine| engine.name.value.as_str()).collect();
        let message = format!("service `{}` has no engine `{wanted}`", name.value);
        findings.error(place, message, hint(wanted, &known));
    }
    engine.map(|engine| Chosen { definition, engine })
}

/// A variable that is nearly one of the definition's is a slip.
fn check_env(definition: &Definition, request: &ServiceRequest, findings: &mut Findings) {
    let known = || definition.env.iter().map(|variable| variable.name.as_str());
    for (name, value) in request.env.iter().filter(|(name, _)| !known().any(|known| known == name)) {
        if let Some(near) = nearest(name, known()) {
            let message = format!("service `{}` does not read the variable `{name}`", request.name.value);
            findings.warning(&value.place, message, format!("did you mean `{near}`?"));
        }
    }
}

impl<'s> Expanded<'s> {
    fn add(
        &mut self,
        position: &Position<'s>,
        chosen: Option<Chosen<'s>>,
        scenario: &Scenario,
        names: &mut Names,
        findings: &mut Findings,
    ) {
        let hosts = self.add_hosts(position, scenario.monitoring.is_some(), chosen, names);
        let defaults = chosen.map_or(&[][..], |chosen| chosen.definition.env.as_slice());
        let mut env: Map<String, Value> =
            defaults.iter().map(|variable| (variable.name.clone(), variable.default.value.clone())).collect();
        for (name, value) in &position.request.env {
            env.insert(name.clone(), value.value.clone());
        }
        let mut roles = Vec::new();
        match chosen {
            None => {
                let own = Own { engine: None, members: &hosts, env: &env };
                self.register(position, None, hosts.clone(), &own, findings);
            }
            Some(_) if hosts.len() > MEMBERS_MAX => too_many_members(position.request, findings),
            Some(Chosen { engine, .. }) => {
                let own = Own { engine: Some(engine), members: &hosts, env: &env };
                for role in &engine.roles {
                    let on = placed(role.placement, &hosts);
                    roles.push((role, self.register(position, Some(role), on, &own, findings)));
                }
                self.check_ports(&roles, position, findings);
            }
        }
        let (layer, request) = (position.layer, position.request);
        self.instances.push(Instance { layer, request, env, roles });
    }

    fn add_hosts(
        &mut self,
        position: &Position<'_>,
        sampled: bool,
        chosen: Option<Chosen<'_>>,
        names: &mut Names,
    ) -> Range<usize> {
        let software = chosen.iter().flat_map(|chosen| &chosen.engine.software);
        let software: BTreeSet<&str> = software.map(|name| name.value.as_str()).collect();
        let (layer, request) = (&position.layer.name.value, position.request);
        let start = self.hosts.len();
        for machine in 1..=request.quantity.value as usize {
            let index = self.hosts.len();
            let ids = (position.service_id, machine);
            let id = format!("{}_{}", position.layer_id, position.service_id);
            let mut roles = vec![request.name.value.clone(), id, layer.clone()];
            for role in &request.roles {
                if !roles.contains(&role.value) {
                    roles.push(role.value.clone());
                }
            }
            self.hosts.push(Host {
                name: names.give(layer, &request.name.value, ids, index),
                address: address(index),
                layer: layer.clone(),
                monitored: sampled && roles.iter().any(|role| role == "monitoring"),
                roles,
                software: software.iter().map(|name| (*name).to_owned()).collect(),
            });
        }
        start..self.hosts.len()
    }

    /// Registers one service per host; machine ids count from 1 within a role.
    fn register(
        &mut self,
        position: &Position<'_>,
        role: Option<&Role>,
        hosts: Range<usize>,
        own: &Own<'_>,
        findings: &mut Findings,
    ) -> Range<usize> {
        let start = self.services.len();
        for (host, machine) in hosts.zip(1_usize..) {
            let sub_service = role.and_then(|role| role.name.clone());
            let (layer, name) = (&position.layer.name.value, &position.request.name.value);
            let middle = sub_service.as_ref().map_or_else(String::new, |sub| format!(".{sub}"));
            let key = format!("{layer}.{name}.{}{middle}.{machine}", position.service_id).to_lowercase();
            let port = role.and_then(|role| role.port.as_ref()).map(|port| port.value);
            let ids = [position.layer_id, position.service_id, machine];
            let own_variables = own.variables(ids, &self.hosts, host, port);
            let variables = match role {
                Some(role) => with_extras(own_variables, role, own.env, findings),
                None => own_variables,
            };
            self.services.push(Service {
                key,
                layer: layer.clone(),
                name: name.clone(),
                sub_service,
                host: HostId(host),
                port,
                variables,
            });
        }
        start..self.services.len()
    }

    fn check_ports(&self, roles: &[(&Role, Range<usize>)], position: &Position<'_>, findings: &mut Findings) {
        let mut taken: BTreeMap<(HostId, u16), &Role> = BTreeMap::new();
        for (role, services) in roles.iter().filter(|(role, _)| !is_alias(role, roles)) {
            for service in &self.services[services.clone()] {
                let Some(port) = &role.port else { continue };
                if let Some(first) = taken.insert((service.host, port.value), role) {
                    let name = |role: &Role| role.name.clone().unwrap_or_default();
                    let message = format!(
                        "port {} of `{}` is used by both `{}` and `{}` on {}",
                        port.value,
                        position.request.name.value,
                        name(first),
                        name(role),
                        self.hosts[service.host.0].name
                    );
                    findings.error(&port.place, message, "give each role a port of its own".to_owned());
                }
            }
        }
    }
}

/// Whether a role is only another name for what a role with tasks starts on the same port.
fn is_alias(role: &Role, roles: &[(&Role, Range<usize>)]) -> bool {
    let port = |role: &Role| role.port.as_ref().map(|port| port.value);
    role.deploy.is_empty()
        && roles.iter().any(|(other, _)| !other.deploy.is_empty() && port(other) == port(role))
}

/// The hosts of a role; with one host all roles share it.
pub(crate) fn placed(placement: Placement, hosts: &Range<usize>) -> Range<usize> {
    match placement {
        Placement::First => hosts.start..(hosts.start + 1).min(hosts.end),
        Placement::Rest if hosts.len() > 1 => hosts.start + 1..hosts.end,
        Placement::Others => (hosts.start + 1).min(hosts.end)..hosts.end,
        Placement::Rest | Placement::All => hosts.clone(),
    }
}
