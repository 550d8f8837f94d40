//! `network.yaml`.

mod changes;
mod queue;
mod traces;
mod values;

pub use traces::{TraceFile, traces_named};

use crate::fields::{Fields, boolean, choice, list, measured, text, whole};
use crate::findings::Findings;
use crate::nearest::hint;
use crate::shaping::{NetworkChange, NetworkRule};
use crate::yaml::{Kind, Node};
use crate::{Diagnostic, Place, Source};
use link::{Bounds, Congestion, LossUnit, Patch, Share};
use std::sync::Arc;
use traces::Traces;
use units::Delay;

/// Keys of a rule beside those of [`values::KEYS`].
const RULE_KEYS: [&str; 9] =
    ["src", "dst", "symmetric", "ecn", "loss_unit", "share", "congestion", "seed", "changes"];
/// Keys that belong into the map of another key.
const INNER: [(&str, &str); 13] = [
    ("spread", "jitter: {spread: 5ms}"),
    ("distribution", "jitter: {spread: 5ms, distribution: normal}"),
    ("correlation", "jitter: {spread: 5ms, correlation: 25%}"),
    ("limit", "queue: {limit: 64kib}"),
    ("discipline", "queue: {discipline: codel}"),
    ("target", "queue: {discipline: codel, target: 5ms}"),
    ("interval", "queue: {discipline: codel, interval: 100ms}"),
    ("to_bad", "loss: {to_bad: 1%, to_good: 25%}"),
    ("to_good", "loss: {to_bad: 1%, to_good: 25%}"),
    ("at", "changes: [{at: 30s, for: 10s, loss: 20%}]"),
    ("every", "changes: [{at: 30s, for: 10s, every: 60s, loss: 20%}]"),
    ("cut", "changes: [{at: 30s, for: 10s, cut: true}]"),
    ("trace", "changes: [{at: 0s, trace: lte.csv}]"),
];

/// The typed network file.
#[derive(Default)]
pub(crate) struct NetworkFile {
    pub(crate) rules: Vec<NetworkRule>,
    pub(crate) changes: Vec<NetworkChange>,
    pub(crate) bounds: Bounds,
}

/// Reads the whole file; `files` are the traces that it names.
pub(crate) fn read(root: &Node, files: &[TraceFile], findings: &mut Findings) -> NetworkFile {
    let known = ["networks", "changes", "bounds"];
    let Some(fields) = Fields::closed(root, "the network file", &known, findings) else {
        return NetworkFile::default();
    };
    let mut traces = Traces::new(files);
    let changes = fields.get("changes").map_or_else(Vec::new, |node| {
        let items = list(node, "`changes`", findings);
        items.iter().filter_map(|item| changes::of_file(item, &mut traces, findings)).collect()
    });
    let any_rate = changes.iter().any(changes::gives_rate);
    let rules = fields.get("networks").map_or_else(Vec::new, |node| {
        let items = list(node, "`networks`", findings);
        items.iter().filter_map(|item| rule(item, any_rate, &mut traces, findings)).collect()
    });
    let bounds = fields.get("bounds").map_or_else(Bounds::default, |node| bounds(node, findings));
    NetworkFile { rules, changes, bounds }
}

/// Reads other values for a link, `key: value` each as in a block of `changes`, for changes that are made by hand.
///
/// # Errors
/// All that is wrong with them, as findings in a file of the name `what`.
pub fn patch(what: &str, pairs: &[(String, String)]) -> Result<Patch, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let lines: String = pairs.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    let root = match crate::parse::tree(&Source::new(what, lines), &mut findings) {
        crate::parse::Tree::Node(root) => Some(root),
        crate::parse::Tree::Empty(_) | crate::parse::Tree::Refused => None,
    };
    let fields =
        root.as_ref().and_then(|root| Fields::closed(root, "a change", &values::KEYS, &mut findings));
    let patch = fields.map(|fields| values::read(&fields, &mut findings).patch()).unwrap_or_default();
    if patch.is_empty() && !findings.any_error() {
        let place = Place { file: Arc::from(what), line: 1, column: 1 };
        let message = "a change that alters nothing";
        findings.error(&place, message, format!("give values for some of {}", values::KEYS.join(", ")));
    }
    if findings.any_error() { Err(findings.sorted()) } else { Ok(patch) }
}

/// The hint for an unknown key that may belong one level deeper.
fn inner_hint(key: &str, known: &[&str]) -> String {
    match INNER.iter().find(|(name, _)| *name == key) {
        Some((_, example)) => format!("it belongs deeper: {example}"),
        None => match key {
            "bounds" => "it stands at the top level, beside `networks`".to_owned(),
            "h" => "write `bad`, the loss in the bad state (1 - h)".to_owned(),
            "k" => "write `good`, the loss in the good state (1 - k)".to_owned(),
            _ => hint(key, known),
        },
    }
}

