//! What the emulator can carry on this machine, how late it is and what it costs. Needs root and
//! `/dev/net/tun`: `cargo bench -p netem`. Figures of a busy machine say more about the machine.
#![allow(unsafe_code, reason = "the test bed enters namespaces by system calls")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "prints its figures")]

#[path = "../tests/links/bed.rs"]
mod bed;

use bed::{Bed, receive, socket_address};
use link::{Limit, LossModel, Queue};
use netem::{Profile, Snapshot};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(3);

fn bed(hosts: usize, links: Vec<(usize, usize, Profile)>) -> Bed {
    let names: Vec<String> = (0..hosts).map(|host| format!("host-{host}")).collect();
    Bed::new(Path::new("/dev/net/tun"), &names, links)
}

fn profile(delay: &str, rate: &str) -> Profile {
    let queue = Queue { limit: Limit::Bytes(units::Size::from_bytes(3_000_000)), ..Queue::default() };
    Profile { delay: delay.parse().unwrap(), rate: Some(rate.parse().unwrap()), queue, ..Profile::default() }
}

/// Payload of bulk TCP over all flows, Mbit/s, and what the emulator did: both in the second half of the span,
/// when TCP has found its pace.
fn bulk(bed: &Bed, flows: &[(usize, usize)], span: Duration) -> (f64, Snapshot) {
    let done = AtomicBool::new(false);
    let received = AtomicU64::new(0);
    thread::scope(|scope| {
        for &(from, to) in flows {
            let (mut sender, mut receiver) = bed.stream(from, to);
            let (done, received) = (&done, &received);
            scope.spawn(move || {
                let block = vec![1; 256 * 1024];
                while !done.load(Ordering::Relaxed) && sender.write_all(&block).is_ok() {}
            });
            scope.spawn(move || {
                let mut buffer = vec![0; 256 * 1024];
                while let Ok(length @ 1..) = receiver.read(&mut buffer) {
                    received.fetch_add(length as u64, Ordering::Relaxed);
                }
            });
        }
        wait(span / 2);
        let (start, from) = (bed.emulator.snapshot(), received.load(Ordering::Relaxed));
        wait(span / 2);
        let change = bed.emulator.snapshot().since(&start);
        let rate = (received.load(Ordering::Relaxed) - from) as f64 * 8e-6 / change.elapsed_s;
        done.store(true, Ordering::Relaxed);
        (rate, change)
    })
}

fn wait(span: Duration) {
    let end = Instant::now() + span;
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        thread::park_timeout(rest);
    }
}

fn cpu_percent(change: &Snapshot) -> f64 {
    change.cpu_s / change.elapsed_s * 100.0
}

fn unshaped() {
    let bed = bed(3, Vec::new());
    let (rate, change) = bulk(&bed, &[(0, 1)], SPAN);
    println!(
        "unshaped, bulk TCP, 1 flow: {:.2} Gbit/s, emulator {:.0} % of a core",
        rate / 1e3,
        cpu_percent(&change)
    );
    let (near, far) = (bed.udp(0), bed.udp(2));
    let mut trips = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 64];
            while let Ok((1.., from)) = receive(&far, &mut buffer) {
                far.send_to(&buffer[..8], from).unwrap();
            }
        });
        for _ in 0..5000 {
            let sent = Instant::now();
            near.send_to(&[1; 8], socket_address(2)).unwrap();
            receive(&near, &mut [0; 64]).unwrap();
            trips.push(sent.elapsed());
        }
        near.send_to(&[], socket_address(2)).unwrap();
    });
    trips.sort_unstable();
    println!("unshaped, UDP round trip: p50 {:?}, p99 {:?}", trips[2500], trips[4950]);
}

