//! Measuring links between hosts with UDP.
//!
//! A receiver opens a port, senders send flows to it, the receiver reports per flow. Delay is the kernel's receive
//! stamp less the sender's stamp (both `CLOCK_REALTIME`; one clock when both hosts are on one machine). Round-trip
//! time is measured by echoes and leaves out the time that the echoing agent took, as NTP does.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a probe measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProbeKind {
    /// One-way delay and round-trip time: single packets, each echoed.
    Delay,
    /// Loss: many small packets, sent in small bursts so that each target gets an even stream.
    Loss,
    /// Size: packets of exactly [`ProbePlan::payload_bytes`] that nobody may cut into fragments.
    Size,
    /// Rate: more than the link can carry, for a short time.
    Rate {
        /// Rate to offer per target, in bits per second of Ethernet frames (IP packet + 14 bytes).
        offered_bits_per_s: u64,
    },
}

/// A request to open a probe port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeListen {
    /// Address to receive on.
    pub address: IpAddr,
    /// How long the port lives when nobody asks for its report.
    pub life: Duration,
    /// Beginning of each flow that does not count for its rate (a link's burst credit), from its first arrival.
    pub rate_skip: Duration,
}

/// An open probe port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbePort {
    /// Where to send to.
    pub address: SocketAddr,
    /// The port's number in its agent.
    pub token: u64,
    /// Receive buffer that the kernel granted, in bytes.
    pub receive_buffer_bytes: usize,
}

/// One flow to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeTarget {
    /// Where the receiver listens.
    pub address: SocketAddr,
    /// The caller's number for this flow, unique per receiver.
    pub flow: u32,
    /// Packets to send; ignored by [`ProbeKind::Rate`].
    pub packets: u32,
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbePlan {
    /// What is measured.
    pub kind: ProbeKind,
    /// Address to send from.
    pub source: IpAddr,
    /// The flows, all sent at the same time.
    pub targets: Vec<ProbeTarget>,
    /// Time over which the packets are spread evenly.
    pub duration: Duration,
    /// How long to wait for echoes after the last packet.
    pub echo_wait: Duration,
    /// UDP payload of all but [`ProbeKind::Rate`] packets, in bytes: 48 to 1,472, of [`ProbeKind::Size`] to 65,507.
    pub payload_bytes: usize,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeSent {
    /// One entry per target, in the plan's order.
    pub flows: Vec<FlowSent>,
    /// Packets that the sender's own interfaces dropped meanwhile (queue full), all flows and other traffic together.
    pub interface_drops: u64,
    /// How long sending took.
    pub elapsed: Duration,
}

/// What was sent in one flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowSent {
    /// The flow's number.
    pub flow: u32,
    /// Packets handed to the kernel, segments counted one by one.
    pub packets: u64,
    /// Packets that the kernel refused at once (no route, buffer full, larger than the interface takes).
    pub refused: u64,
    /// Ethernet bytes handed to the kernel (IP packets + 14 each).
    pub frame_bytes: u64,
    /// Round-trip times of the echoes in nanoseconds, sorted.
    pub rtt_ns: Vec<u64>,
}

/// What a probe port received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// One entry per flow seen, by number.
    pub flows: Vec<FlowReport>,
    /// Packets that the receiving socket dropped because its buffer was full: never to be taken for the link's loss.
    pub socket_drops: u64,
    /// Packets that were no probes.
    pub strangers: u64,
}

/// What was received of one flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FlowReport {
    /// The flow's number.
    pub flow: u32,
    /// Different packets received, segments counted one by one.
    pub packets: u64,
    /// Packets that came again, not counted otherwise.
    pub duplicates: u64,
    /// Packets that came after one with a higher number.
    pub reordered: u64,
    /// Ethernet bytes received (IP packets + 14 each).
    pub frame_bytes: u64,
    /// UDP payload of the largest packet received, in bytes.
    pub largest_bytes: u32,
    /// Ethernet bytes that arrived after the skipped beginning, the first arrival there left out.
    pub rate_frame_bytes: u64,
    /// Time between the first and the last arrival after the skipped beginning, in nanoseconds.
    pub rate_interval_ns: u64,
    /// One-way delays of [`ProbeKind::Delay`] packets in nanoseconds, sorted; negative when
    /// the two hosts' clocks differ by more than the delay.
    pub delay_ns: Vec<i64>,
}

impl FlowReport {
    /// The measured rate in bits per second of Ethernet frames; `None` when too little arrived.
    pub fn bits_per_s(&self) -> Option<f64> {
        (self.rate_interval_ns > 0 && self.rate_frame_bytes > 0)
            .then(|| self.rate_frame_bytes as f64 * 8e9 / self.rate_interval_ns as f64)
    }
}
