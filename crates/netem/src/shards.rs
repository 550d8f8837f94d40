//! Which worker does what, with several of them: a worker reads the devices of some nodes and keeps the links that
//! begin there, so that no two ever touch the same link. Any worker may write to any device.

use crate::LinkSpec;
use link::Change;
use std::collections::HashMap;
use std::ops::Range;

/// The division of nodes and links among workers.
#[derive(Debug)]
pub(crate) struct Shards {
    /// Of each node, the worker that reads its device.
    readers: Vec<usize>,
    /// Of each link, its worker and its number there.
    places: Vec<(usize, usize)>,
    /// Of each worker, its links.
    links: Vec<Vec<usize>>,
}

impl Shards {
    /// Divides `nodes` nodes and `links` among `workers` workers, about evenly by links, then by devices. Nodes whose
    /// links share a bottleneck stay together. Links to or from nodes that don't exist belong to the first worker.
    pub(crate) fn new(nodes: usize, links: &[LinkSpec], workers: usize) -> Self {
        let workers = workers.clamp(1, nodes.max(1));
        let mut families = Families::new(nodes);
        let mut bottlenecks = HashMap::new();
        let mut outgoing = vec![0; nodes];
        for link in links.iter().filter(|link| link.source < nodes) {
            outgoing[link.source] += 1;
            if let Some(bottleneck) = link.bottleneck {
                let first = *bottlenecks.entry(bottleneck).or_insert(link.source);
                families.join(first, link.source);
            }
        }
        let mut sizes = vec![(0, 0); nodes];
        for (node, outgoing) in outgoing.iter().enumerate() {
            let (links, members) = &mut sizes[families.head(node)];
            *links += outgoing;
            *members += 1;
        }
        let mut heads: Vec<usize> = (0..nodes).filter(|node| sizes[*node].1 > 0).collect();
        heads.sort_by_key(|head| std::cmp::Reverse(sizes[*head]));
        let mut loads = vec![(0, 0); workers];
        let mut worker_of = vec![0; nodes];
        for head in heads {
            let lightest = (0..workers).min_by_key(|worker| loads[*worker]).unwrap_or(0);
            worker_of[head] = lightest;
            loads[lightest].0 += sizes[head].0;
            loads[lightest].1 += sizes[head].1;
        }
        let readers: Vec<usize> = (0..nodes).map(|node| worker_of[families.head(node)]).collect();
        let mut owned = vec![Vec::new(); workers];
        let mut places = Vec::with_capacity(links.len());
        for (number, link) in links.iter().enumerate() {
            let worker = readers.get(link.source).copied().unwrap_or(0);
            places.push((worker, owned[worker].len()));
            owned[worker].push(number);
        }
        Self { readers, places, links: owned }
    }

    /// The workers, by their numbers.
    pub(crate) const fn workers(&self) -> Range<usize> {
        0..self.links.len()
    }

    /// The nodes whose devices a worker reads.
    pub(crate) fn nodes(&self, worker: usize) -> impl Iterator<Item = usize> {
        let readers = self.readers.iter().enumerate();
        readers.filter(move |(_, reader)| **reader == worker).map(|(node, _)| node)
    }

    /// The links of a worker, by their numbers among all; the order is that of all.
    pub(crate) fn links(&self, worker: usize) -> &[usize] {
        &self.links[worker]
    }

    /// How many links there are.
    pub(crate) const fn link_count(&self) -> usize {
        self.places.len()
    }

    /// Sorts links by worker, as (worker, numbers there); workers without any are left out.
    ///
    /// # Errors
    /// The first link that there is not.
    pub(crate) fn route(&self, links: &[usize]) -> Result<Vec<(usize, Vec<usize>)>, usize> {
        let mut routed = vec![Vec::new(); self.links.len()];
        for link in links {
            let (worker, number) = *self.places.get(*link).ok_or(*link)?;
            routed[worker].push(number);
        }
        Ok(routed.into_iter().enumerate().filter(|(_, links)| !links.is_empty()).collect())
    }

