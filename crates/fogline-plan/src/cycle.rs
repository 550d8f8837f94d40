//! Entries that depend on each other.
//!
//! Entries run in file order, so of two that depend on each other one starts before what it depends on. Its variables
//! are known all the same, hence a warning and no error.

use fogline_scenario::{Findings, Place};
use std::collections::BTreeSet;

/// One entry as a node of the dependency graph.
pub(crate) struct Depends<'a> {
    pub(crate) label: &'a str,
    /// The services of its own hosts.
    pub(crate) services: Vec<usize>,
    /// Each dependency's place and services.
    pub(crate) targets: Vec<(Place, Vec<usize>)>,
}

/// Reports every pair of entries that reach each other, once, at the earlier entry's dependency.
pub(crate) fn report_cycles(entries: &[Depends<'_>], findings: &mut Findings) {
    let edges: Vec<Vec<(usize, &Place)>> = (0..entries.len()).map(|from| edges(entries, from)).collect();
    let reached: Vec<BTreeSet<usize>> = (0..entries.len()).map(|from| reach(&edges, from)).collect();
    for (from, targets) in edges.iter().enumerate() {
        let mut reported = BTreeSet::new();
        for (to, place) in targets {
            if *to > from && reached[*to].contains(&from) && reported.insert(*to) {
                let message = format!(
                    "the entries of `{}` and `{}` depend on each other",
                    entries[from].label, entries[*to].label
                );
                let hint = "entries run in file order: make sure that this one can start first".to_owned();
                findings.warning(place, message, hint);
            }
        }
    }
}

fn edges<'a>(entries: &'a [Depends<'_>], from: usize) -> Vec<(usize, &'a Place)> {
    let mut edges = Vec::new();
    for (place, services) in &entries[from].targets {
        let wanted: BTreeSet<usize> = services.iter().copied().collect();
        for (to, other) in entries.iter().enumerate().filter(|(to, _)| *to != from) {
            if other.services.iter().any(|service| wanted.contains(service)) {
                edges.push((to, place));
            }
        }
    }
    edges
}

fn reach(edges: &[Vec<(usize, &Place)>], from: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for (to, _) in &edges[at] {
            if seen.insert(*to) {
                next.push(*to);
            }
        }
    }
    seen
}
