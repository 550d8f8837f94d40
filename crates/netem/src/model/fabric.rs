//! All links together: where frames go, in which order they come due, and how much may be in flight.

use super::Profile;
use super::gso::Layout;
use super::link::{Account, Held, Link, Piece};
use super::random::Random;
use super::wire::{BROADCAST_MAC, Destination, Shape, VNET_LEN, destination_of, set_receiver};
use crate::{LinkSpec, Tally};
use ::link::{Change, Patch};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

/// What one frame in the delay line costs beside its bytes.
const HELD_OVERHEAD: usize = size_of::<Held>() + 16;

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

/// A contradiction in the network asked for.
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

/// What went through the fabric as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames that came in.
    pub frames: u64,
    /// Their wire packets.
    pub packets: Tally,
    /// Wire packets passed on without a link.
    pub unshaped: Tally,
    /// Wire packets for nobody, dropped.
    pub unknown: Tally,
}

/// A frame that has served its time.
#[derive(Debug)]
pub struct Release {
    /// The node to hand it to.
    pub node: usize,
    /// The link that it came by.
    pub link: usize,
    /// The frame and when it was due.
    pub held: Held,
}

#[derive(Debug)]
struct Path {
    source: usize,
    destination: usize,
    link: Link,
}

/// The network's state.
#[derive(Debug)]
pub struct Fabric {
    endpoints: Vec<Endpoint>,
    nodes: HashMap<IpAddr, usize>,
    broadcasts: HashSet<IpAddr>,
    paths: Vec<Path>,
    by_pair: HashMap<(usize, usize), usize>,
    /// The next deadline of every link that holds something, with the link's index.
    deadlines: BinaryHeap<Reverse<(u64, usize)>>,
    memory_max: usize,
    memory: usize,
    pieces: Vec<Piece>,
    passed: Vec<(usize, u32)>,
    totals: Totals,
}

impl Fabric {
    /// A network at rest. `memory_max` bounds the bytes in flight over all links.
    ///
    /// # Errors
    /// When addresses or links contradict each other.
    pub fn new(
        endpoints: Vec<Endpoint>,
        links: &[LinkSpec],
        seed: u64,
        memory_max: usize,
    ) -> Result<Self, FabricError> {
        let nodes = address_book(&endpoints)?;
        let limited = IpAddr::from(Ipv4Addr::BROADCAST);
        let broadcasts =
            endpoints.iter().map(|endpoint| endpoint.broadcast.into()).chain([limited]).collect();
        let mut by_pair = HashMap::new();
        let mut paths = Vec::with_capacity(links.len());
        for (position, spec) in links.iter().enumerate() {
            let LinkSpec { source, destination, profile, .. } = *spec;
            let (Some(from), Some(to)) = (endpoints.get(source), endpoints.get(destination)) else {
                let (source_node, destination_node) = (source, destination);
                return Err(FabricError::NoSuchNode {
                    source_node,
                    destination_node,
                    nodes: endpoints.len(),
                });
            };
            if by_pair.insert((source, destination), position).is_some() {
                let (source_node, destination_node) = (from.name.clone(), to.name.clone());
                return Err(FabricError::SamePair { source_node, destination_node });
            }
            let link = Link::new(profile, Random::of_link(spec.seed.unwrap_or(seed), &from.name, &to.name));
            paths.push(Path { source, destination, link });
        }
        Ok(Self {
            endpoints,
            nodes,
            broadcasts,
            paths,
            by_pair,
            deadlines: BinaryHeap::new(),
            memory_max,
            memory: 0,
            pieces: Vec::new(),
            passed: Vec::new(),
            totals: Totals::default(),
        })
    }

    /// Takes a frame that `source` sent and that was read at `now`. What need not wait is handed to `send` at
    /// once, as (node, frame); the rest waits for [`release`](Self::release).
    pub fn accept(&mut self, now: u64, source: usize, frame: &mut [u8], send: &mut impl FnMut(usize, &[u8])) {
        self.accept_late(now, 0, source, frame, send);
    }

    /// As [`accept`](Self::accept), for a frame that may have waited up to `waited_ns` before it was read.
    pub fn accept_late(
        &mut self,
        now: u64,
        waited_ns: u64,
        source: usize,
        frame: &mut [u8],
        send: &mut impl FnMut(usize, &[u8]),
    ) {
        self.passed.clear();
        let layout = Layout::parse(frame);
        let single = || Shape::single(frame.len().saturating_sub(VNET_LEN) as u32);
        let shape = layout.map_or_else(single, |layout| layout.shape());
        self.totals.frames += 1;
        self.totals.packets.add(u64::from(shape.segments), shape.wire_total());
        let arrival = Arrival { now, waited_ns, source, layout, shape };
        match destination_of(frame) {
            Destination::Node(address) => match self.nodes.get(&address) {
                Some(&node) => {
                    set_receiver(frame, self.endpoints[node].mac);
                    self.forward(&arrival, node, frame, send);
                }
                None if self.broadcasts.contains(&address) => {
                    set_receiver(frame, BROADCAST_MAC);
                    self.forward_to_all(&arrival, frame, send);
                }
                None => self.totals.unknown.add(u64::from(shape.segments), shape.wire_total()),
            },
            Destination::All => self.forward_to_all(&arrival, frame, send),
            Destination::Nowhere => self.totals.unknown.add(u64::from(shape.segments), shape.wire_total()),
        }
    }

