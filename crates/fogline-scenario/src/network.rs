//! `network.yaml`.

use crate::NetworkRule;
use crate::fields::{Fields, boolean, list, measured, text};
use crate::findings::Findings;
use crate::yaml::{Kind, Node};

const KEYS: [&str; 6] = ["src", "dst", "delay", "rate", "loss", "symmetric"];

/// Reads the whole file.
pub(crate) fn read(root: &Node, findings: &mut Findings) -> Vec<NetworkRule> {
    let Some(fields) = Fields::closed(root, "the network file", &["networks"], findings) else {
        return Vec::new();
    };
    let Some(networks) = fields.get("networks") else { return Vec::new() };
    list(networks, "`networks`", findings).iter().filter_map(|item| rule(item, findings)).collect()
}

fn rule(node: &Node, findings: &mut Findings) -> Option<NetworkRule> {
    if let Kind::Map(pairs) = &node.kind
        && let Some((key, _)) = pairs.iter().find(|(key, _)| key.value.starts_with("default_"))
    {
        let message = format!("`{}` is of an old dialect", key.value);
        let hint = "write one rule per pair of layers: {src, dst, delay, rate, loss}".to_owned();
        findings.error(&key.place, message, hint);
        return None;
    }
    let fields = Fields::closed(node, "a network rule", &KEYS, findings)?;
    let mut end = |key, example| {
        fields.required(key, example, findings).and_then(|n| text(n, &format!("`{key}`"), findings))
    };
    let (source, destination) = (end("src", "cloud"), end("dst", "fog"));
    let symmetric = fields.get("symmetric");
    let rule = NetworkRule {
        place: node.place.clone(),
        source: source?,
        destination: destination?,
        delay: fields.get("delay").and_then(|node| measured(node, "`delay`", findings)),
        rate: fields.get("rate").and_then(|node| measured(node, "`rate`", findings)),
        loss: fields.get("loss").and_then(|node| measured(node, "`loss`", findings)),
        symmetric: symmetric.and_then(|node| boolean(node, "`symmetric`", findings)).unwrap_or(false),
    };
    if ["delay", "rate", "loss"].iter().all(|key| fields.get(key).is_none()) {
        let hint = "give it `delay`, `rate` or `loss`".to_owned();
        findings.error(&rule.place, "a network rule that asks for nothing", hint);
    }
    Some(rule)
}
