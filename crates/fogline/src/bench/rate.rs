//! How far rates are off, for TCP and UDP, without and with delay.

use super::bed::{Bed, Way, plan};
use super::row::{Bound, Comparison, Row};
use super::{Bench, Stop};
use crate::traffic::{Sent, TcpReceived, UdpReceived};
use fogline_plan::Profile;
use link::{Limit, Queue};
use std::time::Duration;
use units::{Delay, Rate, Size};

const PORT: u16 = 5005;
const RATES: [u64; 3] = [10_000_000, 150_000_000, 1_000_000_000];
const DELAYS: [Delay; 2] = [Delay::ZERO, Delay::from_millis(5)];
/// A full Ethernet frame without its checksum, as rates count it, and the payload that TCP with time stamps, as Linux
/// uses them, has in it.
const FRAME_BYTES: f64 = 1514.0;
const SEGMENT_BYTES: f64 = 1448.0;
const DATAGRAM_BYTES: f64 = 1400.0;
/// Ethernet, IPv4 and UDP headers.
const HEADER_BYTES: f64 = 14.0 + 20.0 + 8.0;
/// UDP offers this much of the rate.
const OFFERED: f64 = 1.2;
/// Datagrams that are handed to the kernel at once are worth this much of the link's time, seconds.
const RUN_S: f64 = 0.25e-3;
/// Error allowed, percent.
const ERROR_MAX: f64 = 1.0;

struct Case {
    rate: u64,
    delay: Delay,
    tcp: bool,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>, Stop> {
    let protocols = [true, false];
    let cases: Vec<Case> = RATES
        .iter()
        .flat_map(|rate| DELAYS.map(|delay| (*rate, delay)))
        .flat_map(|(rate, delay)| protocols.map(|tcp| Case { rate, delay, tcp }))
        .collect();
    // A pair of hosts for each case, so that what one leaves in its queue disturbs no other.
    let links: Vec<_> = cases.iter().enumerate().flat_map(|(index, case)| links(index, case)).collect();
    let bed = Bed::deploy(bench, &plan(cases.len() * 2, &links), Way::Emulator)?;
    let mut rows = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        rows.push(case.measure(bench, &bed, index)?);
    }
    bed.release()?;
    Ok(rows)
}

/// There with the rate, back without. TCP gets a queue that holds its largest window, so that losses do not decide what
/// it carries; for UDP, which offers more than the rate, a short one that overflows.
fn links(index: usize, case: &Case) -> [(usize, usize, Profile); 2] {
    let room = if case.tcp { 96 << 20 } else { 1000 * 1514 };
    let there = Profile {
        delay: case.delay,
        rate: Rate::from_bits_per_s(case.rate),
        queue: Queue { limit: Limit::Bytes(Size::from_bytes(room)), ..Queue::default() },
        ..Profile::default()
    };
    let back = Profile { delay: case.delay, ..Profile::default() };
    [(2 * index, 2 * index + 1, there), (2 * index + 1, 2 * index, back)]
}

impl Case {
    fn measure(&self, bench: &Bench, bed: &Bed, index: usize) -> Result<Row, Stop> {
        let (rounds, skip, time) = bench.choose((3, 1.0, 3.0), (1, 0.2, 0.3));
        let protocol = if self.tcp { "TCP" } else { "UDP" };
        let rate = Rate::from_bits_per_s(self.rate).map(|rate| rate.to_string()).unwrap_or_default();
        let delay = if self.delay == Delay::ZERO { "no".to_owned() } else { self.delay.to_string() };
        bench.say(format_args!("{protocol} at {rate}, {delay} delay, {rounds} rounds"));
        let share = if self.tcp {
            SEGMENT_BYTES / FRAME_BYTES
        } else {
            DATAGRAM_BYTES / (DATAGRAM_BYTES + HEADER_BYTES)
        };
        let before = bed.network()?;
        let (mut measured, mut offered) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            if self.tcp {
                measured.push(tcp(bed, index, skip, time)? / 1e6);
            } else {
                let (received, sent) = self.udp(bed, index, skip, time)?;
                measured.push(received / 1e6);
                offered.push(sent / 1e6);
            }
        }
        // What TCP still has under way shall not take time from the next case.
        bed.wait(Duration::from_millis(bench.choose(500, 50)))?;
        let change = bed.network()?.since(&before);
        let row = Row::new(
            format!("rate-{}-{rate}-{}", protocol.to_lowercase(), self.delay),
            format!("{protocol} at {rate}, {delay} delay: payload"),
            "Mbit/s",
            measured,
        );
        Ok(row
            .against_theory(self.rate as f64 * share / 1e6, Comparison::Error, f64::NAN)
            .bound(Bound::Within(ERROR_MAX), bench.quick)
            .detail("offered_mbit_per_s", offered)
            .detail("queue_dropped", change.links[2 * index].queue_dropped.packets)
            .detail("lateness_p99_ns", change.lateness.p99_ns))
    }

    /// Payload received and offered, bits per second.
    fn udp(&self, bed: &Bed, index: usize, skip: f64, time: f64) -> Result<(f64, f64), Stop> {
        let receiver = bed.start(2 * index + 1, &format!("udp-receive --port {PORT} --skip {skip}"))?;
        let pace = self.rate as f64 * OFFERED / 8.0 / (DATAGRAM_BYTES + HEADER_BYTES);
        let segments = (pace * RUN_S).max(1.0) as u64;
        let (to, time) = (bed.address(2 * index + 1), skip + time);
        let send = format!(
            "udp-send --to {to}:{PORT} --payload {DATAGRAM_BYTES} --segments {segments} --pace {pace} --seconds {time}"
        );
        let sent: Sent = bed.start(2 * index, &send)?.finish()?;
        let received: UdpReceived = receiver.finish()?;
        let offered = sent.packets as f64 * DATAGRAM_BYTES * 8.0 / sent.seconds;
        Ok((received.rate_bytes as f64 * 8.0 / received.rate_seconds, offered))
    }
}

fn tcp(bed: &Bed, index: usize, skip: f64, time: f64) -> Result<f64, Stop> {
    let receive = format!("tcp-receive --port {PORT} --skip {skip} --seconds {time}");
    let receiver = bed.start(2 * index + 1, &receive)?;
    let sender = bed.start(2 * index, &format!("tcp-send --to {}:{PORT}", bed.address(2 * index + 1)))?;
    let received: TcpReceived = receiver.finish()?;
    let _: Sent = sender.finish()?;
    Ok(received.bytes as f64 * 8.0 / received.seconds)
}
