//! What a deployment would do to packets.

use crate::table::section;
use fogline_plan::estimate::{Path, rounded};
use fogline_plan::{Link, Plan, PlannedChange, Rule};
use link::{Action, Congestion, Share, Trace};
use serde_json::{Value, json};

/// Columns of a rule's properties that are always shown, in the order of the network file.
const ALWAYS: [&str; 3] = ["delay", "rate", "loss"];

/// Appends the rules, what they share, and how they change over time.
pub(super) fn tables(text: &mut String, plan: &Plan) {
    let rules = plan.rules.iter().map(|rule| {
        let mut row = vec![rule.source.clone(), rule.destination.clone()];
        row.extend(ALWAYS.map(|name| property(rule, name)));
        row.push(rule.links.len().to_string());
        row.extend([Congestion::Cubic, Congestion::Bbr].map(|control| one_flow(plan, rule, control)));
        row.push(further(rule));
        row
    });
    let headings = ["from", "to", "delay", "rate", "loss", "pairs", "1 cubic flow", "1 bbr flow", "further"];
    section(
        text,
        "Links (rules, one way; what one TCP flow gets is an estimate)",
        &headings,
        rules.collect(),
    );
    if !plan.changes.is_empty() {
        let changes = plan.changes.iter().map(|planned| {
            let schedule = planned.change.schedule;
            let time =
                |time: Option<units::Delay>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
            let links = planned.change.links.len().to_string();
            let (lasts, every) = (time(schedule.lasts), time(schedule.every));
            vec![schedule.at.to_string(), lasts, every, planned.label.clone(), links]
        });
        let headings = ["at", "for", "every", "change", "pairs"];
        section(text, "Changes (t = 0 when the launch is done)", &headings, changes.collect());
    }
    let drops = plan.bounds.drops;
    let late =
        plan.bounds.late.map_or_else(|| "1ms, or 5 % of the delay".to_owned(), |late| late.to_string());
    let bounds = vec![vec![late, drops.to_string()]];
    section(text, "Bounds of a valid run", &["late p99", "device drops"], bounds);
}

fn one_flow(plan: &Plan, rule: &Rule, control: Congestion) -> String {
    let Some(path) = Path::of_rule(plan, rule) else { return "-".to_owned() };
    path.one_flow(control).map_or_else(|| "no limit".to_owned(), rounded)
}

fn property(rule: &Rule, name: &str) -> String {
    let found = rule.profile.properties().into_iter().find(|(known, _)| *known == name);
    found.map_or_else(|| "-".to_owned(), |(_, value)| value)
}

/// What else a rule asks for.
fn further(rule: &Rule) -> String {
    let properties = rule.profile.properties().into_iter().filter(|(name, _)| !ALWAYS.contains(name));
    let mut said: Vec<String> =
        properties.map(|(name, value)| format!("{name} {value}").trim_end().to_owned()).collect();
    match rule.share {
        Share::Pair => {}
        Share::Host => said.push("rate shared by what a host sends".to_owned()),
        Share::Group => said.push("rate shared by all pairs".to_owned()),
    }
    said.extend(rule.congestion.map(|control| format!("tcp {control}")));
    said.extend(rule.seed.map(|seed| format!("seed {seed}")));
    if said.is_empty() { "-".to_owned() } else { said.join(", ") }
}

/// A rule with everything it asks for, and estimates of what one TCP flow gets (null: as much as it can send).
pub(super) fn rule_json(plan: &Plan, rule: &Rule) -> Value {
    let path = Path::of_rule(plan, rule);
    let flow = |control| path.and_then(|path| path.one_flow(control)).map(units::Rate::bits_per_s);
    json!({
        "name": rule.name, "source": rule.source, "destination": rule.destination, "mirrored": rule.mirrored,
        "pairs": rule.links.len(), "delay": rule.profile.delay, "rate": rule.profile.rate,
        "loss": rule.profile.loss.to_string(), "profile": rule.profile, "share": rule.share,
        "congestion": rule.congestion, "seed": rule.seed,
        "one_flow_bits_per_s": {"cubic": flow(Congestion::Cubic), "bbr": flow(Congestion::Bbr)},
    })
}

/// A link with everything it does.
pub(super) fn link_json(link: &Link, source: &str, destination: &str) -> Value {
    json!({
        "source": source, "destination": destination, "delay": link.profile.delay, "rate": link.profile.rate,
        "loss": link.profile.loss.to_string(), "profile": link.profile, "bottleneck": link.bottleneck,
        "congestion": link.congestion, "seed": link.seed,
    })
}

/// A change with its links; of a recording only how long it is, since it may have a million rows.
pub(super) fn change_json(planned: &PlannedChange) -> Value {
    let action = match &planned.change.action {
        Action::Alter(patch) => json!({ "alter": patch }),
        Action::Follow(Trace::Deliveries(moments)) => json!({ "follow": { "deliveries": moments.len() } }),
        Action::Follow(Trace::Steps(steps)) => json!({ "follow": { "steps": steps.len() } }),
    };
    json!({
        "label": planned.label, "place": planned.place.to_string(), "schedule": planned.change.schedule,
        "links": planned.change.links, "action": action,
    })
}