    /// The part of a timeline that concerns each worker. All get every change, those of other workers without links, so
    /// that all count them alike and refuse the same.
    ///
    /// # Errors
    /// The first link that there is not.
    pub(crate) fn divide(&self, changes: &[Change]) -> Result<Vec<Vec<Change>>, usize> {
        let mut divided = vec![Vec::new(); self.links.len()];
        for change in changes {
            let mut routed: HashMap<_, _> = self.route(&change.links)?.into_iter().collect();
            for (worker, changes) in divided.iter_mut().enumerate() {
                let links = routed.remove(&worker).unwrap_or_default();
                changes.push(Change { links, schedule: change.schedule, action: change.action.clone() });
            }
        }
        Ok(divided)
    }
}

/// Disjoint sets of nodes (union-find), each known by one of them.
struct Families(Vec<usize>);

impl Families {
    fn new(nodes: usize) -> Self {
        Self((0..nodes).collect())
    }

    fn head(&mut self, mut node: usize) -> usize {
        while self.0[node] != node {
            self.0[node] = self.0[self.0[node]];
            node = self.0[node];
        }
        node
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.head(one), self.head(other));
        self.0[other] = one;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;
    use link::{Action, Patch, Schedule};
    use proptest::prelude::*;
    use units::Delay;

    const NODES: usize = 7;

    fn networks() -> impl Strategy<Value = Vec<LinkSpec>> {
        let link = (0..NODES, 0..NODES, prop::option::of(0_usize..4));
        let link = link.prop_map(|(source, destination, bottleneck)| LinkSpec {
            bottleneck,
            ..LinkSpec::from((source, destination, Profile::default()))
        });
        prop::collection::vec(link, 0..20)
    }

    proptest! {
        #[test]
        fn every_link_has_one_worker_and_bottlenecks_stay_whole(links in networks(), workers in 0_usize..10) {
            let shards = Shards::new(NODES, &links, workers);
            prop_assert_eq!(shards.workers().len(), workers.clamp(1, NODES));
            let mut seen = vec![0; links.len()];
            let mut readers = vec![0; NODES];
            for worker in shards.workers() {
                prop_assert!(shards.links(worker).is_sorted());
                for (position, number) in shards.links(worker).iter().enumerate() {
                    seen[*number] += 1;
                    prop_assert_eq!(shards.route(&[*number]), Ok(vec![(worker, vec![position])]));
                    prop_assert!(shards.nodes(worker).any(|node| node == links[*number].source));
                }
                shards.nodes(worker).for_each(|node| readers[node] += 1);
            }
            prop_assert!(seen.iter().chain(&readers).all(|times| *times == 1));
            for (one, link) in links.iter().enumerate() {
                for (other, second) in links.iter().enumerate() {
                    if link.bottleneck.is_some() && link.bottleneck == second.bottleneck {
                        prop_assert_eq!(shards.places[one].0, shards.places[other].0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_timeline_is_divided_in_its_order() {
        let links: Vec<LinkSpec> =
            [(0, 1), (1, 0), (0, 2)].map(|(from, to)| (from, to, Profile::default()).into()).into();
        let shards = Shards::new(3, &links, 2);
        assert_eq!((shards.links(0), shards.links(1)), (&[0, 2][..], &[1][..]));
        let change = |links: &[usize]| Change {
            schedule: Schedule { at: Delay::ZERO, lasts: None, every: None },
            links: links.to_vec(),
            action: Action::Alter(Patch { cut: Some(true), ..Patch::default() }),
        };
        let divided = shards.divide(&[change(&[2, 1]), change(&[0])]).unwrap();
        assert_eq!(divided, [[change(&[1]), change(&[0])], [change(&[0]), change(&[])]]);
        assert_eq!(shards.divide(&[change(&[3])]), Err(3));
    }
}
