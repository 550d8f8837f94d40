//! `fogline plan`: what a deployment would do, as tables or JSON.

mod network;

use crate::check::load_or_explain;
use crate::cli::PlanArgs;
use crate::exit::Exit;
use crate::table::section;
use fogline_plan::{Entry, Plan};
use fogline_workflow::PlannedCommand;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// Runs the subcommand.
pub(crate) fn run(args: &PlanArgs) -> Exit {
    let loaded = match load_or_explain(&args.scenario, None) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let commands = fogline_workflow::commands(&loaded.plan, &loaded.context);
    let text =
        if args.json { json_text(&loaded.plan, &commands) } else { table_text(&loaded.plan, &commands) };
    // A reader that stops early (`fogline plan | head`) is no error.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Exit::Success
}

fn json_text(plan: &Plan, commands: &[PlannedCommand]) -> String {
    let host = |id: fogline_plan::HostId| plan.hosts[id.0].name.as_str();
    let value = json!({
        "scenario": plan.scenario,
        "hosts": plan.hosts.iter().map(|h| json!({
            "name": h.name, "address": h.address.to_string(), "layer": h.layer, "roles": h.roles, "monitored": h.monitored,
        })).collect::<Vec<_>>(),
        "services": plan.services.iter().map(|s| json!({
            "key": s.key, "host": host(s.host), "port": s.port, "variables": s.variables,
        })).collect::<Vec<_>>(),
        "bindings": plan.entries.iter().flat_map(|entry| bindings(plan, entry)).map(|b| json!({
            "entry": b.entry, "host": b.host, "variable": b.variable, "grouping": b.grouping, "services": b.services,
        })).collect::<Vec<_>>(),
        "rules": plan.rules.iter().map(|rule| network::rule_json(plan, rule)).collect::<Vec<_>>(),
        "links": plan.links.iter().map(|l| network::link_json(l, host(l.source), host(l.destination))).collect::<Vec<_>>(),
        "changes": plan.changes.iter().map(network::change_json).collect::<Vec<_>>(),
        "bounds": plan.bounds,
        "commands": commands.iter().map(command_json).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

fn command_json(command: &PlannedCommand) -> Value {
    json!({
        "phase": command.phase, "entry": command.entry, "host": command.host, "task": command.task,
        "item": command.item, "module": command.module, "command": command.rendered,
    })
}

/// One binding, by names.
struct Bound<'p> {
    entry: &'p str,
    host: &'p str,
    variable: &'p str,
    grouping: &'static str,
    services: Vec<&'p str>,
}

fn bindings<'p>(plan: &'p Plan, entry: &'p Entry) -> Vec<Bound<'p>> {
    let of_host = |bound: &'p fogline_plan::EntryHost| {
        bound.bindings.iter().map(move |binding| Bound {
            entry: &entry.label,
            host: &plan.hosts[bound.host.0].name,
            variable: &binding.variable,
            grouping: binding.grouping.key(),
            services: binding.services.iter().map(|index| plan.services[*index].key.as_str()).collect(),
        })
    };
    entry.hosts.iter().flat_map(of_host).collect()
}

fn table_text(plan: &Plan, commands: &[PlannedCommand]) -> String {
    let mut text = String::new();
    let hosts = plan
        .hosts
        .iter()
        .map(|h| vec![h.name.clone(), h.address.to_string(), h.layer.clone(), h.roles.join(" ")]);
    section(&mut text, "Hosts", &["name", "address", "layer", "roles"], hosts.collect());
    let services = plan.services.iter().map(|s| {
        vec![
            s.key.clone(),
            plan.hosts[s.host.0].name.clone(),
            s.port.map_or_else(|| "-".to_owned(), |port| port.to_string()),
        ]
    });
    section(&mut text, "Services", &["key", "host", "port"], services.collect());
    let bound = plan.entries.iter().flat_map(|entry| bindings(plan, entry));
    let bound = bound
        .map(|b| vec![b.entry.to_owned(), b.host.to_owned(), b.variable.to_owned(), b.services.join(" ")]);
    section(&mut text, "Bindings", &["entry", "host", "variable", "service"], bound.collect());
    network::tables(&mut text, plan);
    section(&mut text, "Commands", &["phase", "hosts", "module", "command"], command_rows(commands));
    text
}

/// Commands that differ only by host and item are shown once, with the number of hosts and items.
fn command_rows(commands: &[PlannedCommand]) -> Vec<Vec<String>> {
    let mut rows: Vec<(String, &PlannedCommand, BTreeMap<&str, usize>)> = Vec::new();
    for command in commands {
        let key = format!("{}\0{}\0{}", command.phase, command.entry, command.task);
        match rows.last_mut().filter(|(last, _, _)| *last == key) {
            Some((_, _, hosts)) => *hosts.entry(&command.host).or_default() += 1,
            None => rows.push((key, command, BTreeMap::from([(command.host.as_str(), 1)]))),
        }
    }
    rows.into_iter()
        .map(|(_, first, hosts)| {
            let items = hosts.values().max().copied().unwrap_or(1);
            let where_to = match (hosts.len(), items) {
                (1, 1) => first.host.clone(),
                (hosts, 1) => format!("{hosts} hosts"),
                (hosts, items) => format!("{hosts} hosts x {items}"),
            };
            vec![first.phase.to_string(), where_to, first.module.clone(), first.rendered.replace('\n', " ")]
        })
        .collect()
}
