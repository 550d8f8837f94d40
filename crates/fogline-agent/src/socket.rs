//! What probes ask of UDP sockets and the standard library cannot.

pub use crate::sys::udp::{drops, set_segment};
