//! Probe ports: receive, echo, count.

use super::packet::{Packet, PacketKind, echo_of};
use crate::clock::unix_nanos;
use crate::error::{Context as _, Failure};
use crate::limits::{DELAY_SAMPLES_MAX, FLOWS_MAX, PROBE_LIFE_MAX};
use crate::probe::{FlowReport, ProbeListen, ProbePort, ProbeReport};
use crate::sightings::Sightings;
use crate::sys::udp::{BATCH, ReceiveBatch, Received, drops, prepare_receiver};
use crate::sys::{Interest, Waker, wait_ready};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Open ports per agent.
const PORTS_MAX: usize = 256;
/// Receive buffer asked for, in bytes.
const BUFFER_BYTES: i32 = 16 << 20;
/// Longest wait for quiet once a report is asked for.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(10);
/// Highest packet number that is checked for duplicates; the memory for it is an eighth of that in bytes.
const NUMBER_MAX: u64 = 1 << 22;
/// Batches taken before the deadlines are looked at again.
const BATCHES_MAX: usize = 64;
/// Bytes of Ethernet, IPv4 and UDP headers around a payload.
pub(super) const HEADER_BYTES: u64 = 14 + 20 + 8;

#[derive(Default)]
pub(super) struct Listeners {
    ports: Mutex<Ports>,
}

#[derive(Default)]
struct Ports {
    next: u64,
    open: HashMap<u64, Port>,
}

struct Port {
    wish: Arc<Wish>,
    thread: JoinHandle<io::Result<ProbeReport>>,
}

/// How the receiving thread is told to end: after so long without a packet.
struct Wish {
    quiet: Mutex<Option<Duration>>,
    waker: Waker,
}

impl Wish {
    fn quiet(&self) -> MutexGuard<'_, Option<Duration>> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_after(&self, quiet: Duration) {
        *self.quiet() = Some(quiet);
        self.waker.wake();
    }
}

impl Listeners {
    pub(super) fn open(&self, listen: &ProbeListen) -> Result<ProbePort, Failure> {
        let mut ports = self.locked();
        ports.open.retain(|_, port| !port.thread.is_finished());
        if ports.open.len() >= PORTS_MAX {
            return Err(Failure::new("open a probe port", format!("{PORTS_MAX} are open, the most")));
        }
        let action = format!("open a probe port on {}", listen.address);
        let socket = UdpSocket::bind((listen.address, 0)).during(&action)?;
        let receive_buffer_bytes = prepare_receiver(&socket, BUFFER_BYTES).during(&action)?;
        let address = socket.local_addr().during(&action)?;
        let waker = Waker::new().during(&action)?;
        let wish = Arc::new(Wish { quiet: Mutex::new(None), waker });
        let mut receiver = Receiver {
            socket,
            wish: Arc::clone(&wish),
            rate_skip_ns: i64::try_from(listen.rate_skip.as_nanos()).unwrap_or(i64::MAX),
            until: Instant::now() + listen.life.min(PROBE_LIFE_MAX),
            flows: BTreeMap::new(),
            strangers: 0,
            echoes: Vec::new(),
        };
        let builder = std::thread::Builder::new().name("probe port".to_owned());
        let thread = builder.spawn(move || receiver.run()).during(&action)?;
        ports.next += 1;
        let token = ports.next;
        ports.open.insert(token, Port { wish, thread });
        Ok(ProbePort { address, token, receive_buffer_bytes })
    }

    pub(super) fn report(&self, token: u64, quiet: Duration) -> Result<ProbeReport, Failure> {
        let port = self.locked().open.remove(&token).ok_or_else(|| {
            Failure::new("report a probe port", format!("there is no port {token}, or its life was over"))
        })?;
        port.wish.end_after(quiet);
        match port.thread.join() {
            Ok(report) => report.during("receive probes"),
            Err(_) => Err(Failure::new("receive probes", "the receiving thread panicked")),
        }
    }

    /// Ends all ports; nobody wants their reports.
    pub(super) fn end(&self) {
        self.locked().open.drain().for_each(|(_, port)| port.wish.end_after(Duration::ZERO));
    }

    fn locked(&self) -> MutexGuard<'_, Ports> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Receiver {
    socket: UdpSocket,
    wish: Arc<Wish>,
    rate_skip_ns: i64,
    until: Instant,
    flows: BTreeMap<u32, Flow>,
    strangers: u64,
    echoes: Vec<(SocketAddr, Packet, i64)>,
}

impl Receiver {
    fn run(&mut self) -> io::Result<ProbeReport> {
        let mut batch = ReceiveBatch::new();
        let mut last_arrival = Instant::now();
        let mut quiet = None;
        loop {
            let now = Instant::now();
            let end = match quiet {
                Some(quiet) => self.until.min(last_arrival + quiet),
                None => self.until,
            };
            if now >= end {
                break;
            }
            let interests =
                [Interest::Readable(self.socket.as_fd()), Interest::Readable(self.wish.waker.as_fd())];
            wait_ready(&interests, end - now)?;
            if quiet.is_none() {
                quiet = *self.wish.quiet();
                if quiet.is_some() {
                    self.wish.waker.clear();
                    last_arrival = Instant::now();
                    self.until = self.until.min(last_arrival + QUIET_WAIT_MAX);
                }
            }
            if self.take_batches(&mut batch)? > 0 {
                last_arrival = Instant::now();
            }
            self.echo();
        }
        Ok(ProbeReport {
            socket_drops: drops(&self.socket)?,
            strangers: self.strangers,
            flows: std::mem::take(&mut self.flows).into_values().map(Flow::report).collect(),
        })
    }

