//! `layers_services.yaml`.

use crate::fields::{Fields, choice, list, text, whole, written};
use crate::findings::Findings;
use crate::nearest::{hint, nearest};
use crate::yaml::{Kind, Node};
use crate::{Environment, Layer, MonitoringRequest, Provider, ServiceRequest, Spanned};
use serde_json::Value;

/// E2Clab's providers and ours.
const PROVIDERS: [&str; 6] =
    ["local", "g5k", "iotlab", "chameleoncloud", "chameleonedge", "scalewayinstances"];
/// Keys of the old dialect `environment: {name: g5k, ...}`.
const OLD_KEYS: [&str; 7] = ["name", "env_name", "job_type", "queue", "key_name", "reservation", "ipv6"];
/// Keys of a service that E2Clab or Fogline read; every other key is the definition's affair.
const SERVICE_KEYS: [&str; 14] = [
    "name",
    "quantity",
    "repeat",
    "roles",
    "env",
    "engine",
    "environment",
    "cluster",
    "servers",
    "archi",
    "image",
    "profile",
    "containers",
    "commercial_type",
];
/// Most instances and hosts per instance that can be written; the plan has its own, lower limit.
const COUNT_MAX: u32 = 1_000_000;

/// The typed layers file.
pub(crate) struct LayersFile {
    pub(crate) environment: Environment,
    pub(crate) monitoring: Option<MonitoringRequest>,
    pub(crate) layers: Vec<Layer>,
}

/// Reads the whole file; `None` when a part without which there is no plan is missing (reported).
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Option<LayersFile> {
    let known = ["environment", "layers", "monitoring", "provenance", "monitoring_iotlab", "kwollect"];
    let fields = Fields::closed(root, "the layers file", &known, findings)?;
    for key in ["provenance", "monitoring_iotlab", "kwollect"] {
        if let Some((name, _)) = fields.pairs().iter().find(|(name, _)| name.value == key) {
            findings.warning(&name.place, format!("`{key}` is not sampled here"), None);
        }
    }
    let monitoring = fields.get("monitoring").and_then(|node| monitoring(node, findings));
    let environment =
        fields.required("environment", "{local: {}}", findings).and_then(|node| environment(node, findings));
    let layers = fields.required("layers", "[{name: cloud, services: [{name: Kafka}]}]", findings)?;
    let layers = all_layers(layers, findings);
    Some(LayersFile { environment: environment?, monitoring, layers })
}

fn environment(node: &Node, findings: &mut Findings) -> Option<Environment> {
    let mut known = vec!["job_name", "walltime", "cluster"];
    known.extend(PROVIDERS);
    let old = Fields::open(node, "`environment`", findings)?.get("name").is_some();
    if old {
        known.extend(OLD_KEYS);
    }
    let fields = Fields::closed(node, "`environment`", &known, findings)?;
    let mut providers = Vec::new();
    let old_name = fields.get("name").filter(|_| old);
    if let Some(name) = old_name.and_then(|name| choice(name, "provider", &PROVIDERS, findings)) {
        let name = Spanned { value: name.value.to_owned(), place: name.place };
        providers.push(Provider { name, settings: node.value() });
    }
    for (key, settings) in fields.pairs().iter().filter(|(key, _)| PROVIDERS.contains(&key.value.as_str())) {
        if !settings.is_null() {
            Fields::open(settings, "a provider's block", findings);
        }
        providers.push(Provider { name: key.clone(), settings: settings.value() });
    }
    if providers.is_empty() && !old {
        findings.error(fields.place(), "`environment` names no provider", "add `local: {}`".to_owned());
    }
    let local = providers.iter().any(|provider| provider.name.value == "local");
    if let Some(first) = providers.first().filter(|_| !local) {
        let message = format!("provider `{}` is not used: all hosts are on this machine", first.name.value);
        findings.warning(&first.name.place, message, "write `local: {}` to say so".to_owned());
    }
    Some(Environment {
        place: node.place.clone(),
        job_name: fields.get("job_name").and_then(|node| written(node, "`job_name`", findings)),
        walltime_s: fields.get("walltime").and_then(|node| walltime(node, findings)),
        providers,
    })
}

/// `hh:mm:ss`, at most 23 hours, as E2Clab's schema has it.
fn walltime(node: &Node, findings: &mut Findings) -> Option<Spanned<u64>> {
    let text = written(node, "`walltime`", findings)?;
    let parts: Vec<Option<u64>> = text.value.split(':').map(|part| part.parse().ok()).collect();
    if let [Some(h @ 0..=23), Some(m @ 0..=59), Some(s @ 0..=59)] = parts[..] {
        return Some(Spanned { value: h * 3600 + m * 60 + s, place: text.place });
    }
    let message = format!("`{}` is not a walltime", text.value);
    findings.error(&text.place, message, "write hh:mm:ss, for example \"01:00:00\"".to_owned());
    None
}

fn monitoring(node: &Node, findings: &mut Findings) -> Option<MonitoringRequest> {
    let known =
        ["type", "provider", "cluster", "servers", "network", "agent_conf", "options", "ipv", "interval"];
    let fields = Fields::closed(node, "`monitoring`", &known, findings)?;
    let kind = fields.required("type", "dstat", findings)?;
    let kind = choice(kind, "monitoring type", &["dstat", "tig", "tpg"], findings)?;
    if kind.value != "dstat" {
        let message = format!("monitoring `{}` is not sampled here", kind.value);
        findings.warning(&kind.place, message, "`type: dstat` samples every second".to_owned());
    }
    Some(MonitoringRequest { kind: Spanned { value: kind.value.to_owned(), place: kind.place } })
}

