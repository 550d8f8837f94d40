//! Layers to hosts and registered services.

use crate::name::{HOSTS_MAX, Names, address};
use crate::substitute::substitute;
use crate::{Host, HostId, Options, Service, Variables};
use fogline_scenario::{
    Definition, Engine, Findings, Layer, Placement, Role, Scenario, ServiceRequest, hint, nearest,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
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
    let (wanted, place) = match (asked, &request.engine) {
        (Some((_, engine)), _) => (engine, &name.place),
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
        let hosts = self.add_hosts(position, scenario.monitoring.is_some(), names);
        let defaults = chosen.map_or(&[][..], |chosen| chosen.definition.env.as_slice());
        let mut env: Map<String, Value> =
            defaults.iter().map(|variable| (variable.name.clone(), variable.default.value.clone())).collect();
        for (name, value) in &position.request.env {
            env.insert(name.clone(), value.value.clone());
        }
        let mut roles = Vec::new();
        match chosen {
            None => {
                self.register(position, None, hosts, &env, findings);
            }
            Some(Chosen { engine, .. }) => {
                for role in &engine.roles {
                    let on = placed(role.placement, &hosts);
                    roles.push((role, self.register(position, Some(role), on, &env, findings)));
                }
                self.check_ports(&roles, position, findings);
            }
        }
        let (layer, request) = (position.layer, position.request);
        self.instances.push(Instance { layer, request, env, roles });
    }

    fn add_hosts(&mut self, position: &Position<'_>, sampled: bool, names: &mut Names) -> Range<usize> {
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
        env: &Map<String, Value>,
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
            let own = own_variables(ids, &self.hosts[host], port, env);
            let variables = match role {
                Some(role) => with_extras(own, role, env, findings),
                None => own,
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
        for (role, services) in roles {
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

/// The hosts of a role; with one host all roles share it.
fn placed(placement: Placement, hosts: &Range<usize>) -> Range<usize> {
    match placement {
        Placement::First => hosts.start..(hosts.start + 1).min(hosts.end),
        Placement::Rest if hosts.len() > 1 => hosts.start + 1..hosts.end,
        Placement::Rest | Placement::All => hosts.clone(),
    }
}

/// What every service's `_self` holds; ids are texts, as in E2Clab.
fn own_variables(ids: [usize; 3], host: &Host, port: Option<u16>, env: &Map<String, Value>) -> Variables {
    let [layer_id, service_id, machine_id] = ids.map(|id| id.to_string());
    let address = host.address.to_string();
    let url = port.map_or_else(|| address.clone(), |port| format!("{address}:{port}"));
    let variables = [
        ("_id", json!(format!("{layer_id}_{service_id}_{machine_id}"))),
        ("layer_id", json!(layer_id)),
        ("service_id", json!(service_id)),
        ("machine_id", json!(machine_id)),
        ("hostname", json!(host.name)),
        ("__address__", json!(address)),
        ("url", json!(url)),
        ("__address4__", json!(address)),
        ("url4", json!(url)),
        ("env", Value::Object(env.clone())),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn with_extras(own: Variables, role: &Role, env: &Map<String, Value>, findings: &mut Findings) -> Variables {
    let mut context = Variables::new();
    context.insert("env".to_owned(), Value::Object(env.clone()));
    let mut own = own;
    for (name, extra) in &role.extra {
        context.insert("_self".to_owned(), Value::Object(own.clone()));
        match substitute(&extra.value, &context) {
            Ok(value) => {
                own.insert(name.clone(), value);
            }
            Err(message) => {
                findings.error(&extra.place, message, "add it to the definition's `env`".to_owned())
            }
        }
    }
    own
}
