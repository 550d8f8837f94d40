//! The emulated network as a pure state machine: frames and the time go in, frames and deadlines come out.
//!
//! Nothing here reads a clock, a device or a source of randomness. Times are nanoseconds since any fixed
//! moment, and must not go backwards from call to call.

pub mod countdown;
pub mod edit;
pub mod elementary;
pub mod fabric;
pub mod fates;
pub mod gso;
pub mod jitter;
pub mod link;
pub mod loss;
pub mod random;
pub mod shaper;
pub mod wire;

pub use ::link::Profile;
