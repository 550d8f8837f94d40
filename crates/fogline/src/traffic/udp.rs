//! Numbered datagrams one way: how many arrive, how fast, how late.

use super::packet::{HEAD_BYTES, Kind, Packet};
use super::{ANY, Sent, UdpReceive, UdpReceived, UdpSend, is_busy, seconds, timed_out, wait_until};
use crate::sys;
use fogline_agent::{Sightings, socket};
use fogline_journal::Clock;
use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Receive buffer asked for, in bytes.
const BUFFER_BYTES: i32 = 16 << 20;
/// How long a receiver may take to be there, and to answer the end.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one question to the next.
const RETRY: Duration = Duration::from_millis(20);
/// Longest payload that needs no fragments.
const PAYLOAD_MAX: usize = 1472;
/// A paced sender that is late by more than this goes on from now: what it missed is not made up for, so that nothing
/// drops for want of room.
const CATCH_UP: Duration = Duration::from_millis(5);
/// Runs of datagrams sent without looking at the clock when there is no pace.
const RUN: u64 = 32;
/// Highest number that is checked for having come already.
const NUMBER_MAX: u64 = 1 << 24;

/// Counts until the sender says that it is done.
pub(super) fn receive(args: &UdpReceive) -> io::Result<UdpReceived> {
    let socket = UdpSocket::bind((ANY, args.port))?;
    sys::prepare_receiver(&socket, BUFFER_BYTES)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let deadline = Instant::now() + seconds(args.patience)?;
    let skip_ns = i64::try_from(seconds(args.skip)?.as_nanos()).unwrap_or(i64::MAX);
    let mut count =
        Count { skip_ns, delays: args.delays, seen: Sightings::new(NUMBER_MAX), ..Count::default() };
    let (mut buffer, clock) = ([0; 2048], Clock::system());
    let mut peer = None;
    loop {
        let got = match sys::receive(&socket, &mut buffer) {
            Ok(got) => got,
            Err(error) if is_busy(&error) && Instant::now() < deadline => continue,
            Err(error) if is_busy(&error) => return Err(timed_out("the sender did not say that it is done")),
            Err(error) => return Err(error),
        };
        let bytes = &buffer[..got.bytes.min(buffer.len())];
        let Some(packet) = Packet::decode(bytes) else { continue };
        // Links with delay may still hold the end of an earlier sender, whose receiver had this port.
        if packet.kind == Kind::Hello {
            peer.get_or_insert(got.source);
        }
        if peer != Some(got.source) {
            continue;
        }
        match packet.kind {
            Kind::Data => count.take(&packet, bytes.len(), got.stamp_ns.unwrap_or_else(|| now(&clock))),
            Kind::Hello => drop(socket.send_to(&Packet::new(Kind::Ready, 0, 0).encode(), got.source)),
            Kind::End => {
                // Should all of these be lost, the sender finds the port closed, which says the same.
                for _ in 0..3 {
                    let _ = socket.send_to(&Packet::new(Kind::Done, 0, 0).encode(), got.source);
                }
                return Ok(count.finish(packet.number, socket::drops(&socket)?));
            }
            Kind::Ready | Kind::Done | Kind::Ask => {}
        }
    }
}

fn now(clock: &Clock) -> i64 {
    i64::try_from(clock.unix_ns()).unwrap_or(i64::MAX)
}

#[derive(Default)]
struct Count {
    skip_ns: i64,
    delays: bool,
    seen: Sightings,
    first_ns: Option<i64>,
    rate_from_ns: Option<i64>,
    rate_to_ns: i64,
    result: UdpReceived,
}

impl Count {
    fn take(&mut self, packet: &Packet, bytes: usize, stamp_ns: i64) {
        if !self.seen.is_first(packet.number) {
            self.result.duplicates += 1;
            return;
        }
        self.result.packets += 1;
        if self.delays {
            self.result.delays_ns.push(stamp_ns - packet.sent_ns);
        }
        let first_ns = *self.first_ns.get_or_insert(stamp_ns);
        if self.rate_from_ns.is_some() {
            self.result.rate_bytes += bytes as u64;
            self.result.rate_packets += 1;
            self.rate_to_ns = stamp_ns;
        } else if stamp_ns - first_ns >= self.skip_ns {
            // A rate is bytes per gap, and this datagram has no gap before it.
            (self.rate_from_ns, self.rate_to_ns) = (Some(stamp_ns), stamp_ns);
        }
    }

    fn finish(mut self, sent: u64, socket_drops: u64) -> UdpReceived {
        let rate_ns = self.rate_from_ns.map_or(0, |from| self.rate_to_ns - from);
        self.result.rate_seconds = rate_ns as f64 / 1e9;
        (self.result.sent, self.result.socket_drops) = (sent, socket_drops);
        self.result
    }
}

