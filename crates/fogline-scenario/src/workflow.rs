//! `workflow.yaml`.

use crate::blocks::steps;
use crate::fields::{Fields, boolean, choice, identifier, list, measured, text};
use crate::findings::Findings;
use crate::nearest::hint;
use crate::tasks::{environment, vars};
use crate::yaml::{Kind, Node};
use crate::{ArrayInfo, Dependency, Grouping, Phase, Spanned, WorkflowEntry};
use std::collections::BTreeMap;

/// Keys with an effect.
const KEYS: [&str; 10] = [
    "hosts",
    "depends_on",
    "prepare",
    "launch",
    "finalize",
    "name",
    "vars",
    "environment",
    "ignore_errors",
    "become",
];
/// Keywords of a play that change nothing here: every task runs as the host's root, no facts are gathered, all
/// hosts work at once, and any failure ends the run.
const NO_EFFECT: [&str; 9] = [
    "become_user",
    "become_method",
    "remote_user",
    "connection",
    "gather_facts",
    "gather_subset",
    "strategy",
    "any_errors_fatal",
    "tags",
];
/// Keywords of a play that would change what happens, so that they must not be passed over.
const UNSUPPORTED: [&str; 13] = [
    "roles",
    "tasks",
    "pre_tasks",
    "post_tasks",
    "handlers",
    "vars_files",
    "vars_prompt",
    "serial",
    "order",
    "max_fail_percentage",
    "throttle",
    "collections",
    "module_defaults",
];

/// Reads the whole file.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Vec<WorkflowEntry> {
    let items = list(root, "the workflow file", findings);
    items.iter().filter_map(|item| entry(item, findings)).collect()
}

fn entry(node: &Node, findings: &mut Findings) -> Option<WorkflowEntry> {
    let fields = Fields::open(node, "a workflow entry", findings)?;
    keys(&fields, findings);
    let hosts = fields.required("hosts", "cloud.kafka.*.leader", findings);
    let hosts = hosts.and_then(|node| text(node, "`hosts`", findings));
    let depends_on = fields.get("depends_on").map_or_else(Vec::new, |node| dependencies(node, findings));
    let mut phases = BTreeMap::new();
    for phase in Phase::ALL {
        if let Some(node) = fields.get(phase.key()) {
            phases.insert(phase, steps(node, &format!("`{}`", phase.key()), findings));
        }
    }
    if phases.is_empty() {
        let hint = "give it `prepare`, `launch` or `finalize`".to_owned();
        findings.warning(fields.place(), "a workflow entry without tasks", hint);
    }
    let environment = environment(&fields, findings);
    let ignore = fields.get("ignore_errors").and_then(|node| boolean(node, "`ignore_errors`", findings));
    for step in phases.values_mut().flatten() {
        step.change_tasks(&mut |task| {
            for (name, value) in &environment {
                task.environment.entry(name.clone()).or_insert_with(|| value.clone());
            }
            task.ignore_errors |= ignore.unwrap_or(false);
        });
    }
    let vars = vars(&fields, findings);
    Some(WorkflowEntry { place: node.place.clone(), hosts: hosts?, depends_on, phases, vars })
}

fn keys(fields: &Fields<'_>, findings: &mut Findings) {
    for (key, _) in fields.pairs() {
        let word = key.value.as_str();
        if UNSUPPORTED.contains(&word) {
            let hint = "write the tasks under `prepare`, `launch` and `finalize`".to_owned();
            findings.error(&key.place, format!("the play keyword `{word}` is not supported"), hint);
        } else if !KEYS.contains(&word) && !NO_EFFECT.contains(&word) {
            let message = format!("unknown key `{word}` in a workflow entry");
            let known: Vec<&str> = KEYS.iter().chain(&NO_EFFECT).copied().collect();
            findings.error(&key.place, message, hint(word, &known));
        }
    }
}

/// A map (old dialect) or a list of maps.
fn dependencies(node: &Node, findings: &mut Findings) -> Vec<Dependency> {
    let items = match &node.kind {
        Kind::Map(_) => std::slice::from_ref(node),
        _ => list(node, "`depends_on`", findings),
    };
    items.iter().filter_map(|item| dependency(item, findings)).collect()
}

fn dependency(node: &Node, findings: &mut Findings) -> Option<Dependency> {
    let known = ["service_selector", "grouping", "prefix", "array_info", "sends"];
    let fields = Fields::closed(node, "`depends_on`", &known, findings)?;
    let selector = fields.required("service_selector", "cloud.kafka.*.leader", findings);
    let selector = selector.and_then(|node| text(node, "`service_selector`", findings));
    let prefix = fields.required("prefix", "kafka", findings);
    let prefix = prefix.and_then(|node| text(node, "`prefix`", findings));
    let prefix = prefix.filter(|prefix| identifier(prefix, "a prefix", findings));
    let grouping = match fields.get("grouping") {
        None => Some(Grouping::RoundRobin),
        Some(node) => grouping(node, &fields, findings),
    };
    let sends = fields.get("sends").and_then(|node| measured(node, "`sends`", findings));
    let place = node.place.clone();
    Some(Dependency { place, selector: selector?, grouping: grouping?, prefix: prefix?, sends })
}

fn grouping(node: &Node, fields: &Fields<'_>, findings: &mut Findings) -> Option<Grouping> {
    let names = ["round_robin", "address_match", "aggregate", "asarray"];
    let name: Spanned<&str> = choice(node, "grouping", &names, findings)?;
    Some(match name.value {
        "address_match" => Grouping::AddressMatch,
        "aggregate" => Grouping::Aggregate,
        "asarray" => {
            let info = fields
                .get("array_info")
                .map(|node| choice(node, "value of `array_info`", &["id", "hostname"], findings));
            match info {
                None => Grouping::AsArray(ArrayInfo::Id),
                Some(info) => {
                    Grouping::AsArray(if info?.value == "id" { ArrayInfo::Id } else { ArrayInfo::Hostname })
                }
            }
        }
        _ => Grouping::RoundRobin,
    })
}
