//! User-space link emulation: delay, rate and loss between network namespaces, on any kernel that has TUN/TAP or
//! virtual Ethernet pairs, with or without root.
//!
//! Every node is a network namespace with one [`Device`], a TAP or an end of a pair ([`DataPath`]). A worker thread holds
//! the other ends of all devices, sends each packet through the [link](model::link) of its ordered pair of nodes, and
//! writes it to the destination's device when it is due; several workers share the nodes by who sends. Packets travel as
//! the kernel made them, super-packets of up to 64 KiB included; these are cut into wire packets only where a loss or the
//! pace of the link asks for it.
//!
//! Links may be changed while packets pass ([`Emulator::alter`], [`Emulator::play`]), and the emulator tells how well it
//! kept its word ([`Snapshot::violations`]).
//!
//! ```no_run
//! use netem::{Device, DeviceOptions, Emulator, Network, Node, Profile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = |name: &str, host: u8| {
//!     // In the product each call runs on a thread that has entered the node's own network namespace.
//!     let address = [10, 77, 0, host].into();
//!     let device = Device::create("net0", address, 16, &DeviceOptions::default())?;
//!     Ok::<_, netem::DeviceError>(Node { name: name.into(), address, device })
//! };
//! let link = Profile { delay: "50ms".parse()?, rate: Some("150mbit".parse()?), ..Profile::default() };
//! let nodes = vec![node("fog", 1)?, node("cloud", 2)?];
//! let emulator = Emulator::start(Network { nodes, links: vec![(0, 1, link).into(), (1, 0, link).into()], seed: 7 })?;
//! let snapshot = emulator.snapshot();
//! assert!(snapshot.violations(&link::Bounds::default()).is_empty());
//! emulator.stop();
//! # Ok(())
//! # }
//! ```
//!
//! The model half ([`model`]) does no I/O and takes the time as an argument, so that all it does can be
//! replayed; the rest moves packets between it and the kernel.

mod device;
mod emulator;
mod histogram;
pub mod kernel;
pub mod model;
mod netlink;
mod punctuality;
mod release;
mod shards;
mod snapshot;
mod stalls;
mod switch;
mod sys;
mod waiting;
mod worker;

pub use device::{DataPath, Device, DeviceError, DeviceOptions, UnknownPath, user_namespace_obstacle};
pub use emulator::{Emulator, EmulatorOptions};
pub use model::Profile;
pub use snapshot::{DelayLateness, DeviceSnapshot, Lateness, LinkSnapshot, Snapshot, Tally, WorkerSnapshot};
pub use switch::Switch;

use std::net::Ipv4Addr;

/// A host of the network.
#[derive(Debug)]
pub struct Node {
    /// The name that [`Snapshot`] uses and that, with the seed, fixes the fates of the node's packets.
    pub name: String,
    /// The address by which packets find the node.
    pub address: Ipv4Addr,
    /// The node's device.
    pub device: Device,
}

/// A link, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// Index of the sending node.
    pub source: usize,
    /// Index of the receiving node.
    pub destination: usize,
    /// What it does to packets.
    pub profile: Profile,
    /// Links of the same number share one rate and one queue, those of the first of them; a link without has its own.
    pub bottleneck: Option<usize>,
    /// Seed of its randomness instead of [`Network::seed`].
    pub seed: Option<u64>,
}

impl From<(usize, usize, Profile)> for LinkSpec {
    fn from((source, destination, profile): (usize, usize, Profile)) -> Self {
        Self { source, destination, profile, bottleneck: None, seed: None }
    }
}

/// What to emulate.
#[derive(Debug)]
pub struct Network {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Links, one way each, at most one per ordered pair. A pair without a link passes unshaped.
    pub links: Vec<LinkSpec>,
    /// Seed of all randomness: the same seed, node names and sequence of packets on a link give the same
    /// fates.
    pub seed: u64,
}
