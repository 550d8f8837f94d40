//! What starts each service, and what brings back its records: the tasks of its roles, bound to its hosts.

use crate::expand::{Expanded, Instance};
use crate::{Entry, EntryHost, Variables};
use fogline_scenario::{Phase, Role, Spanned, Step};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;

/// One entry per role of each requested service that has anything to start, in registration order; the copies that
/// `repeat` makes share an entry, so that they start at once.
///
/// Hosts see `_self` and `instance`, the first service of each role of their instance by the role's name. The
/// service's environment is the tasks' process environment.
pub(crate) fn deployments(expanded: &Expanded<'_>) -> Vec<Entry> {
    entries(expanded, Phase::Launch, |role| &role.deploy)
}

/// The same of what is to be brought back.
pub(crate) fn collections(expanded: &Expanded<'_>) -> Vec<Entry> {
    entries(expanded, Phase::Finalize, |role| &role.collect)
}

fn entries(expanded: &Expanded<'_>, phase: Phase, tasks: impl Fn(&Role) -> &[Step]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    for instance in &expanded.instances {
        let siblings = siblings(instance, expanded);
        for (at, (role, services)) in instance.roles.iter().enumerate() {
            let tasks = tasks(role);
            if tasks.is_empty() {
                continue;
            }
            let place = &instance.request.place;
            let key = Key { line: place.line, column: place.column, role: at };
            let index = *known.entry(key).or_insert_with(|| {
                entries.push(entry(instance, role, phase, tasks));
                entries.len() - 1
            });
            entries[index].hosts.extend(hosts(services.clone(), &siblings, expanded));
        }
    }
    // `Vec::sort` is stable: entries of one request stay in the order of their roles.
    entries.sort_by_key(|entry| entry.hosts.first().map(|host| host.service));
    entries
}

/// What shares one entry: a request of the layers file and a role.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    line: u32,
    column: u32,
    role: usize,
}

fn siblings(instance: &Instance<'_>, expanded: &Expanded<'_>) -> Map<String, Value> {
    let mut all = Map::new();
    for (role, services) in &instance.roles {
        if let (Some(name), Some(first)) = (&role.name, services.clone().next()) {
            all.insert(name.clone(), Value::Object(expanded.services[first].variables.clone()));
        }
    }
    all
}

fn entry(instance: &Instance<'_>, role: &Role, phase: Phase, tasks: &[Step]) -> Entry {
    let mut label = format!("{}.{}", instance.layer.name.value, instance.request.name.value);
    if let Some(role) = &role.name {
        label = format!("{label}.{role}");
    }
    let tasks = tasks.iter().map(|step| with_environment(step, instance)).collect();
    Entry {
        label: label.to_lowercase(),
        place: role.place.clone(),
        hosts: Vec::new(),
        phases: BTreeMap::from([(phase, tasks)]),
    }
}

/// The service's environment under the task's own.
fn with_environment(step: &Step, instance: &Instance<'_>) -> Step {
    let mut step = step.clone();
    for (name, value) in &instance.env {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let place = instance.request.place.clone();
        let value = Spanned { value: text, place };
        step.change_tasks(&mut |task| {
            _ = task.environment.entry(name.clone()).or_insert_with(|| value.clone())
        });
    }
    step
}

fn hosts(services: Range<usize>, siblings: &Map<String, Value>, expanded: &Expanded<'_>) -> Vec<EntryHost> {
    let bound = services.map(|service| {
        let found = &expanded.services[service];
        let mut variables = Variables::new();
        variables.insert("_self".to_owned(), Value::Object(found.variables.clone()));
        variables.insert("instance".to_owned(), Value::Object(siblings.clone()));
        EntryHost { host: found.host, service, bindings: Vec::new(), variables }
    });
    bound.collect()
}
