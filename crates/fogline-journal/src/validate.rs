//! E2Clab's validation files: what was set up, what was asked, what was run.

use crate::yaml;
use crate::{JournalError, RunFolder, write_file, write_json};
use fogline_plan::Plan;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;

const HEADING: &str = "# Configure network.yaml and workflow.yaml using the information below!";

/// Writes `layers_services-validate.yaml`: two blank lines, a comment, then per layer (sorted) its services in
/// registration order, each with its addresses; then, as comments, the hosts with their roles.
///
/// # Errors
/// When the file cannot be written.
pub fn write_services(folder: &RunFolder, plan: &Plan) -> Result<(), JournalError> {
    let mut layers: BTreeMap<&str, Vec<(&str, Vec<Value>)>> = BTreeMap::new();
    for service in &plan.services {
        let address =
            plan.hosts.get(service.host.0).map_or(Value::Null, |host| json!(host.address.to_string()));
        let listed = layers.entry(&service.layer).or_default();
        match listed.iter_mut().find(|(key, _)| *key == service.key) {
            Some((_, addresses)) => addresses.push(address),
            None => listed.push((&service.key, vec![address])),
        }
    }
    let document: Map<String, Value> = layers
        .into_iter()
        .map(|(layer, services)| {
            let services = services.into_iter().map(|(key, addresses)| json!({ key: addresses })).collect();
            (layer.to_owned(), Value::Array(services))
        })
        .collect();
    let mut text =
        format!("\n\n{HEADING}\n{}\n# Hosts: name, address, roles.\n", yaml::document(&document.into()));
    for host in &plan.hosts {
        text.push_str(&format!("# {}  {}  {}\n", host.name, host.address, host.roles.join(", ")));
    }
    write_file(&folder.layers_services_validate(), text.as_bytes())
}

/// One workflow entry in one phase, with what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Play {
    /// The phase, in capitals as E2Clab writes it: `PREPARE`.
    pub phase: String,
    /// The tasks as written.
    pub play: Value,
    /// Variables that all hosts share.
    pub extra_vars: Map<String, Value>,
    /// The hosts' names.
    pub hosts: Vec<String>,
    /// One record per host, task and item: `host`, `status`, `task`, and the module's results.
    pub results: Vec<Value>,
}

/// Appends one YAML document to `workflow-validate.out`. Plain YAML: any safe loader reads it.
///
/// # Errors
/// When the file cannot be written in full.
pub fn append_play(folder: &RunFolder, play: &Play) -> Result<(), JournalError> {
    let document = json!({
        "TASK": play.phase,
        "ANSIBLE_PLAY": play.play,
        "EXTRA_VARS": play.extra_vars,
        "HOSTS": play.hosts,
        "RETURN": play.results,
    });
    let path = folder.workflow_validate();
    let text = format!("---\n{}", yaml::document(&document));
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| JournalError::new("write", &path, e))
}

/// Writes `network-validate/<rule>.json`: what was asked of a rule and what was measured.
///
/// # Errors
/// When the file cannot be written.
pub fn write_network_validation(
    folder: &RunFolder,
    rule: &str,
    measured: &impl Serialize,
) -> Result<(), JournalError> {
    write_json(&folder.network_validate_of(rule), measured)
}

/// Reads all of `network-validate/`, sorted by rule: the file's stem and what was written.
///
/// # Errors
/// When the folder cannot be listed, or a file cannot be read as `T`.
pub fn read_network_validation<T: DeserializeOwned>(
    folder: &RunFolder,
) -> Result<Vec<(String, T)>, JournalError> {
    let listed = folder.network_validate();
    let failed = |e| JournalError::new("list", &listed, e);
    let mut rules = Vec::new();
    for entry in fs::read_dir(&listed).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let (Some(stem), Some("json")) =
            (path.file_stem().and_then(|s| s.to_str()), path.extension().and_then(|e| e.to_str()))
        else {
            continue;
        };
        let bytes = fs::read(&path).map_err(|e| JournalError::new("read", &path, e))?;
        let value = serde_json::from_slice(&bytes).map_err(|e| JournalError::broken(&path, e))?;
        rules.push((stem.to_owned(), value));
    }
    rules.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(rules)
}
