//! Changes over time, expanded to the links that they are about.

use super::{Directions, PAIRS_MAX, Pair, Shaped, hosts, pairs};
use crate::selector::Directory;
use crate::{HostId, Link, PlannedChange, Profile};
use fogline_scenario::{Effect, Findings, NetworkChange, Scenario, Target};
use link::{Action, Change, Patch, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// Links by pair, of rules and of changes.
struct Known<'s> {
    shaped: &'s mut Shaped,
    index: BTreeMap<Pair, usize>,
}

/// Adds all changes to `shaped`: those of rules in file order, then those beside `networks`. A pair that a change
/// names and no rule covers becomes a link that does nothing else.
pub(super) fn expand(
    scenario: &Scenario,
    directions: &[Option<Directions>],
    shaped: &mut Shaped,
    directory: Directory<'_>,
    findings: &mut Findings,
) {
    let index = shaped.links.iter().enumerate();
    let index = index.map(|(at, link)| ((link.source, link.destination), at)).collect();
    let mut known = Known { shaped, index };
    for (rule, directions) in scenario.rules.iter().zip(directions) {
        let Some(directions) = directions else { continue };
        let rules = &known.shaped.rules;
        let mut links = rules[directions.forward].links.clone();
        links.extend(directions.mirrored.iter().flat_map(|mirrored| &rules[*mirrored].links));
        let name = rules[directions.forward].name.clone();
        for change in &rule.changes {
            known.add(change, &name, links.clone(), findings);
        }
    }
    for change in &scenario.changes {
        let Some(targeted) = targeted(&change.target, directory, findings) else { continue };
        let Some(links) = targeted.and_then(|pairs| known.links(&pairs)) else {
            let message = format!("the rules and changes shape more than {PAIRS_MAX} pairs of hosts");
            findings.error(&change.place, message, "narrow its selectors".to_owned());
            break;
        };
        if links.is_empty() {
            let message = "this change is about one host with itself only";
            findings.error(&change.place, message, "select two different hosts".to_owned());
        }
        known.add(change, &label(&change.target), links, findings);
    }
}

/// The pairs that a target means, in order, each once; `None` inside when there are too many; `None` when a selector is
/// refused (reported).
fn targeted(target: &Target, directory: Directory<'_>, findings: &mut Findings) -> Option<Option<Vec<Pair>>> {
    let (sources, destinations, both_ways) = match target {
        Target::Rule => return None,
        Target::Hosts(selector) => {
            let everyone: Vec<HostId> = (0..directory.hosts.len()).map(HostId).collect();
            (hosts(selector, "hosts", directory, findings), everyone, true)
        }
        Target::Pairs { source, destination, symmetric } => {
            let sources = hosts(source, "src", directory, findings);
            (sources, hosts(destination, "dst", directory, findings), *symmetric)
        }
    };
    if sources.is_empty() || destinations.is_empty() {
        return None;
    }
    if sources.len().saturating_mul(destinations.len()) > PAIRS_MAX {
        return Some(None);
    }
    let mut all = pairs(&sources, &destinations);
    if both_ways {
        all.extend(pairs(&destinations, &sources));
    }
    let mut seen = BTreeSet::new();
    all.retain(|pair| seen.insert(*pair));
    Some(Some(all))
}

fn label(target: &Target) -> String {
    match target {
        Target::Rule => String::new(),
        Target::Hosts(selector) => selector.value.clone(),
        Target::Pairs { source, destination, symmetric } => {
            let way = if *symmetric { "<->" } else { "->" };
            format!("{} {way} {}", source.value, destination.value)
        }
    }
}

impl Known<'_> {
    /// The links of `pairs`; those that are missing are added. `None` when there would be too many.
    fn links(&mut self, pairs: &[Pair]) -> Option<Vec<usize>> {
        let mut found = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let links = &mut self.shaped.links;
            let link = *self.index.entry(*pair).or_insert_with(|| {
                links.push(Link::new(pair.0, pair.1, Profile::default()));
                links.len() - 1
            });
            if link >= PAIRS_MAX {
                return None;
            }
            found.push(link);
        }
        Some(found)
    }

    fn add(&mut self, change: &NetworkChange, target: &str, links: Vec<usize>, findings: &mut Findings) {
        let (what, action) = match &change.effect {
            Effect::Cut => ("cut".to_owned(), Action::Alter(Patch { cut: Some(true), ..Patch::default() })),
            Effect::Alter(values) => {
                let patch = values.patch();
                (patch.to_string(), Action::Alter(patch))
            }
            Effect::Follow { name, trace } => {
                (format!("trace {}", name.value), Action::Follow(trace.clone()))
            }
        };
        if of_bottleneck(&action) {
            self.check_shared(change, &links, findings);
        }
        self.shaped.changes.push(PlannedChange {
            label: format!("{target}: {what}"),
            place: change.place.clone(),
            change: Change { schedule: change.schedule, links, action },
        });
    }

    /// Links that share a bottleneck have one rate and one queue, which cannot change for some of them only.
    fn check_shared(&self, change: &NetworkChange, links: &[usize], findings: &mut Findings) {
        let all = &self.shaped.links;
        let mut changed: BTreeMap<usize, usize> = BTreeMap::new();
        for bottleneck in links.iter().filter_map(|link| all[*link].bottleneck) {
            *changed.entry(bottleneck).or_default() += 1;
        }
        if changed.is_empty() {
            return;
        }
        let mut sharing: BTreeMap<usize, usize> = BTreeMap::new();
        for bottleneck in all.iter().filter_map(|link| link.bottleneck) {
            *sharing.entry(bottleneck).or_default() += 1;
        }
        if let Some((bottleneck, count)) = changed.iter().find(|(number, count)| sharing[*number] > **count) {
            let message = format!(
                "this change gives a rate or queue to {count} of {} links that share one (`share:` of their rule)",
                sharing[bottleneck]
            );
            let hint = "put the change into the rule, or alter delay and loss only".to_owned();
            findings.error(&change.place, message, hint);
        }
    }
}

fn of_bottleneck(action: &Action) -> bool {
    match action {
        Action::Alter(patch) => patch.of_bottleneck(),
        Action::Follow(Trace::Deliveries(_)) => true,
        Action::Follow(Trace::Steps(steps)) => steps.iter().any(|step| step.rate.is_some()),
    }
}