fn all_layers(node: &Node, findings: &mut Findings) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let items = list(node, "`layers`", findings);
    if items.is_empty() && matches!(node.kind, Kind::List(_)) {
        findings.error(&node.place, "`layers` is empty", "give at least one layer with a service".to_owned());
    }
    for item in items {
        let Some(layer) = layer(item, findings) else { continue };
        let same = |other: &&Layer| other.name.value.eq_ignore_ascii_case(&layer.name.value);
        if let Some(first) = layers.iter().find(same) {
            let message =
                format!("layer `{}` is already given on line {}", layer.name.value, first.name.place.line);
            let hint = "give each layer a name of its own, or put the services into one layer".to_owned();
            findings.error(&layer.name.place, message, hint);
        }
        layers.push(layer);
    }
    layers
}

fn layer(node: &Node, findings: &mut Findings) -> Option<Layer> {
    let fields = Fields::closed(node, "a layer", &["name", "services"], findings)?;
    let name = fields.required("name", "cloud", findings).and_then(|node| plain_name(node, findings));
    let services = fields.required("services", "[{name: Kafka}]", findings)?;
    let items = list(services, "`services`", findings);
    if items.is_empty() && matches!(services.kind, Kind::List(_)) {
        findings.error(&services.place, "a layer without services", "give it at least one".to_owned());
    }
    let services = items.iter().filter_map(|item| service(item, findings)).collect();
    Some(Layer { name: name?, services })
}

/// A layer's or service's name: it becomes part of keys, selectors and host names.
fn plain_name(node: &Node, findings: &mut Findings) -> Option<Spanned<String>> {
    let name = text(node, "`name`", findings)?;
    let fine = name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !fine {
        let message = format!("`{}` cannot be a name", name.value);
        findings.error(&name.place, message, "use letters, digits, `_` and `-`".to_owned());
    }
    fine.then_some(name)
}

fn service(node: &Node, findings: &mut Findings) -> Option<ServiceRequest> {
    let fields = Fields::open(node, "a service", findings)?;
    let name = fields.required("name", "Kafka", findings).and_then(|node| plain_name(node, findings));
    let fallback = |value: u32| Spanned { value, place: node.place.clone() };
    let quantity = fields.get("quantity").map_or(Some(fallback(1)), |node| quantity(node, findings));
    let repeat = fields
        .get("repeat")
        .map_or(Some(fallback(0)), |node| whole(node, "`repeat`", 0, COUNT_MAX, findings));
    let roles = fields.get("roles").map_or(&[][..], |node| list(node, "`roles`", findings));
    let roles = roles.iter().filter_map(|node| text(node, "a role", findings)).collect();
    let mut env = fields.get("env").map_or_else(Vec::new, |node| env(node, findings));
    let engine = fields.get("engine").and_then(|node| text(node, "`engine`", findings));
    let engine = engine_of(engine, &mut env, findings);
    let metadata = metadata(&fields, findings);
    let (name, quantity, repeat) = (name?, quantity?, repeat?);
    Some(ServiceRequest { place: node.place.clone(), name, quantity, repeat, roles, env, engine, metadata })
}

/// The engine: `engine:` of the service, or of its `env`, where files that E2Clab must read as well keep it.
fn engine_of(
    engine: Option<Spanned<String>>,
    env: &mut Vec<(String, Spanned<Value>)>,
    findings: &mut Findings,
) -> Option<Spanned<String>> {
    let Some(at) = env.iter().position(|(name, _)| name == "engine") else { return engine };
    let (_, written) = env.remove(at);
    let Value::String(value) = written.value else {
        let hint = "for example `engine: apache`".to_owned();
        findings.error(&written.place, "`engine` in `env` must be the name of an engine", hint);
        return engine;
    };
    if let Some(first) = engine {
        let message = format!("the engine is already given on line {}", first.place.line);
        findings.error(&written.place, message, "keep one of the two".to_owned());
        return Some(first);
    }
    Some(Spanned { value, place: written.place })
}

fn quantity(node: &Node, findings: &mut Findings) -> Option<Spanned<u32>> {
    if matches!(node.value(), Value::Number(number) if number.as_i64() == Some(0)) {
        let hint = "remove the service, or give it at least one host".to_owned();
        findings.error(&node.place, "`quantity` is 0: the service would have no host", hint);
        return None;
    }
    whole(node, "`quantity`", 1, COUNT_MAX, findings)
}

/// `env:` of a service: names with texts, numbers or booleans; nothing written is an empty text.
fn env(node: &Node, findings: &mut Findings) -> Vec<(String, Spanned<Value>)> {
    let Some(fields) = Fields::open(node, "`env`", findings) else { return Vec::new() };
    let mut all = Vec::new();
    for (key, value) in fields.pairs() {
        let mut given = value.spanned();
        match given.value {
            Value::Array(_) | Value::Object(_) => {
                let message =
                    format!("`env` variable `{}` must be a text, found {}", key.value, value.described());
                findings.error(&value.place, message, None);
                continue;
            }
            Value::Null => given.value = Value::String(String::new()),
            _ => {}
        }
        all.push((key.value.clone(), given));
    }
    all
}

/// Keys that are kept for the definition. One that is nearly a known key is a slip, not metadata.
fn metadata(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(String, Spanned<Value>)> {
    let read = ["name", "quantity", "repeat", "roles", "env", "engine"];
    let mut all = Vec::new();
    for (key, value) in fields.pairs().iter().filter(|(key, _)| !read.contains(&key.value.as_str())) {
        let known = SERVICE_KEYS.contains(&key.value.as_str());
        if !known && nearest(&key.value, SERVICE_KEYS).is_some() {
            let message = format!("unknown key `{}` in a service", key.value);
            findings.error(&key.place, message, hint(&key.value, &SERVICE_KEYS));
        }
        all.push((key.value.clone(), value.spanned()));
    }
    all
}
