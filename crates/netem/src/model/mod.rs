//! The emulated network as a pure state machine: frames and the time go in, frames and deadlines come out.
//!
//! Nothing here reads a clock, a device or a source of randomness. Times are nanoseconds since any fixed
//! moment, and must not go backwards from call to call.

pub mod fabric;
pub mod gso;
pub mod link;
pub mod loss;
pub mod random;
pub mod shaper;
pub mod wire;

use units::{Delay, Loss, Rate, Size};

/// What a link does to packets, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// One-way delay, beside the time that the rate costs.
    pub delay: Delay,
    /// Rate of the bottleneck, unlimited when absent. Counts the bytes of IP packets + 14 each, as `tc` does on
    /// Ethernet.
    pub rate: Option<Rate>,
    /// Share of wire packets lost, independently of each other.
    pub loss: Loss,
    /// Room in front of the bottleneck; what finds it full is dropped (drop-tail). Packets that serve their
    /// delay don't take room. Unused without a rate.
    pub queue: Size,
}

impl Default for Profile {
    /// No delay, no limit, no loss, and room for 1,000 full Ethernet frames.
    fn default() -> Self {
        Self { delay: Delay::ZERO, rate: None, loss: Loss::NONE, queue: Size::from_bytes(1000 * 1514) }
    }
}
