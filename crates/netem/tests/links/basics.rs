//! Delay, losses, rates and broadcasts, and what the emulator says of them.

use crate::bed::{Bed, PATIENCE, PORT, Terms, address, check, receive, socket_address};
use crate::{A, B, C, D};
use link::{Bounds, Limit, LossModel, Queue};
use netem::{DataPath, Lateness, Profile, Snapshot};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use units::Delay;

pub(crate) fn profile(delay: &str, rate: Option<&str>, loss: &str) -> Profile {
    Profile {
        delay: delay.parse().unwrap(),
        rate: rate.map(|rate| rate.parse().unwrap()),
        loss: LossModel::Independent(loss.parse().unwrap()),
        queue: Queue { limit: Limit::Bytes(units::Size::from_bytes(10_000_000)), ..Queue::default() },
        ..Profile::default()
    }
}

fn links() -> Vec<(usize, usize, Profile)> {
    vec![
        (A, B, profile("10ms", None, "0%")),
        (B, A, profile("10ms", None, "0%")),
        (A, C, profile("0ms", None, "5%")),
        (B, C, profile("1ms", Some("20mbit"), "0%")),
        (D, A, profile("5ms", Some("50mbit"), "0%")),
        (A, D, profile("5ms", None, "0%")),
        (D, B, profile("1ms", Some("200mbit"), "2%")),
        (B, D, profile("1ms", None, "0%")),
        (D, C, profile("1ms", Some("100mbit"), "10%")),
    ]
}

/// A round trip takes two delays at least, by our clock and by ping's.
fn no_round_trip_is_early(bed: &Bed) {
    let (near, far) = (bed.udp(A), bed.udp(B));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 64];
            for _ in 0..40 {
                let (length, from) = receive(&far, &mut buffer).unwrap();
                far.send_to(&buffer[..length], from).unwrap();
            }
        });
        for round in 0..40_u32 {
            let sent = Instant::now();
            near.send_to(&round.to_be_bytes(), socket_address(B)).unwrap();
            let mut buffer = [0; 64];
            let length = receive(&near, &mut buffer).unwrap().0;
            assert!(sent.elapsed() >= Duration::from_millis(20), "early: {:?}", sent.elapsed());
            assert_eq!(buffer[..length], round.to_be_bytes());
        }
    });
    let output = bed.inside(A, || {
        Command::new("ping")
            .args(["-n", "-c", "3", "-i", "0.01", "-w", "5"])
            .arg(address(B).to_string())
            .output()
    });
    let Ok(output) = output else { return eprintln!("skipped: no ping on this machine") };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let fastest = text.rsplit_once("= ").and_then(|(_, times)| times.split('/').next()?.parse::<f64>().ok());
    assert!(fastest.is_some_and(|fastest| fastest >= 20.0), "{text}");
}

/// The asked share of datagrams is lost, and all others arrive.
fn losses_are_as_asked(bed: &Bed) {
    const PACKETS: u64 = 20_000;
    let (sender, receiver) = (bed.udp(A), bed.udp(C));
    receiver.set_nonblocking(true).unwrap();
    let before = bed.settled(A, C, 0);
    let mut arrived = 0_u64;
    for batch in 0..PACKETS / 100 {
        for _ in 0..100 {
            sender.send_to(&[1; 100], socket_address(C)).unwrap();
        }
        bed.settled(A, C, before.entered.packets + (batch + 1) * 100);
        while receiver.recv(&mut [0; 128]).is_ok() {
            arrived += 1;
        }
    }
    let after = bed.settled(A, C, 0);
    // IPv6 housekeeping may have come in between.
    let strangers = after.entered.packets - before.entered.packets - PACKETS;
    assert!(strangers < 20, "{strangers} packets of others");
    let share = 0.05;
    let sigma = (PACKETS as f64 * share * (1.0 - share)).sqrt();
    let error = ((PACKETS - arrived) as f64 - PACKETS as f64 * share) / sigma;
    eprintln!("loss: {} of {PACKETS}, {error:.2} sigma off", PACKETS - arrived);
    assert!(error.abs() < 4.0);
    let delivered = after.delivered.packets - before.delivered.packets;
    assert!((arrived..=arrived + strangers).contains(&delivered), "{arrived} arrived, {delivered} delivered");
}

/// Tries a measurement of rate up to four times: on a busy machine the first or last packet may be read late.
pub(crate) fn within_three_percent(what: &str, asked: f64, measure: impl Fn() -> f64) {
    let mut seen = Vec::new();
    for _ in 0..4 {
        let measured = measure();
        seen.push(measured);
        if (measured / asked - 1.0).abs() < 0.03 {
            eprintln!("{what}: {seen:.2?} Mbit/s of {asked:.2}");
            return;
        }
    }
    panic!("{what}: {seen:.2?} Mbit/s of {asked:.2}");
}

