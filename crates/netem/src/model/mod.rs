//! The emulated network as a pure state machine: frames and the time go in, frames and deadlines come out.
//!
//! Nothing here reads a clock, a device or a source of randomness. Times are nanoseconds since any fixed
//! moment, and must not go backwards from call to call.

pub mod agenda;
pub mod bottleneck;
pub mod codel;
pub mod countdown;
pub mod edit;
pub mod elementary;
mod endpoint;
pub mod fabric;
pub mod fates;
pub mod gso;
mod intake;
pub mod jitter;
pub mod line;
pub mod link;
pub mod loss;
pub mod random;
pub mod timeline;
pub mod transmitter;
pub mod waiting;
pub mod wire;

pub use ::link::Profile;
