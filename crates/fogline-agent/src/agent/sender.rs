//! Sends probes: paced single packets, or more than the link can carry.

use super::listener::HEADER_BYTES;
use super::packet::{ECHO_BYTES, HEAD_BYTES, Packet, PacketKind, turnaround_ns};
use super::samples::Counters;
use crate::clock::unix_nanos;
use crate::error::{Context as _, Failure};
use crate::limits::FLOWS_MAX;
use crate::probe::{FlowSent, ProbeKind, ProbePlan, ProbeSent};
use crate::sys::udp::{
    BATCH, ReceiveBatch, Received, forbid_fragments, prepare_receiver, prepare_sender, send_batch,
    set_segment,
};
use crate::sys::{Interest, wait_ready};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// Longest sending.
const DURATION_MAX: Duration = Duration::from_secs(30);
/// Most packets of one plan.
const PACKETS_MAX: u64 = 1 << 20;
/// Longest wait for one packet to be taken by the kernel.
const SEND_PATIENCE: Duration = Duration::from_secs(1);
/// Buffers asked for, in bytes.
const BUFFER_BYTES: i32 = 4 << 20;
/// Loss packets due within this time go out together: fewer wake-ups.
const LOSS_SLACK: Duration = Duration::from_millis(2);
/// The most that an IPv4 packet leaves for a UDP payload.
const SIZE_BYTES_MAX: usize = 65_507;
/// UDP payload of a rate packet.
const RATE_PAYLOAD_BYTES: usize = 1400;
/// Rate packets handed to the kernel at once, at most: 64 KiB, what one segmented datagram may hold.
const RATE_SEGMENTS_MAX: u64 = 46;
/// Link time of one hand-over of rate packets, so that slow links get single packets.
const RATE_QUANTUM_NS: u64 = 500_000;
/// A sender that is late by more than this sends on from now, instead of one burst for all that it missed.
const RATE_CATCH_UP: Duration = Duration::from_millis(20);

pub(super) fn send(plan: &ProbePlan) -> Result<ProbeSent, Failure> {
    check(plan)?;
    let action = format!("send probes from {}", plan.source);
    let socket = UdpSocket::bind((plan.source, 0)).during(&action)?;
    socket.set_write_timeout(Some(SEND_PATIENCE)).during(&action)?;
    prepare_sender(&socket, BUFFER_BYTES).during(&action)?;
    let dropped_before = Counters::read_network().net_tx_dropped;
    let started = Instant::now();
    let flow = |target: &crate::probe::ProbeTarget| FlowSent { flow: target.flow, ..FlowSent::default() };
    let mut sender = Sender { plan, socket, started, flows: plan.targets.iter().map(flow).collect() };
    match plan.kind {
        ProbeKind::Rate { offered_bits_per_s } => sender.flood(offered_bits_per_s),
        ProbeKind::Delay => sender.pace(PacketKind::Delay, Duration::ZERO),
        ProbeKind::Loss => sender.pace(PacketKind::Loss, LOSS_SLACK),
        // Counted as loss probes are; what differs is their length.
        ProbeKind::Size => {
            forbid_fragments(&sender.socket).and_then(|()| sender.pace(PacketKind::Loss, Duration::ZERO))
        }
    }
    .during(&action)?;
    let elapsed = started.elapsed();
    sender.flows.iter_mut().for_each(|flow| flow.rtt_ns.sort_unstable());
    let interface_drops = Counters::read_network().net_tx_dropped.saturating_sub(dropped_before);
    Ok(ProbeSent { flows: sender.flows, interface_drops, elapsed })
}

fn check(plan: &ProbePlan) -> Result<(), Failure> {
    let packets: u64 = plan.targets.iter().map(|target| u64::from(target.packets)).sum();
    let refuse = |message: String| Err(Failure::new("send probes", message));
    match plan.kind {
        _ if plan.targets.is_empty() || plan.targets.len() > FLOWS_MAX => {
            refuse(format!("{} targets, expected 1 to {FLOWS_MAX}", plan.targets.len()))
        }
        _ if plan.duration > DURATION_MAX || plan.echo_wait > DURATION_MAX => {
            refuse(format!("it would last longer than {DURATION_MAX:?}"))
        }
        ProbeKind::Rate { offered_bits_per_s: 0 } => refuse("a rate of zero".to_owned()),
        ProbeKind::Rate { .. } => Ok(()),
        _ if packets > PACKETS_MAX => refuse(format!("{packets} packets, at most {PACKETS_MAX}")),
        kind => {
            let most = if kind == ProbeKind::Size { SIZE_BYTES_MAX } else { 1472 };
            match (ECHO_BYTES..=most).contains(&plan.payload_bytes) {
                true => Ok(()),
                false => {
                    let bytes = plan.payload_bytes;
                    refuse(format!("a payload of {bytes} bytes, expected {ECHO_BYTES} to {most}"))
                }
            }
        }
    }
}

