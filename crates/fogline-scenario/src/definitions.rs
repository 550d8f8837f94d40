//! `services/*.yaml`.

use crate::blocks::steps;
use crate::fields::{Fields, choice, identifier, list, text, whole, written};
use crate::findings::Findings;
use crate::nearest::hint;
use crate::yaml::Node;
use crate::{Definition, Engine, EnvDefault, Placement, Role, Spanned};
use serde_json::Value;

const ROLE_KEYS: [&str; 5] = ["hosts", "port", "extra", "deploy", "collect"];
/// What every service's variables hold already.
const OWN_VARIABLES: [&str; 14] = [
    "_id",
    "layer_id",
    "service_id",
    "machine_id",
    "hostname",
    "__address__",
    "__address4__",
    "url",
    "url4",
    "env",
    "engine",
    "member",
    "members",
    "urls",
];

/// Reads one definition.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Option<Definition> {
    let known = ["service", "summary", "default_engine", "env", "engines"];
    let fields = Fields::closed(root, "a service definition", &known, findings)?;
    let service = fields.required("service", "Kafka", findings);
    let service = service.and_then(|node| text(node, "`service`", findings));
    let summary = fields.get("summary").and_then(|node| text(node, "`summary`", findings));
    let env = fields.get("env").map_or_else(Vec::new, |node| env(node, findings));
    let default_engine = fields.required("default_engine", "embedded", findings);
    let default_engine = default_engine.and_then(|node| text(node, "`default_engine`", findings));
    let node = fields.required("engines", "{embedded: {port: 1883}}", findings)?;
    let map = Fields::open(node, "`engines`", findings)?;
    if map.pairs().is_empty() {
        findings.error(&node.place, "`engines` is empty", "for example `embedded: {port: 1883}`".to_owned());
    }
    let engines: Vec<Engine> =
        map.pairs().iter().filter_map(|(name, node)| engine(name, node, findings)).collect();
    let (service, default_engine) = (service?, default_engine?);
    if !map.pairs().is_empty() && !map.pairs().iter().any(|(name, _)| name.value == default_engine.value) {
        let names: Vec<&str> = map.pairs().iter().map(|(name, _)| name.value.as_str()).collect();
        let message = format!("`{}` is not an engine of `{}`", default_engine.value, service.value);
        findings.error(&default_engine.place, message, hint(&default_engine.value, &names));
    }
    let summary = summary.map(|summary| summary.value);
    Some(Definition { place: root.place.clone(), service, summary, default_engine, env, engines })
}

fn env(node: &Node, findings: &mut Findings) -> Vec<EnvDefault> {
    let Some(map) = Fields::open(node, "`env`", findings) else { return Vec::new() };
    let mut all = Vec::new();
    for (name, node) in map.pairs() {
        let Some(fields) = Fields::closed(node, "an `env` variable", &["default", "meaning"], findings)
        else {
            continue;
        };
        let default = fields.required("default", "\"16384\"", findings);
        let default = default.and_then(|node| written(node, "`default`", findings));
        let meaning = fields.required("meaning", "bytes of a batch", findings);
        let meaning = meaning.and_then(|node| text(node, "`meaning`", findings));
        if let (Some(default), Some(meaning)) = (default, meaning) {
            let default = Spanned { value: Value::String(default.value), place: default.place };
            all.push(EnvDefault { name: name.value.clone(), default, meaning: meaning.value });
        }
    }
    all
}

fn engine(name: &Spanned<String>, node: &Node, findings: &mut Findings) -> Option<Engine> {
    if node.is_null() {
        let role = Role {
            place: node.place.clone(),
            name: None,
            placement: Placement::All,
            port: None,
            extra: Vec::new(),
            deploy: Vec::new(),
            collect: Vec::new(),
        };
        return Some(Engine { name: name.clone(), software: Vec::new(), roles: vec![role] });
    }
    let fields = Fields::open(node, "an engine", findings)?;
    let software = fields.get("software").map_or_else(Vec::new, |node| software(node, findings));
    let Some(roles) = fields.get("roles") else {
        let role = role(None, node, findings)?;
        return Some(Engine { name: name.clone(), software, roles: vec![role] });
    };
    Fields::closed(node, "an engine with roles", &["software", "roles"], findings)?;
    let map = Fields::open(roles, "`roles`", findings)?;
    if map.pairs().is_empty() {
        findings.error(
            &roles.place,
            "`roles` is empty",
            "leave it out when there are no sub services".to_owned(),
        );
    }
    let pairs = map.pairs().iter();
    let roles = pairs.filter_map(|(name, node)| role(Some(name), node, findings)).collect();
    Some(Engine { name: name.clone(), software, roles })
}

fn software(node: &Node, findings: &mut Findings) -> Vec<Spanned<String>> {
    let names = list(node, "`software`", findings).iter();
    names.filter_map(|node| text(node, "a package", findings)).collect()
}

fn role(name: Option<&Spanned<String>>, node: &Node, findings: &mut Findings) -> Option<Role> {
    if let Some(name) = name {
        identifier(name, "a role", findings);
    }
    let place = name.map_or(&node.place, |name| &name.place).clone();
    let name = name.map(|name| name.value.to_lowercase());
    if node.is_null() {
        let (port, extra, deploy, collect) = (None, Vec::new(), Vec::new(), Vec::new());
        return Some(Role { place, name, placement: Placement::All, port, extra, deploy, collect });
    }
    // An engine without roles is its own only role.
    let known = if name.is_some() { ROLE_KEYS.to_vec() } else { [&ROLE_KEYS[..], &["software"]].concat() };
    let fields = Fields::closed(node, "a role", &known, findings)?;
    let placements = ["first", "rest", "others", "all"];
    let placement = fields.get("hosts").map(|node| choice(node, "placement", &placements, findings));
    let placement = match placement {
        None => Placement::All,
        Some(choice) => match choice.map(|choice| choice.value) {
            Some("first") => Placement::First,
            Some("rest") => Placement::Rest,
            Some("others") => Placement::Others,
            _ => Placement::All,
        },
    };
    let port = fields.get("port").and_then(|node| whole(node, "`port`", 1, u16::MAX, findings));
    let mut extra = Vec::new();
    if let Some(map) = fields.get("extra").and_then(|node| Fields::open(node, "`extra`", findings)) {
        for (key, node) in map.pairs() {
            if OWN_VARIABLES.contains(&key.value.as_str()) {
                let message = format!("`{}` is a variable that every service has", key.value);
                findings.error(&key.place, message, "choose another name".to_owned());
            } else if identifier(key, "a variable", findings) {
                extra.push((key.value.clone(), node.spanned()));
            }
        }
    }
    let deploy = fields.get("deploy").map_or_else(Vec::new, |node| steps(node, "`deploy`", findings));
    let collect = fields.get("collect").map_or_else(Vec::new, |node| steps(node, "`collect`", findings));
    Some(Role { place, name, placement, port, extra, deploy, collect })
}
