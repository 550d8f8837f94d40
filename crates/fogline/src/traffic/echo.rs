//! Round trips, one at a time.

use super::packet::{HEAD_BYTES, Kind, Packet};
use super::udp::ask;
use super::{ANY, Echo, Sent, Trips, UdpAnswer, is_busy, seconds, wait_until};
use crate::sys;
use fogline_journal::Clock;
use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Longest wait for one answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Receive buffer asked for, in bytes.
const BUFFER_BYTES: i32 = 1 << 20;
/// ICMP types (RFC 792).
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Bytes of an ICMP echo's header, and of one with the 56 bytes of payload that ping sends.
const ICMP_HEAD_BYTES: usize = 8;
const ICMP_BYTES: usize = 64;

/// ICMP echoes: the other host's kernel answers, so no process there needs to wake up.
pub(super) fn icmp(args: &Echo) -> io::Result<Trips> {
    let socket = sys::ping_socket()?;
    socket.connect(args.to)?;
    let request = |number: u16| {
        let mut bytes = [0; ICMP_BYTES];
        bytes[0] = ECHO_REQUEST;
        // The kernel fills in the checksum and its own identifier.
        bytes[6..ICMP_HEAD_BYTES].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    let is_answer = |number: u16, bytes: &[u8]| {
        bytes.len() >= ICMP_HEAD_BYTES && bytes[0] == ECHO_REPLY && bytes[6..8] == number.to_be_bytes()
    };
    trips(&socket, args, request, is_answer)
}

/// Datagrams to [`answer`].
pub(super) fn udp(args: &Echo) -> io::Result<Trips> {
    let socket = UdpSocket::bind((ANY, 0))?;
    socket.connect(args.to)?;
    ask(&socket, &Packet::new(Kind::Hello, 0, 0), Kind::Ready)?;
    let request = |number: u16| Packet::new(Kind::Ask, number.into(), 0).encode();
    let is_answer = |number: u16, bytes: &[u8]| {
        let packet = Packet::decode(bytes).filter(|packet| packet.kind == Kind::Ask);
        packet.is_some_and(|packet| packet.number == u64::from(number))
    };
    let trips = trips(&socket, args, request, is_answer)?;
    ask(&socket, &Packet::new(Kind::End, 0, 0), Kind::Done)?;
    Ok(trips)
}

fn trips<const N: usize>(
    socket: &UdpSocket,
    args: &Echo,
    request: impl Fn(u16) -> [u8; N],
    is_answer: impl Fn(u16, &[u8]) -> bool,
) -> io::Result<Trips> {
    sys::prepare_receiver(socket, BUFFER_BYTES)?;
    socket.set_read_timeout(Some(ANSWER_WAIT))?;
    let (clock, interval) = (Clock::system(), Duration::from_micros(args.interval_us));
    let now = || i64::try_from(clock.unix_ns()).unwrap_or(i64::MAX);
    let mut trips = Trips::default();
    let mut due = Instant::now();
    for number in 0..args.count {
        let number = number as u16;
        wait_until(due);
        due = (due + interval).max(Instant::now());
        let bytes = request(number);
        let sent_ns = now();
        socket.send(&bytes)?;
        match answer_stamp(socket, |bytes| is_answer(number, bytes))? {
            Some(stamp_ns) => trips.nanos.push(stamp_ns.unwrap_or_else(now) - sent_ns),
            None => trips.unanswered += 1,
        }
    }
    Ok(trips)
}

/// Waits for the answer; the kernel's stamp of it, where it has one, or `None` when none came.
fn answer_stamp(socket: &UdpSocket, is_answer: impl Fn(&[u8]) -> bool) -> io::Result<Option<Option<i64>>> {
    let (mut buffer, deadline) = ([0; 2048], Instant::now() + ANSWER_WAIT);
    loop {
        match sys::receive(socket, &mut buffer) {
            Ok(got) if is_answer(&buffer[..got.bytes.min(buffer.len())]) => return Ok(Some(got.stamp_ns)),
            // An answer that was given up, or a stranger.
            Ok(_) if Instant::now() < deadline => {}
            Ok(_) => return Ok(None),
            Err(error) if is_busy(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Sends every question back until the asking side is done.
pub(super) fn answer(args: &UdpAnswer) -> io::Result<Sent> {
    let socket = UdpSocket::bind((ANY, args.port))?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (start, patience) = (Instant::now(), seconds(args.patience)?);
    let (mut buffer, mut sent, mut peer) = ([0; 2048], Sent::default(), None);
    while start.elapsed() < patience {
        let (length, source) = match socket.recv_from(&mut buffer) {
            Ok(got) => got,
            Err(error) if is_busy(&error) => continue,
            Err(error) => return Err(error),
        };
        let kind = Packet::decode(&buffer[..length]).map(|packet| packet.kind);
        if kind == Some(Kind::Hello) {
            peer.get_or_insert(source);
        }
        if peer != Some(source) {
            continue;
        }
        match kind {
            Some(Kind::Ask) => {
                socket.send_to(&buffer[..length.min(HEAD_BYTES)], source)?;
                sent.packets += 1;
            }
            Some(Kind::Hello) => drop(socket.send_to(&Packet::new(Kind::Ready, 0, 0).encode(), source)),
            Some(Kind::End) => {
                let _ = socket.send_to(&Packet::new(Kind::Done, 0, 0).encode(), source);
                break;
            }
            _ => {}
        }
    }
    sent.seconds = start.elapsed().as_secs_f64();
    Ok(sent)
}
