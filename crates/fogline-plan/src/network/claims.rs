//! Which rule has which pair of hosts.

use super::{Covered, Directions, Pair};
use crate::selector::Directory;
use crate::{HostId, Link, Rule};
use fogline_scenario::{Findings, NetworkRule};
use link::Share;
use std::collections::{BTreeMap, BTreeSet};

/// The rules of the plan so far and which of them has each pair.
#[derive(Default)]
pub(super) struct Claims {
    rules: Vec<Rule>,
    /// The written rule that each of `rules` comes from.
    written: Vec<usize>,
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

/// Those who share a bottleneck: a source host of one direction of a rule, or a whole written rule.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Sharers {
    Host(usize, HostId),
    Group(usize),
}

impl Claims {
    /// Gives both directions of the written rule of number `number` their pairs.
    pub(super) fn take(
        &mut self,
        number: usize,
        written: &NetworkRule,
        pairs: &Covered,
        directory: Directory<'_>,
        findings: &mut Findings,
    ) -> Directions {
        let mut shadowed = BTreeMap::new();
        let Covered { forward, backward } = pairs;
        let total = forward.len() + backward.len();
        let forward = self.claim((number, written), false, forward, &mut shadowed);
        let back = written.symmetric.then(|| self.claim((number, written), true, backward, &mut shadowed));
        self.report(written, total, &shadowed, directory, findings);
        Directions { forward, mirrored: back }
    }

    /// Gives `pairs` to one direction of a written rule.
    fn claim(
        &mut self,
        (number, written): (usize, &NetworkRule),
        mirrored: bool,
        pairs: &[Pair],
        shadowed: &mut BTreeMap<usize, Shadowed>,
    ) -> usize {
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
            profile: written.profile(),
            share: written.share,
            congestion: written.congestion,
            seed: written.seed,
            links: Vec::new(),
        });
        self.written.push(number);
        index
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

    /// The rules with their pairs, and the links; reports rules of which nothing is left.
    pub(super) fn finish(
        mut self,
        written: &[NetworkRule],
        directions: &[Option<Directions>],
        findings: &mut Findings,
    ) -> (Vec<Rule>, Vec<Link>) {
        let mut links = Vec::with_capacity(self.order.len());
        let mut bottlenecks: BTreeMap<Sharers, usize> = BTreeMap::new();
        for pair in &self.order {
            let owner = self.owner[pair];
            let rule = &mut self.rules[owner];
            rule.links.push(links.len());
            let sharers = match rule.share {
                Share::Pair => None,
                Share::Host => Some(Sharers::Host(owner, pair.0)),
                Share::Group => Some(Sharers::Group(self.written[owner])),
            };
            let next = bottlenecks.len();
            let bottleneck = sharers.map(|sharers| *bottlenecks.entry(sharers).or_insert(next));
            let (congestion, seed) = (rule.congestion, rule.seed);
            links.push(Link { bottleneck, congestion, seed, ..Link::new(pair.0, pair.1, rule.profile) });
        }
        for (written, directions) in written.iter().zip(directions) {
            let Some(directions) = directions else { continue };
            let left = |rule: usize| self.rules[rule].links.len();
            if left(directions.forward) + directions.mirrored.map_or(0, left) == 0 {
                let message = "nothing is left of this rule: later ones replace it for all of its pairs";
                findings.warning(&written.place, message, "remove it, or put it last".to_owned());
            }
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