/// The rate of a link that bulk TCP keeps busy, in bytes on the wire.
fn rates() {
    for (rate, delay) in [("10mbit", "20ms"), ("150mbit", "0ms"), ("150mbit", "50ms"), ("1gbit", "5ms")] {
        let link = profile(delay, rate);
        let bed = bed(2, vec![(0, 1, link), (1, 0, profile(delay, "10gbit"))]);
        let (payload, change) = bulk(&bed, &[(0, 1)], SPAN * 2);
        let asked = link.rate.unwrap().bits_per_s() as f64 / 1e6;
        let wire = change.links[0].delivered.bytes as f64 * 8e-6 / change.elapsed_s;
        let error = (wire / asked - 1.0) * 100.0;
        let cpu = cpu_percent(&change);
        println!(
            "{rate} {delay}, bulk TCP: {wire:.2} Mbit/s on the wire ({error:+.2} %), {payload:.2} of payload, \
             emulator {cpu:.0} %"
        );
    }
}

/// Datagrams lost of 200,000.
fn losses() {
    const PACKETS: u64 = 200_000;
    for (percent, share) in [("0.1%", 0.001), ("2%", 0.02), ("5%", 0.05)] {
        let bed = bed(
            2,
            vec![(
                0,
                1,
                Profile { loss: LossModel::Independent(percent.parse().unwrap()), ..Profile::default() },
            )],
        );
        let (sender, receiver) = (bed.udp(0), bed.udp(1));
        receiver.set_nonblocking(true).unwrap();
        let before = bed.settled(0, 1, 0).entered.packets;
        let mut arrived = 0;
        for batch in 1..=PACKETS / 200 {
            for _ in 0..200 {
                sender.send_to(&[1; 100], socket_address(1)).unwrap();
            }
            bed.settled(0, 1, before + batch * 200);
            while receiver.recv(&mut [0; 128]).is_ok() {
                arrived += 1;
            }
        }
        let lost = PACKETS - arrived;
        let sigma = (PACKETS as f64 * share * (1.0 - share)).sqrt();
        let error = (lost as f64 - PACKETS as f64 * share) / sigma;
        println!("{percent} loss: {lost} of {PACKETS} lost, {error:+.2} standard errors");
    }
}

/// Fourteen hosts, a star of 150 mbit/s and 5 ms: two flows that fill 300 Mbit/s.
fn star() {
    let links =
        (1..14).flat_map(|edge| [(edge, 0, profile("5ms", "150mbit")), (0, edge, profile("5ms", "150mbit"))]);
    let bed = bed(14, links.collect());
    let (rate, change) = bulk(&bed, &[(1, 0), (0, 2)], SPAN);
    println!(
        "14 hosts, two flows of 150 mbit: {rate:.1} Mbit/s, emulator {:.0} % of a core",
        cpu_percent(&change)
    );
}

/// Fourteen hosts at 50 ms, 3,000 datagrams a second: how late they leave.
fn lateness() {
    let link = Profile { delay: "50ms".parse().unwrap(), ..Profile::default() };
    let links = (0..14_usize).map(|host| (host, (host + 1) % 14, link)).collect();
    let bed = bed(14, links);
    let sockets: Vec<_> = (0..14).map(|host| bed.udp(host)).collect();
    let before = bed.emulator.snapshot();
    let start = Instant::now();
    let mut sent = 0_u64;
    while start.elapsed() < SPAN {
        if u128::from(sent) * 1_000_000 / 3 > start.elapsed().as_nanos() {
            thread::park_timeout(Duration::from_micros(200));
            continue;
        }
        let host = sent as usize % 14;
        sockets[host].send_to(&[1; 200], socket_address((host + 1) % 14)).unwrap();
        sent += 1;
    }
    let change = bed.emulator.snapshot().since(&before);
    let late = &change.lateness;
    let [p50, p99, max] = [late.p50_ns, late.p99_ns, late.max_ns].map(|nanos| nanos as f64 / 1e3);
    println!(
        "14 hosts, 50 ms, 3,000 packets/s: late by p50 {p50:.0} us, p99 {p99:.0} us, max {max:.0} us; {}",
        change.scheduling
    );
}

fn scale() {
    let start = Instant::now();
    let bed = bed(200, Vec::new());
    let up = start.elapsed();
    let start = Instant::now();
    drop(bed);
    println!("200 hosts: up in {up:.2?} (one after the other), down in {:.2?}", start.elapsed());
}

fn main() {
    unshaped();
    rates();
    losses();
    star();
    lateness();
    scale();
}