    fn forward_to_all(&mut self, arrival: &Arrival, frame: &[u8], send: &mut impl FnMut(usize, &[u8])) {
        for node in (0..self.endpoints.len()).filter(|node| *node != arrival.source) {
            self.forward(arrival, node, frame, send);
        }
    }

    fn forward(&mut self, arrival: &Arrival, node: usize, frame: &[u8], send: &mut impl FnMut(usize, &[u8])) {
        let Arrival { now, waited_ns, source, layout, shape } = arrival;
        let Some(&position) = self.by_pair.get(&(*source, node)) else {
            self.totals.unshaped.add(u64::from(shape.segments), shape.wire_total());
            send(node, frame);
            return;
        };
        let link = &mut self.paths[position].link;
        link.admit(*now, shape, &mut self.pieces);
        for piece in &self.pieces {
            let whole = piece.count == shape.segments;
            let cut = layout.filter(|_| !whole).map(|layout| layout.cut(frame, piece.first, piece.count));
            let packets = u64::from(piece.count);
            if piece.due <= *now && link.next_due().is_none() {
                link.account.delivered.add(packets, piece.bytes);
                self.passed.push((position, piece.count));
                send(node, cut.as_deref().unwrap_or(frame));
                continue;
            }
            let size = cut.as_ref().map_or(frame.len(), Vec::len) + HELD_OVERHEAD;
            if self.memory + size > self.memory_max {
                link.account.memory_dropped.add(packets, piece.bytes);
                continue;
            }
            self.memory += size;
            if link.next_due().is_none() {
                self.deadlines.push(Reverse((piece.due, position)));
            }
            let frame = cut.unwrap_or_else(|| frame.to_vec());
            let (due, packets, bytes) = (piece.due, piece.count, piece.bytes);
            link.hold(Held { due, waited_ns: *waited_ns, packets, bytes, frame });
        }
    }

    /// What of the frame accepted last passed its links at once, as (link, wire packets).
    pub fn passed(&self) -> &[(usize, u32)] {
        &self.passed
    }

    /// When the next frame comes due.
    pub fn next_due(&self) -> Option<u64> {
        self.deadlines.peek().map(|Reverse((due, _))| *due)
    }

    /// The next frame that is due at `now`, in the order of deadlines.
    pub fn release(&mut self, now: u64) -> Option<Release> {
        let Reverse((due, position)) = *self.deadlines.peek()?;
        if due > now {
            return None;
        }
        self.deadlines.pop();
        let path = &mut self.paths[position];
        let held = path.link.release(now)?;
        if let Some(next) = path.link.next_due() {
            self.deadlines.push(Reverse((next, position)));
        }
        self.memory -= held.frame.len() + HELD_OVERHEAD;
        Some(Release { node: path.destination, link: position, held })
    }

    /// Alters a link by hand from `now` on, on top of its profile, the timeline and earlier alterations by hand, until
    /// [`heal`](Self::heal).
    ///
    /// # Errors
    /// When there is no such link.
    pub fn alter(&mut self, now: u64, link: usize, patch: &Patch) -> Result<(), FabricError> {
        let links = self.paths.len();
        let path = self.paths.get_mut(link).ok_or(FabricError::NoSuchLink { link, links })?;
        path.link.alter(now, patch);
        Ok(())
    }

    /// Forgets what was altered by hand.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn heal(&mut self, now: u64, link: usize) -> Result<(), FabricError> {
        let links = self.paths.len();
        let path = self.paths.get_mut(link).ok_or(FabricError::NoSuchLink { link, links })?;
        path.link.heal(now);
        Ok(())
    }

    /// Begins a timeline at `now`, in place of any other.
    ///
    /// # Errors
    /// When a change names a link that is not there or can't happen as it is written; then nothing changes.
    pub fn play(&mut self, _now: u64, changes: &[Change]) -> Result<(), FabricError> {
        if changes.is_empty() {
            return Ok(());
        }
        Err(FabricError::BadChange { change: 0, reason: "this fabric does not change over time".to_owned() })
    }

    /// Ends the timeline: every link is back to its profile, and to what was altered by hand.
    pub const fn rest(&mut self, _now: u64) {}

    /// What a link does now; `None` when there is no such link.
    pub fn profile(&self, link: usize) -> Option<Profile> {
        self.paths.get(link).map(|path| *path.link.profile())
    }

    /// What went through.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Bytes of memory in flight.
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// The account of each link, in the order they were given.
    pub fn accounts(&self) -> impl Iterator<Item = Account> {
        self.paths.iter().map(|path| path.link.account)
    }

    /// Sender, receiver and profile of each link, in the order they were given.
    pub fn links(&self) -> impl Iterator<Item = (&str, &str, &Profile)> {
        let name = |node: usize| self.endpoints[node].name.as_str();
        self.paths.iter().map(move |path| (name(path.source), name(path.destination), path.link.profile()))
    }
}

/// A frame on its way in.
struct Arrival {
    now: u64,
    waited_ns: u64,
    source: usize,
    layout: Option<Layout>,
    shape: Shape,
}

fn address_book(endpoints: &[Endpoint]) -> Result<HashMap<IpAddr, usize>, FabricError> {
    let mut nodes = HashMap::new();
    for (node, endpoint) in endpoints.iter().enumerate() {
        for &address in &endpoint.addresses {
            if let Some(other) = nodes.insert(address, node) {
                let (first, second) = (endpoints[other].name.clone(), endpoint.name.clone());
                return Err(FabricError::SameAddress { first, second, address });
            }
        }
    }
    Ok(nodes)
}
