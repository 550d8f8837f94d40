//! The kernel's own emulation: the commands that have `htb` and `netem` do, at each host, what the emulator would.
//!
//! A host's device gets an `htb` without default class, so that packets to hosts without a link pass unshaped. Each
//! destination has a class with the rate, in it a `netem` with delay and mishaps, in that the queue, and filters for
//! its addresses. Packets serve their delay *before* the queue and the rate, not after as in the emulator; the limits
//! of [`Profile::queue`](link::Profile) hold all the same, as the delay has room of its own.
//!
//! What the kernel cannot do is [refused](Unsupported) by name. What it does differently, although asked for:
//! queues drop what the host's stack handed over at once, up to 64 KiB, and a shared bottleneck shares its rate but
//! not its queue. Multicast and broadcast packets pass unshaped.

mod counters;
mod leaf;
mod run;
mod script;

pub use counters::{counters, read_counters};
pub use run::{KernelError, probe, run};
pub use script::{Abilities, KernelHost, Unsupported, script};

/// Classes `1:1`, `1:2` and so on belong to the links of a host in their order, [`PARENTS`] and above to bottlenecks
/// that several of them share.
const PARENTS: usize = 0xf000;
/// A class's `netem` has this number more; a class's queue, in that, [`QUEUES`] more.
const NETEMS: usize = 0x100;
const QUEUES: usize = 0x4000;
/// Links of one host, so that the numbers above are distinct.
const LINKS_MAX: usize = QUEUES - NETEMS - 1;