/// Payload of `packets` datagrams of 1,000 bytes from one socket to another, Mbit/s.
pub(crate) fn datagram_rate(packets: usize, sender: &UdpSocket, receiver: &UdpSocket, to: usize) -> f64 {
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..packets {
                sender.send_to(&[2; 1000], socket_address(to)).unwrap();
            }
        });
        let mut buffer = [0; 1500];
        receive(receiver, &mut buffer).unwrap();
        let first = Instant::now();
        for _ in 1..packets {
            assert_eq!(receive(receiver, &mut buffer).unwrap().0, 1000);
        }
        (packets - 1) as f64 * 8000.0 / first.elapsed().as_secs_f64() / 1e6
    })
}

fn datagrams_keep_the_rate(bed: &Bed) {
    let (sender, receiver) = (bed.udp(B), bed.udp(C));
    let measure = || datagram_rate(1200, &sender, &receiver, C);
    within_three_percent("UDP", 20.0 * 1000.0 / 1042.0, measure);
}

fn streams_keep_the_rate(bed: &Bed) {
    // Of 1,514 bytes on the wire 1,448 are payload. The start of the transfer, where TCP finds its pace, is
    // left out.
    const SKIPPED: usize = 2_000_000;
    const TOTAL: usize = 5_000_000;
    within_three_percent("TCP", 50.0 * 1448.0 / 1514.0, || {
        let (mut sender, mut receiver) = bed.stream(D, A);
        thread::scope(|scope| {
            scope.spawn(move || sender.write_all(&vec![3; TOTAL]).unwrap());
            let mut buffer = vec![0; 65_536];
            let mut received = 0;
            let mut mark = None;
            while received < TOTAL {
                let length = receiver.read(&mut buffer).unwrap();
                assert!(length > 0, "closed early");
                received += length;
                if received >= SKIPPED {
                    mark.get_or_insert((Instant::now(), received));
                }
            }
            let (since, from) = mark.unwrap();
            (received - from) as f64 * 8.0 / since.elapsed().as_secs_f64() / 1e6
        })
    });
}

/// Bytes that tell where they belong.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// What a TCP connection puts together again is what was sent, though some of it was lost and super-packets were cut there.
pub(crate) fn survives_losses(bed: &Bed, (from, to): (usize, usize), ends: (TcpStream, TcpStream)) {
    let sent = pattern(3_000_000);
    let (mut sender, mut receiver) = ends;
    let mut received = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            sender.write_all(&sent).unwrap();
            sender.shutdown(std::net::Shutdown::Write).unwrap();
        });
        receiver.read_to_end(&mut received).unwrap();
    });
    assert!(received == sent, "{} bytes of {}", received.len(), sent.len());
    let link = bed.settled(from, to, 2000);
    assert!(link.lost.packets > 10, "{link:?}");
    for protocol in ["Tcp:", "Udp:"] {
        assert_eq!(counter(bed, to, "snmp", protocol, "InCsumErrors"), 0, "{protocol}");
    }
}

/// A counter of a host's network stack: of a file of `/proc/net`, by the beginning of its lines and its name.
pub(crate) fn counter(bed: &Bed, host: usize, file: &str, protocol: &str, name: &str) -> u64 {
    let path = format!("/proc/thread-self/net/{file}");
    let text = bed.inside(host, || std::fs::read_to_string(path).unwrap());
    let mut lines = text.lines().filter(|line| line.starts_with(protocol));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let column = names.split(' ').position(|column| column == name).expect("a counter");
    values.split(' ').nth(column).unwrap().parse().unwrap()
}

/// Has the kernel cut what a socket sends into datagrams of so many bytes, as late as it can.
pub(crate) fn cut_into(sender: &UdpSocket, bytes: i32) -> std::io::Result<()> {
    // SAFETY: the option's value is one int, which outlives the call.
    check(unsafe {
        let value = (&raw const bytes).cast();
        libc::setsockopt(sender.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, size_of::<i32>() as u32)
    })
}

/// Datagrams sent as one super-packet are lost one by one, and the others arrive whole.
fn segmented_datagrams_survive_losses(bed: &Bed) {
    let (sender, receiver) = (bed.udp(D), bed.udp(C));
    receiver.set_nonblocking(true).unwrap();
    if let Err(error) = cut_into(&sender, 700) {
        return eprintln!("skipped: no segmentation of datagrams on this kernel ({error})");
    }
    let sent = pattern(700 * 40);
    let chunks: Vec<&[u8]> = sent.chunks(700).collect();
    let before = bed.settled(D, C, 0);
    let mut arrived = 0;
    for round in 1..=20_u64 {
        sender.send_to(&sent, socket_address(C)).unwrap();
        bed.settled(D, C, before.entered.packets + round * 40);
        let mut buffer = [0; 1500];
        while let Ok(length) = receiver.recv(&mut buffer) {
            assert!(chunks.contains(&&buffer[..length]), "a datagram that was not sent");
            arrived += 1;
        }
    }
    assert!((620..790).contains(&arrived), "{arrived} of 800 at 10 % loss");
}

