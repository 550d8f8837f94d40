//! The nodes of a network as the fabric sees them, and how packets find them.

use super::wire::{BROADCAST_MAC, Destination, destination_of, set_receiver};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

/// A node as the fabric sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name, for the seed of its links and for messages.
    pub name: String,
    /// The Ethernet address of its device.
    pub mac: [u8; 6],
    /// The addresses by which packets find it.
    pub addresses: Vec<IpAddr>,
    /// The broadcast address of its subnet.
    pub broadcast: Ipv4Addr,
}

/// A contradiction in what a network is asked to be or to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FabricError {
    /// Two nodes share an address.
    #[error("nodes {first} and {second} have the same address {address}")]
    SameAddress {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// The address.
        address: IpAddr,
    },
    /// A link names a node that is not there.
    #[error("link {source_node} -> {destination_node}: there are only {nodes} nodes, counted from 0")]
    NoSuchNode {
        /// Index of the sending node.
        source_node: usize,
        /// Index of the receiving node.
        destination_node: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// Something is asked of a link that is not there.
    #[error("link {link}: there are only {links} links, counted from 0")]
    NoSuchLink {
        /// Index of the link.
        link: usize,
        /// How many links there are.
        links: usize,
    },
    /// A change that can't happen.
    #[error("change {change}: {reason}")]
    BadChange {
        /// Its index.
        change: usize,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Two links for one ordered pair.
    #[error("two links from {source_node} to {destination_node}: one per ordered pair expected")]
    SamePair {
        /// The sending node.
        source_node: String,
        /// The receiving node.
        destination_node: String,
    },
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receivers {
    One(usize),
    All,
    Nobody,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) list: Vec<Endpoint>,
    nodes: HashMap<IpAddr, usize>,
    broadcasts: HashSet<IpAddr>,
}

impl Endpoints {
    pub(super) fn new(list: Vec<Endpoint>) -> Result<Self, FabricError> {
        let mut nodes = HashMap::new();
        for (node, endpoint) in list.iter().enumerate() {
            for &address in &endpoint.addresses {
                if let Some(other) = nodes.insert(address, node) {
                    let other: &Endpoint = &list[other];
                    let (first, second) = (other.name.clone(), endpoint.name.clone());
                    return Err(FabricError::SameAddress { first, second, address });
                }
            }
        }
        let limited = IpAddr::from(Ipv4Addr::BROADCAST);
        let broadcasts = list.iter().map(|endpoint| endpoint.broadcast.into()).chain([limited]).collect();
        Ok(Self { list, nodes, broadcasts })
    }

    /// The names of a link's ends.
    pub(super) fn names(&self, source: usize, destination: usize) -> Result<(&str, &str), FabricError> {
        match (self.list.get(source), self.list.get(destination)) {
            (Some(from), Some(to)) => Ok((&from.name, &to.name)),
            _ => Err(FabricError::NoSuchNode {
                source_node: source,
                destination_node: destination,
                nodes: self.list.len(),
            }),
        }
    }

    /// Finds out where a frame goes and writes its receiver's Ethernet address into it.
    pub(super) fn address(&self, frame: &mut [u8]) -> Receivers {
        match destination_of(frame) {
            Destination::Node(address) => match self.nodes.get(&address) {
                Some(&node) => {
                    set_receiver(frame, self.list[node].mac);
                    Receivers::One(node)
                }
                None if self.broadcasts.contains(&address) => {
                    set_receiver(frame, BROADCAST_MAC);
                    Receivers::All
                }
                None => Receivers::Nobody,
            },
            Destination::All => Receivers::All,
            Destination::Nowhere => Receivers::Nobody,
        }
    }
}