struct Sender<'a> {
    plan: &'a ProbePlan,
    socket: UdpSocket,
    started: Instant,
    flows: Vec<FlowSent>,
}

/// Whether the kernel would not take this packet, and may take the next.
fn is_busy(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EMSGSIZE))
}

impl Sender<'_> {
    /// Sends each flow's packets evenly over the plan's time; those due within `slack` go together.
    fn pace(&mut self, kind: PacketKind, slack: Duration) -> io::Result<()> {
        let mut receive = match kind {
            PacketKind::Delay => {
                prepare_receiver(&self.socket, BUFFER_BYTES)?;
                Some(ReceiveBatch::new())
            }
            _ => None,
        };
        let schedule = schedule(self.plan);
        let mut due = schedule.iter().peekable();
        while let Some((at, _)) = due.peek() {
            let late_by = self.started.elapsed();
            if late_by < *at {
                self.wait(*at - late_by + slack, &mut receive)?;
                continue;
            }
            let mut now_due = Vec::with_capacity(BATCH);
            while let Some((_, target)) = due.next_if(|(at, _)| *at <= late_by && now_due.len() < BATCH) {
                now_due.push(*target);
            }
            self.send_packets(kind, &now_due)?;
        }
        let echoes_until = Instant::now() + self.plan.echo_wait;
        while receive.is_some() && Instant::now() < echoes_until && self.echoes_missing() {
            self.wait(echoes_until.saturating_duration_since(Instant::now()), &mut receive)?;
        }
        Ok(())
    }

    fn echoes_missing(&self) -> bool {
        self.flows.iter().any(|flow| (flow.rtt_ns.len() as u64) < flow.packets)
    }

    /// Waits, taking echoes as they come.
    fn wait(&mut self, time: Duration, receive: &mut Option<ReceiveBatch>) -> io::Result<()> {
        let Some(batch) = receive else {
            return wait_ready(&[], time).map(|_| ());
        };
        wait_ready(&[Interest::Readable(self.socket.as_fd())], time)?;
        let Self { socket, flows, .. } = self;
        batch.receive(socket, |received| note_echo(flows, &received))?;
        Ok(())
    }

    /// Sends the next packet of each of these targets.
    fn send_packets(&mut self, kind: PacketKind, targets: &[usize]) -> io::Result<()> {
        let length = self.plan.payload_bytes;
        let mut bytes = vec![0; length * targets.len()];
        let mut numbers: HashMap<usize, u64> = HashMap::new();
        let mut datagrams = Vec::with_capacity(targets.len());
        for (target, chunk) in targets.iter().zip(bytes.chunks_exact_mut(length)) {
            let flow = &self.flows[*target];
            let ahead = numbers.entry(*target).or_default();
            let number = flow.packets + flow.refused + *ahead;
            *ahead += 1;
            let packet = Packet { kind, flow: flow.flow, number, sent_ns: unix_nanos() };
            chunk[..HEAD_BYTES].copy_from_slice(&packet.encode());
            datagrams.push((self.plan.targets[*target].address, &*chunk));
        }
        let mut rest: &[(SocketAddr, &[u8])] = &datagrams;
        let mut done = 0;
        while let Some((_, after)) = rest.split_first() {
            match send_batch(&self.socket, rest) {
                Ok(count) => {
                    for target in &targets[done..done + count] {
                        self.flows[*target].packets += 1;
                        self.flows[*target].frame_bytes += length as u64 + HEADER_BYTES;
                    }
                    done += count;
                    rest = &rest[count..];
                }
                Err(error) if is_busy(&error) => {
                    self.flows[targets[done]].refused += 1;
                    done += 1;
                    rest = after;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Offers each target `offered` bits per second for the plan's time.
    fn flood(&mut self, offered: u64) -> io::Result<()> {
        let frame_bytes = RATE_PAYLOAD_BYTES as u64 + HEADER_BYTES;
        let frame_ns = (frame_bytes * 8 * 1_000_000_000).div_ceil(offered);
        let segments = (RATE_QUANTUM_NS / frame_ns.max(1)).clamp(1, RATE_SEGMENTS_MAX);
        let quantum = Duration::from_nanos(frame_ns * segments);
        let mut buffer = vec![0; RATE_PAYLOAD_BYTES * segments as usize];
        let mut segmented = segments > 1 && set_segment(&self.socket, RATE_PAYLOAD_BYTES as u16).is_ok();
        let mut next = Duration::ZERO;
        while next < self.plan.duration {
            let now = self.started.elapsed();
            if now < next {
                wait_ready(&[], next - now)?;
                continue;
            }
            for target in 0..self.plan.targets.len() {
                self.fill(target, &mut buffer);
                if segmented && !self.send_segmented(target, &buffer)? {
                    segmented = false;
                    set_segment(&self.socket, 0)?;
                }
                if !segmented {
                    self.send_singly(target, &buffer)?;
                }
            }
            next = (next + quantum).max(now.saturating_sub(RATE_CATCH_UP));
        }
        Ok(())
    }

    fn fill(&mut self, target: usize, buffer: &mut [u8]) {
        let flow = &self.flows[target];
        let first = flow.packets + flow.refused;
        for (number, chunk) in (first..).zip(buffer.chunks_exact_mut(RATE_PAYLOAD_BYTES)) {
            let kind = PacketKind::Rate;
            let packet = Packet { kind, flow: flow.flow, number, sent_ns: unix_nanos() };
            chunk[..HEAD_BYTES].copy_from_slice(&packet.encode());
        }
    }

    /// Sends a run of packets that the kernel cuts; false when it cannot cut on this path.
    fn send_segmented(&mut self, target: usize, buffer: &[u8]) -> io::Result<bool> {
        let result = self.socket.send_to(buffer, self.plan.targets[target].address);
        match result {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => Ok(false),
            result => self.note_rate(target, buffer, result).map(|()| true),
        }
    }

    fn send_singly(&mut self, target: usize, buffer: &[u8]) -> io::Result<()> {
        for chunk in buffer.chunks_exact(RATE_PAYLOAD_BYTES) {
            let result = self.socket.send_to(chunk, self.plan.targets[target].address);
            self.note_rate(target, chunk, result)?;
        }
        Ok(())
    }

    fn note_rate(&mut self, target: usize, bytes: &[u8], result: io::Result<usize>) -> io::Result<()> {
        let count = (bytes.len() / RATE_PAYLOAD_BYTES) as u64;
        let flow = &mut self.flows[target];
        match result {
            Ok(_) => {
                flow.packets += count;
                flow.frame_bytes += count * (RATE_PAYLOAD_BYTES as u64 + HEADER_BYTES);
            }
            Err(error) if is_busy(&error) => flow.refused += count,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// When each packet is due and whose it is: a flow's packets lie evenly in the plan's time, each in the middle of its
/// share, and flows are shifted against each other so that they do not all send at once.
fn schedule(plan: &ProbePlan) -> Vec<(Duration, usize)> {
    let count = plan.targets.len() as f64;
    let mut schedule: Vec<(Duration, usize)> = plan
        .targets
        .iter()
        .enumerate()
        .flat_map(|(index, target)| {
            let shift = (index as f64 + 0.5) / count;
            let step = 1.0 / f64::from(target.packets.max(1));
            (0..target.packets)
                .map(move |number| (plan.duration.mul_f64((f64::from(number) + shift) * step), index))
        })
        .collect();
    schedule.sort();
    schedule
}

fn note_echo(flows: &mut [FlowSent], received: &Received<'_>) {
    let arrived_ns = received.stamp_ns.unwrap_or_else(unix_nanos);
    for bytes in received.bytes.chunks(received.segment_bytes) {
        let Some(packet) = Packet::decode(bytes).filter(|packet| packet.kind == PacketKind::Echo) else {
            continue;
        };
        let rtt = turnaround_ns(bytes).map(|turnaround| arrived_ns - packet.sent_ns - turnaround);
        let flow = flows.iter_mut().find(|flow| flow.flow == packet.flow);
        if let (Some(flow), Some(rtt)) = (flow, rtt.and_then(|rtt| u64::try_from(rtt).ok())) {
            flow.rtt_ns.push(rtt);
        }
    }
}
