//! The network file to shaped ordered pairs, and what changes them.

mod changes;
mod claims;

use crate::lookup::look_up;
use crate::selector::Directory;
use crate::{HostId, Link, PlannedChange, Rule};
use claims::Claims;
use fogline_scenario::{Findings, NetworkRule, Scenario, Spanned};
use std::collections::BTreeSet;

/// Most ordered pairs that one plan may shape.
const PAIRS_MAX: usize = 1_000_000;

type Pair = (HostId, HostId);

/// The network of a plan.
#[derive(Default)]
pub(crate) struct Shaped {
    pub(crate) rules: Vec<Rule>,
    pub(crate) links: Vec<Link>,
    pub(crate) changes: Vec<PlannedChange>,
}

/// Which of [`Shaped::rules`] the two directions of a written rule are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Directions {
    forward: usize,
    mirrored: Option<usize>,
}

/// Applies all rules: the union of their pairs; of two rules for one pair the later one wins, with a warning. Then
/// expands all changes.
pub(crate) fn shape(scenario: &Scenario, directory: Directory<'_>, findings: &mut Findings) -> Shaped {
    let mut claims = Claims::default();
    let mut visited: usize = 0;
    // By written rule; absent where the rule is refused.
    let mut directions = Vec::with_capacity(scenario.rules.len());
    for rule in &scenario.rules {
        let claimed = match covered(rule, &mut visited, directory, findings) {
            Ok(pairs) => pairs.map(|pairs| claims.take(directions.len(), rule, &pairs, directory, findings)),
            Err(TooMany) => break,
        };
        directions.push(claimed);
    }
    let (rules, links) = claims.finish(&scenario.rules, &directions, findings);
    let mut shaped = Shaped { rules, links, changes: Vec::new() };
    changes::expand(scenario, &directions, &mut shaped, directory, findings);
    shaped
}

/// The pairs of a written rule and those of its mirrored half, none of them twice.
struct Covered {
    forward: Vec<Pair>,
    backward: Vec<Pair>,
}

/// More pairs than one plan may have; reported.
struct TooMany;

/// The pairs of a written rule; `None` when the rule is refused (reported).
fn covered(
    rule: &NetworkRule,
    visited: &mut usize,
    directory: Directory<'_>,
    findings: &mut Findings,
) -> Result<Option<Covered>, TooMany> {
    let sources = hosts(&rule.source, "src", directory, findings);
    let destinations = hosts(&rule.destination, "dst", directory, findings);
    if sources.is_empty() || destinations.is_empty() {
        return Ok(None);
    }
    *visited = visited.saturating_add(sources.len().saturating_mul(destinations.len()));
    if *visited > PAIRS_MAX {
        let message = format!("the rules shape more than {PAIRS_MAX} pairs of hosts");
        findings.error(&rule.place, message, "narrow `src` and `dst`".to_owned());
        return Err(TooMany);
    }
    let forward = pairs(&sources, &destinations);
    if forward.is_empty() {
        let message = format!(
            "the rule from `{}` to `{}` covers one host with itself only",
            rule.source.value, rule.destination.value
        );
        findings.error(&rule.place, message, "select two different hosts".to_owned());
        return Ok(None);
    }
    let known: BTreeSet<Pair> = forward.iter().copied().collect();
    let backward = if rule.symmetric { pairs(&destinations, &sources) } else { Vec::new() };
    let backward = backward.into_iter().filter(|pair| !known.contains(pair)).collect();
    Ok(Some(Covered { forward, backward }))
}

fn hosts(
    selector: &Spanned<String>,
    what: &str,
    directory: Directory<'_>,
    findings: &mut Findings,
) -> Vec<HostId> {
    let services = look_up(selector, what, directory, findings);
    services.into_iter().map(|service| directory.services[service].host).collect()
}

/// Every source with every destination; a host has no link to itself.
fn pairs(sources: &[HostId], destinations: &[HostId]) -> Vec<Pair> {
    let all = sources.iter().flat_map(|source| destinations.iter().map(move |to| (*source, *to)));
    all.filter(|(source, destination)| source != destination).collect()
}