fn rule(
    node: &Node,
    any_rate: bool,
    traces: &mut Traces<'_>,
    findings: &mut Findings,
) -> Option<NetworkRule> {
    if let Kind::Map(pairs) = &node.kind
        && let Some((key, _)) = pairs.iter().find(|(key, _)| key.value.starts_with("default_"))
    {
        let message = format!("`{}` is of an old dialect", key.value);
        let hint = "write one rule per pair of layers: {src, dst, delay, rate, loss}".to_owned();
        findings.error(&key.place, message, hint);
        return None;
    }
    let fields = Fields::open(node, "a network rule", findings)?;
    let known: Vec<&str> =
        RULE_KEYS[..2].iter().chain(&values::KEYS).chain(&RULE_KEYS[2..]).copied().collect();
    for (key, _) in fields.pairs().iter().filter(|(key, _)| !known.contains(&key.value.as_str())) {
        let message = format!("unknown key `{}` in a network rule", key.value);
        findings.error(&key.place, message, inner_hint(&key.value, &known));
    }
    let mut end = |key, example| {
        fields.required(key, example, findings).and_then(|n| text(n, &format!("`{key}`"), findings))
    };
    let (source, destination) = (end("src", "cloud"), end("dst", "fog"));
    let mut flag = |key: &str| {
        let node = fields.get(key)?;
        boolean(node, &format!("`{key}`"), findings)
    };
    let (symmetric, ecn) = (flag("symmetric").unwrap_or(false), flag("ecn").unwrap_or(false));
    let values = values::read(&fields, findings);
    let changes: Vec<NetworkChange> = fields.get("changes").map_or_else(Vec::new, |node| {
        let items = list(node, "`changes`", findings);
        items.iter().filter_map(|item| changes::of_rule(item, traces, findings)).collect()
    });
    let rated = fields.get("rate").is_some() || any_rate || changes.iter().any(changes::gives_rate);
    check_sense(&fields, rated, findings);
    let rule = NetworkRule {
        place: node.place.clone(),
        source: source?,
        destination: destination?,
        symmetric,
        values,
        loss_unit: fields.get("loss_unit").and_then(|n| loss_unit(n, findings)).unwrap_or_default(),
        ecn,
        share: fields.get("share").and_then(|n| share(n, findings)).unwrap_or_default(),
        congestion: fields.get("congestion").and_then(|n| congestion(n, findings)),
        seed: fields.get("seed").and_then(|n| seed(n, findings)),
        changes,
    };
    Some(rule)
}

/// A rule that asks for nothing, or for what cannot be had without a rate.
fn check_sense(fields: &Fields<'_>, rated: bool, findings: &mut Findings) {
    let asks =
        ["delay", "rate", "loss", "jitter", "reorder", "duplicate", "corrupt", "congestion", "changes"];
    if asks.iter().all(|key| fields.get(key).is_none()) {
        let hint = "give it `delay`, `rate` or `loss`".to_owned();
        findings.error(fields.place(), "a network rule that asks for nothing", hint);
        return;
    }
    for key in ["queue", "ecn", "share"] {
        let off = fields.get(key).is_none_or(|node| crate::fields::as_boolean(node) == Some(false));
        if rated || off {
            continue;
        }
        let node = fields.get(key).map_or(fields.place(), |node| &node.place);
        let message = format!("`{key}` without a `rate`: nothing ever waits, and there is nothing to share");
        findings.error(node, message, "give the rule a `rate`, for example 10mbit".to_owned());
    }
}

fn loss_unit(node: &Node, findings: &mut Findings) -> Option<LossUnit> {
    let name = choice(node, "loss unit", &["packet", "skb"], findings)?;
    Some(if name.value == "skb" { LossUnit::Skb } else { LossUnit::Packet })
}

fn share(node: &Node, findings: &mut Findings) -> Option<Share> {
    let all = [Share::Pair, Share::Host, Share::Group];
    let name = choice(node, "share", &all.map(Share::name), findings)?;
    all.into_iter().find(|share| share.name() == name.value)
}

fn congestion(node: &Node, findings: &mut Findings) -> Option<Congestion> {
    let all = [Congestion::Cubic, Congestion::Bbr, Congestion::Reno];
    let name = choice(node, "congestion control", &all.map(Congestion::name), findings)?;
    all.into_iter().find(|control| control.name() == name.value)
}

fn seed(node: &Node, findings: &mut Findings) -> Option<u64> {
    let number = whole(node, "`seed`", 0, i64::MAX, findings)?;
    u64::try_from(number.value).ok()
}

fn bounds(node: &Node, findings: &mut Findings) -> Bounds {
    let Some(fields) = Fields::closed(node, "`bounds`", &["late", "drops"], findings) else {
        return Bounds::default();
    };
    let late = fields.get("late").and_then(|node| measured::<Delay>(node, "`late`", findings));
    if let Some(late) = late.as_ref().filter(|late| late.value == Delay::ZERO) {
        let message = "no emulation is never late: every run would be invalid";
        findings.error(&late.place, message, "leave it out, or write for example 2ms".to_owned());
    }
    let drops = fields.get("drops").and_then(|node| measured(node, "`drops`", findings));
    Bounds { late: late.map(|late| late.value), drops: drops.map(|drops| drops.value).unwrap_or_default() }
}
