//! Recordings of real links.

use serde::{Deserialize, Serialize};
use units::{Delay, Percent, Rate};

/// What one delivery of a [`Trace::Deliveries`] can carry, bytes on the wire: a full Ethernet frame. Mahimahi means 1,504
/// bytes of its own framing, one full IP packet.
pub const DELIVERY_BYTES: u64 = 1514;

/// How a link behaved over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// Mahimahi's packet-delivery format: at each of these milliseconds the link can deliver [`DELIVERY_BYTES`]; a
    /// chance that nothing waits for is gone. Ascending, the last above zero; after the last it begins again.
    Deliveries(Vec<u64>),
    /// The link's properties from some moments on, ascending, the first at zero. The last holds on.
    Steps(Vec<Step>),
}

/// One row of a [`Trace::Steps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Since the beginning of the trace.
    pub at: Delay,
    /// Rate from then on; the link's own when absent.
    pub rate: Option<Rate>,
    /// Delay from then on; the link's own when absent.
    pub delay: Option<Delay>,
    /// Loss from then on; the link's own when absent.
    pub loss: Option<Percent>,
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TraceError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}