    /// Takes what is there, up to a bound, so that the deadlines are looked at; how many datagrams.
    fn take_batches(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        let Self { socket, flows, strangers, echoes, rate_skip_ns, .. } = self;
        let mut taken = 0;
        for _ in 0..BATCHES_MAX {
            let count = batch.receive(socket, |received| {
                let arrived_ns = received.stamp_ns.unwrap_or_else(unix_nanos);
                *strangers += count_datagram(flows, &received, arrived_ns, *rate_skip_ns);
                match Packet::decode(received.bytes) {
                    Some(packet) if packet.kind == PacketKind::Delay => {
                        echoes.push((received.source, packet, arrived_ns));
                    }
                    _ => {}
                }
            })?;
            taken += count;
            if count < BATCH {
                break;
            }
        }
        Ok(taken)
    }

    /// Answers the delay probes that came in. An echo that cannot be sent is a lost one.
    fn echo(&mut self) {
        for (source, packet, arrived_ns) in self.echoes.drain(..) {
            let _ = self.socket.send_to(&echo_of(&packet, arrived_ns, unix_nanos()), source);
        }
    }
}

/// Counts the packets of one datagram (or run of datagrams); how many were no probes.
fn count_datagram(
    flows: &mut BTreeMap<u32, Flow>,
    received: &Received<'_>,
    arrived_ns: i64,
    rate_skip_ns: i64,
) -> u64 {
    let mut strangers = 0;
    // Counted as one arrival per flow: the packets of a run share their stamp.
    let mut run: Option<(u32, u64)> = None;
    for bytes in received.bytes.chunks(received.segment_bytes) {
        let known = |flow: u32| flows.contains_key(&flow) || flows.len() < FLOWS_MAX;
        match Packet::decode(bytes).filter(|packet| known(packet.flow)) {
            Some(packet) if packet.kind != PacketKind::Echo => {
                let flow = flows.entry(packet.flow).or_insert_with(|| Flow::new(packet.flow));
                let frame_bytes = bytes.len() as u64 + HEADER_BYTES;
                flow.count(&packet, frame_bytes, arrived_ns);
                flow.report.largest_bytes = flow.report.largest_bytes.max(bytes.len() as u32);
                run = Some((packet.flow, run.map_or(0, |(_, bytes)| bytes) + frame_bytes));
            }
            _ => strangers += 1,
        }
    }
    if let Some((flow, frame_bytes)) = run
        && let Some(flow) = flows.get_mut(&flow)
    {
        flow.arrive(frame_bytes, arrived_ns, rate_skip_ns);
    }
    strangers
}

/// What is known of one flow.
struct Flow {
    report: FlowReport,
    next_number: u64,
    seen: Sightings,
    first_ns: Option<i64>,
    rate_from_ns: Option<i64>,
}

impl Flow {
    fn new(flow: u32) -> Self {
        let report = FlowReport { flow, ..FlowReport::default() };
        Self { report, next_number: 0, seen: Sightings::new(NUMBER_MAX), first_ns: None, rate_from_ns: None }
    }

    fn count(&mut self, packet: &Packet, frame_bytes: u64, arrived_ns: i64) {
        if !self.seen.is_first(packet.number) {
            self.report.duplicates += 1;
            return;
        }
        self.report.packets += 1;
        self.report.frame_bytes += frame_bytes;
        if packet.number < self.next_number {
            self.report.reordered += 1;
        } else {
            self.next_number = packet.number.saturating_add(1);
        }
        if packet.kind == PacketKind::Delay && self.report.delay_ns.len() < DELAY_SAMPLES_MAX {
            self.report.delay_ns.push(arrived_ns.saturating_sub(packet.sent_ns));
        }
    }

    /// The rate counts what arrives after the first arrival that follows the skipped beginning: a rate is bytes per
    /// gap, and the first arrival has no gap before it.
    fn arrive(&mut self, frame_bytes: u64, arrived_ns: i64, rate_skip_ns: i64) {
        let first_ns = *self.first_ns.get_or_insert(arrived_ns);
        match self.rate_from_ns {
            None if arrived_ns.saturating_sub(first_ns) >= rate_skip_ns => {
                self.rate_from_ns = Some(arrived_ns)
            }
            None => {}
            Some(from_ns) => {
                let interval_ns = u64::try_from(arrived_ns.saturating_sub(from_ns)).unwrap_or(0);
                self.report.rate_frame_bytes += frame_bytes;
                self.report.rate_interval_ns = self.report.rate_interval_ns.max(interval_ns);
            }
        }
    }

    fn report(mut self) -> FlowReport {
        self.report.delay_ns.sort_unstable();
        self.report
    }
}
