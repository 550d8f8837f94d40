//! How well an emulation must keep its word for its run to be valid.

use serde::{Deserialize, Serialize};
use units::{Delay, Percent};

/// What may go wrong at most; a run that exceeds one of these is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// Lateness of the 99th percentile of shaped packets, over the links of each delay. When absent: 1 ms, or 5 % of
    /// that delay where it is more.
    pub late: Option<Delay>,
    /// Share of frames that devices may drop although the network asked for would not have.
    pub drops: Percent,
}

impl Default for Bounds {
    /// Lateness by the delay, no drops.
    fn default() -> Self {
        Self { late: None, drops: Percent::NONE }
    }
}