fn broadcasts_reach_all(bed: &Bed) {
    let sockets: Vec<UdpSocket> = [A, B, C].into_iter().map(|host| bed.udp(host)).collect();
    let sender = bed.udp(D);
    sender.set_broadcast(true).unwrap();
    let group = Ipv4Addr::new(239, 1, 2, 3);
    for (host, socket) in [A, B].into_iter().zip(&sockets) {
        socket.join_multicast_v4(&group, &address(host)).unwrap();
    }
    let mut buffer = [0; 16];
    for (target, listeners) in [(Ipv4Addr::new(10, 77, 255, 255), 2), (group, 2)] {
        sender.send_to(b"all", (target, PORT)).unwrap();
        for socket in &sockets[..listeners] {
            assert_eq!(receive(socket, &mut buffer).unwrap(), (3, socket_address(D)), "sent to {target}");
        }
    }
    // Nobody has this address; TCP would wait in vain, the emulator counts it.
    let unknown = bed.emulator.snapshot().unknown.packets;
    sender.send_to(b"?", (Ipv4Addr::new(10, 77, 9, 9), PORT)).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while bed.emulator.snapshot().unknown.packets == unknown {
        assert!(Instant::now() < deadline, "a packet to nobody was not counted");
        thread::yield_now();
    }
}

fn the_snapshot_tells_it_all(bed: Bed, started: &Snapshot) {
    let links = bed.emulator.snapshot().links;
    let snapshot = bed.emulator.stop();
    assert_eq!(snapshot.links.len(), links.len());
    for link in &snapshot.links {
        assert_eq!(link.entered, link.accounted(), "{link:?}");
        assert!(link.late_max_ns <= snapshot.lateness.max_ns, "{link:?}");
    }
    for device in &snapshot.devices {
        let drops = [device.transmit_dropped, device.receive_dropped, device.refused];
        assert_eq!((drops, &device.failure), ([0; 3], &None), "{device:?}");
        assert_eq!(device.congestion, "reno");
    }
    assert!(snapshot.offload.starts_with("csum+tso"), "{}", snapshot.offload);
    assert!(snapshot.frames < snapshot.packets.packets, "super-packets are read whole");
    let change = snapshot.since(started);
    assert!(change.lateness.count > 1000 && change.lateness.p50_ns <= change.lateness.max_ns);
    assert_eq!(change.lateness.count, change.by_delay.iter().map(|group| group.lateness.count).sum::<u64>());
    let delivered: u64 = change.links.iter().map(|link| link.delivered.packets).sum();
    assert_eq!(change.lateness.count, delivered, "every packet of a link has its lateness");
    assert_eq!(change.read_wait.count, change.packets.packets, "every packet has its wait");
    assert_eq!((snapshot.workers.len(), snapshot.workers[0].links), (1, links.len()));
    // What the machine can't keep is said with its bound; nothing can be on time by a nanosecond.
    let strict = Bounds { late: Some(Delay::from_nanos(1)), ..Bounds::default() };
    let violations = change.violations(&strict);
    assert!(violations[0].starts_with("packets of links of 0 ms left late: p99 "), "{violations:?}");
    let text = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    let Snapshot { offload, timer, scheduling, lateness, read_wait, .. } = &snapshot;
    let micros = |of: &Lateness| [of.p50_ns, of.p99_ns, of.max_ns].map(|nanos| nanos / 1000);
    let (late, wait) = (micros(lateness), micros(read_wait));
    eprintln!(
        "{offload}, {timer}, {scheduling}; late by {late:?} us, read within {wait:?} us; {:.2} s of CPU",
        snapshot.cpu_s
    );
}

/// All of that, on one bed.
pub(crate) fn judge(path: DataPath, tun: &Path) {
    let links = links().into_iter().map(Into::into).collect();
    let terms = Terms { path, ..Terms::default() };
    let bed = Bed::with(tun, &["a", "b", "c", "d"].map(str::to_owned), links, terms);
    let started = bed.emulator.snapshot();
    no_round_trip_is_early(&bed);
    losses_are_as_asked(&bed);
    datagrams_keep_the_rate(&bed);
    streams_keep_the_rate(&bed);
    survives_losses(&bed, (D, B), bed.stream(D, B));
    segmented_datagrams_survive_losses(&bed);
    broadcasts_reach_all(&bed);
    the_snapshot_tells_it_all(bed, &started);
}