/// Waits for the receiver, sends, and makes sure that the receiver knows the end.
pub(super) fn send(args: &UdpSend) -> io::Result<Sent> {
    if !(HEAD_BYTES..=PAYLOAD_MAX).contains(&args.payload) {
        let message = format!("a payload of {} bytes, expected {HEAD_BYTES} to {PAYLOAD_MAX}", args.payload);
        return Err(io::Error::other(message));
    }
    let socket = UdpSocket::bind((ANY, 0))?;
    socket.connect(args.to)?;
    ask(&socket, &Packet::new(Kind::Hello, 0, 0), Kind::Ready)?;
    let sent = match args.pace {
        Some(pace) => send_paced(&socket, args, pace)?,
        None => send_all(&socket, args)?,
    };
    ask(&socket, &Packet::new(Kind::End, sent.packets + sent.refused, 0), Kind::Done)?;
    Ok(sent)
}

/// Asks until the answer comes.
pub(super) fn ask(socket: &UdpSocket, question: &Packet, answer: Kind) -> io::Result<()> {
    socket.set_read_timeout(Some(RETRY))?;
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 2048];
    loop {
        // An error is news of an earlier datagram: nobody listens yet, or no longer.
        let refused = |error: &io::Error| error.kind() == ErrorKind::ConnectionRefused;
        let gone = match socket.send(&question.encode()) {
            Err(error) if !is_busy(&error) && !refused(&error) => return Err(error),
            sent => sent.is_err_and(|error| refused(&error)),
        };
        let answered = match socket.recv(&mut buffer) {
            Ok(length) => Packet::decode(&buffer[..length]).is_some_and(|packet| packet.kind == answer),
            Err(error) if refused(&error) => answer == Kind::Done,
            Err(error) if is_busy(&error) => false,
            Err(error) => return Err(error),
        };
        if answered || (gone && answer == Kind::Done) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(timed_out("the receiver does not answer"));
        }
        wait_until(Instant::now() + RETRY / 4);
    }
}

struct Sender<'a> {
    socket: &'a UdpSocket,
    clock: Clock,
    /// One datagram after the other, as many as are handed over at once.
    run: Vec<u8>,
    payload: usize,
    sent: Sent,
}

impl<'a> Sender<'a> {
    fn new(socket: &'a UdpSocket, args: &UdpSend) -> io::Result<Self> {
        if args.segments > 1 {
            socket::set_segment(socket, u16::try_from(args.payload).map_err(io::Error::other)?)?;
        }
        let run = vec![0; args.payload * args.segments as usize];
        Ok(Self { socket, clock: Clock::system(), run, payload: args.payload, sent: Sent::default() })
    }

    fn number(&self) -> u64 {
        self.sent.packets + self.sent.refused
    }

    /// Sends the next run of datagrams, at most `most`.
    fn next(&mut self, most: u64) -> io::Result<()> {
        let (first, stamp) = (self.number(), now(&self.clock));
        let mut count = 0;
        for (number, datagram) in
            (first..first.saturating_add(most)).zip(self.run.chunks_exact_mut(self.payload))
        {
            datagram[..HEAD_BYTES].copy_from_slice(&Packet::new(Kind::Data, number, stamp).encode());
            count += 1;
        }
        match self.socket.send(&self.run[..count as usize * self.payload]) {
            Ok(_) => self.sent.packets += count,
            Err(error) if is_busy(&error) => self.sent.refused += count,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn send_all(socket: &UdpSocket, args: &UdpSend) -> io::Result<Sent> {
    let (mut sender, start, time) = (Sender::new(socket, args)?, Instant::now(), seconds(args.seconds)?);
    while start.elapsed() < time && sender.number() < args.packets {
        for _ in 0..RUN {
            let left = args.packets - sender.number();
            if left == 0 {
                break;
            }
            sender.next(left)?;
        }
    }
    Ok(Sent { seconds: start.elapsed().as_secs_f64(), ..sender.sent })
}

fn send_paced(socket: &UdpSocket, args: &UdpSend, pace: f64) -> io::Result<Sent> {
    let gap = seconds(args.segments as f64 / pace)?;
    let (mut sender, start, time) = (Sender::new(socket, args)?, Instant::now(), seconds(args.seconds)?);
    let mut due = start;
    while due.duration_since(start) < time && sender.number() < args.packets {
        wait_until(due);
        let earliest = Instant::now().checked_sub(CATCH_UP).unwrap_or(due);
        due = due.max(earliest) + gap;
        sender.next(args.packets - sender.number())?;
    }
    Ok(Sent { seconds: start.elapsed().as_secs_f64(), ..sender.sent })
}
