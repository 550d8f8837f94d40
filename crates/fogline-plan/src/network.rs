//! Network rules to shaped ordered pairs.

use crate::lookup::look_up;
use crate::selector::Directory;
use crate::{HostId, Link, Profile, Rule};
use fogline_scenario::{Findings, NetworkRule, Spanned};
use link::{LossModel, Share};
use std::collections::{BTreeMap, BTreeSet};

/// Most ordered pairs that one plan may shape.
const PAIRS_MAX: usize = 1_000_000;

type Pair = (HostId, HostId);

/// The rules of the plan so far and which of them has each pair.
#[derive(Default)]
struct Claims {
    rules: Vec<Rule>,
    /// Pairs in the order in which they were first claimed.
    order: Vec<Pair>,
    /// The rule (index into `rules`) that has the pair.
    owner: BTreeMap<Pair, usize>,
    names: BTreeSet<String>,
}

/// Pairs that a rule took from an earlier one.
#[derive(Default)]
struct Shadowed {
    count: usize,
    example: Option<Pair>,
}

/// Applies all rules: the union of their pairs; of two rules for one pair the later one wins, with a warning.
pub(crate) fn shape(
    written: &[NetworkRule],
    directory: Directory<'_>,
    findings: &mut Findings,
) -> (Vec<Rule>, Vec<Link>) {
    let mut claims = Claims::default();
    let mut visited: usize = 0;
    for rule in written {
        let sources = hosts(&rule.source, "src", directory, findings);
        let destinations = hosts(&rule.destination, "dst", directory, findings);
        if sources.is_empty() || destinations.is_empty() {
            continue;
        }
        visited = visited.saturating_add(sources.len().saturating_mul(destinations.len()));
        if visited > PAIRS_MAX {
            let message = format!("the rules shape more than {PAIRS_MAX} pairs of hosts");
            findings.error(&rule.place, message, "narrow `src` and `dst`".to_owned());
            break;
        }
        let forward = pairs(&sources, &destinations);
        if forward.is_empty() {
            let message = format!(
                "the rule from `{}` to `{}` covers one host with itself only",
                rule.source.value, rule.destination.value
            );
            findings.error(&rule.place, message, "select two different hosts".to_owned());
            continue;
        }
        let known: BTreeSet<Pair> = forward.iter().copied().collect();
        let backward = if rule.symmetric { pairs(&destinations, &sources) } else { Vec::new() };
        let backward: Vec<Pair> = backward.into_iter().filter(|pair| !known.contains(pair)).collect();
        let mut shadowed = BTreeMap::new();
        claims.claim(rule, false, &forward, &mut shadowed);
        if rule.symmetric {
            claims.claim(rule, true, &backward, &mut shadowed);
        }
        let total = forward.len() + backward.len();
        claims.report(rule, total, &shadowed, directory, findings);
    }
    claims.finish()
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

impl Claims {
    /// Gives `pairs` to one direction of a written rule.
    fn claim(
        &mut self,
        written: &NetworkRule,
        mirrored: bool,
        pairs: &[Pair],
        shadowed: &mut BTreeMap<usize, Shadowed>,
    ) {
        let index = self.rules.len();
        for pair in pairs {
            match self.owner.insert(*pair, index) {
                None => self.order.push(*pair),
                Some(earlier) => {
                    let entry = shadowed.entry(earlier).or_default();
                    entry.count += 1;
                    entry.example.get_or_insert(*pair);
                }
            }
        }
        let (source, destination) = if mirrored {
            (&written.destination.value, &written.source.value)
        } else {
            (&written.source.value, &written.destination.value)
        };
        self.rules.push(Rule {
            name: file_name(source, destination, &mut self.names),
            place: written.place.clone(),
            source: source.clone(),
            destination: destination.clone(),
            mirrored,
            profile: Profile {
                delay: written.delay.as_ref().map(|delay| delay.value).unwrap_or_default(),
                rate: written.rate.as_ref().map(|rate| rate.value),
                loss: LossModel::Independent(
                    written.loss.as_ref().map(|loss| loss.value).unwrap_or_default(),
                ),
                ..Profile::default()
            },
            share: Share::Pair,
            links: Vec::new(),
        });
    }

    fn report(
        &self,
        written: &NetworkRule,
        total: usize,
        shadowed: &BTreeMap<usize, Shadowed>,
        directory: Directory<'_>,
        findings: &mut Findings,
    ) {
        for (earlier, shadow) in shadowed {
            let Some((source, destination)) = shadow.example else { continue };
            let name = |host: HostId| directory.hosts[host.0].name.as_str();
            let message = format!(
                "this rule replaces the one on line {} for {} of its {total} ordered pairs, such as {} to {}",
                self.rules[*earlier].place.line,
                shadow.count,
                name(source),
                name(destination)
            );
            let hint = "narrow one of the two, or put the one that shall win last".to_owned();
            findings.warning(&written.place, message, hint);
        }
    }

    fn finish(mut self) -> (Vec<Rule>, Vec<Link>) {
        let mut links = Vec::with_capacity(self.order.len());
        for pair in &self.order {
            let rule = &mut self.rules[self.owner[pair]];
            rule.links.push(links.len());
            links.push(Link::new(pair.0, pair.1, rule.profile));
        }
        (self.rules, links)
    }
}

/// `cloud-fog`, in characters that every file system takes; a number is added to a name that is taken.
fn file_name(source: &str, destination: &str, taken: &mut BTreeSet<String>) -> String {
    let plain = |text: &str| -> String {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        text.chars().take(60).map(|c| if fine(c) { c } else { '_' }).collect()
    };
    let base = format!("{}-{}", plain(source), plain(destination)).to_lowercase();
    let mut name = base.clone();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}
