//! Links that share a bottleneck, queues that mark, and workers that share the links.

use crate::basics::{counter, profile};
use crate::bed::{Bed, Terms, receive, socket_address};
use crate::{A, B, C, D};
use link::{Discipline, LossModel, Queue};
use netem::{DataPath, LinkSpec, Profile};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use units::Delay;

/// What an idle link may send at once.
const BURST: Duration = Duration::from_millis(2);

/// Two senders of one bottleneck together get its rate, whichever worker reads them.
fn a_shared_bottleneck_has_one_rate(path: DataPath, tun: &Path) {
    const PACKETS: usize = 1500;
    let shared = |source, destination| LinkSpec {
        bottleneck: Some(3),
        ..LinkSpec::from((source, destination, profile("1ms", Some("20mbit"), "0%")))
    };
    let names = ["a", "b", "c", "d"].map(str::to_owned);
    let links = vec![shared(A, C), shared(B, C), shared(A, D)];
    let bed = Bed::with(tun, &names, links, Terms { workers: 2, ipv6: false, path });
    let senders = [bed.udp(A), bed.udp(B)];
    let receiver = bed.udp(C);
    let before = bed.emulator.snapshot();
    let begun = Instant::now();
    thread::scope(|scope| {
        for sender in &senders {
            scope.spawn(|| {
                (0..PACKETS).for_each(|_| {
                    sender.send_to(&[2; 1000], socket_address(C)).unwrap();
                })
            });
        }
        for _ in 0..2 * PACKETS {
            receive(&receiver, &mut [0; 1500]).unwrap();
        }
        // Alone each would have had all of the rate, and both would have been through in half the time.
        let work = Duration::from_nanos((2 * PACKETS * 8336 * 50) as u64);
        let took = begun.elapsed();
        assert!(took >= work - BURST, "{took:?}, {work:?} expected");
        eprintln!("shared bottleneck: {took:.2?} for {work:.2?} of work");
    });
    let change = bed.emulator.stop().since(&before);
    let delivered: Vec<u64> = change.links.iter().map(|link| link.delivered.packets).collect();
    assert_eq!(delivered, [PACKETS as u64, PACKETS as u64, 0]);
    assert_eq!(
        change.workers.iter().map(|worker| worker.links).collect::<Vec<_>>(),
        [3, 0],
        "one worker keeps all"
    );
}

/// `CoDel` marks the packets of a TCP that speaks ECN, and its receiver sees the marks.
fn marks_reach_tcp(path: DataPath, tun: &Path) {
    let codel = Discipline::Codel { target: Delay::from_millis(2), interval: Delay::from_millis(20) };
    let narrow = profile("1ms", Some("20mbit"), "0%");
    let narrow = Profile { ecn: true, queue: Queue { discipline: codel, ..narrow.queue }, ..narrow };
    let links = vec![(A, B, narrow).into(), (B, A, profile("1ms", None, "0%")).into()];
    let names = ["a", "b"].map(str::to_owned);
    let bed = Bed::with(tun, &names, links, Terms { workers: 1, ipv6: false, path });
    for host in [A, B] {
        let set = bed.inside(host, || std::fs::write("/proc/sys/net/ipv4/tcp_ecn", "1"));
        if let Err(error) = set {
            return eprintln!("skipped: TCP can't be told to use ECN here ({error})");
        }
    }
    let (mut sender, mut receiver) = bed.stream(A, B);
    thread::scope(|scope| {
        scope.spawn(|| {
            sender.write_all(&vec![7; 4_000_000]).unwrap();
            sender.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        receiver.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), 4_000_000);
    });
    let link = bed.settled(A, B, 1);
    let seen = counter(&bed, B, "netstat", "IpExt:", "InCEPkts");
    assert!(link.marked.packets > 0, "{link:?}");
    // A marked super-packet counts once where it arrives.
    assert!((1..=link.marked.packets).contains(&seen), "{seen} seen: {link:?}");
    // TCP does not offer packets that it sends again for marking; these may be dropped.
    assert!(link.codel_dropped.packets <= link.marked.packets / 2, "marked instead: {link:?}");
}

/// The same datagrams meet the same fates on one worker and on several.
fn fates_do_not_depend_on_workers(path: DataPath, tun: &Path) {
    const PACKETS: u32 = 600;
    let rough = |loss: LossModel| Profile {
        loss,
        duplicate: "5%".parse().unwrap(),
        corrupt: "5%".parse().unwrap(),
        ..profile("1ms", None, "0%")
    };
    let burst = LossModel::GilbertElliott {
        to_bad: "3%".parse().unwrap(),
        to_good: "20%".parse().unwrap(),
        bad: "90%".parse().unwrap(),
        good: "1%".parse().unwrap(),
    };
    let run = |workers: usize| {
        let links = vec![
            (A, B, rough(LossModel::Independent("10%".parse().unwrap()))).into(),
            (A, C, rough(burst)).into(),
            (C, B, rough(burst)).into(),
        ];
        let names = ["a", "b", "c"].map(str::to_owned);
        let bed = Bed::with(tun, &names, links, Terms { workers, ipv6: false, path });
        let sockets = [A, B, C].map(|host| bed.udp(host));
        sockets.iter().for_each(|socket| socket.set_nonblocking(true).unwrap());
        let mut arrived = vec![Vec::new(); 3];
        for number in 0..PACKETS {
            for (from, to) in [(A, B), (A, C), (C, B)] {
                sockets[from]
                    .send_to(&[number, from as u32].map(u32::to_be_bytes).concat(), socket_address(to))
                    .unwrap();
            }
            if number % 50 == 49 {
                for (from, to) in [(A, B), (A, C), (C, B)] {
                    bed.settled(from, to, u64::from(number) + 1);
                }
                for (host, socket) in sockets.iter().enumerate() {
                    let mut buffer = [0; 8];
                    while socket.recv(&mut buffer).is_ok() {
                        arrived[host].push(buffer);
                    }
                    // Two senders' packets meet in any order.
                    arrived[host].sort_unstable();
                }
            }
        }
        let snapshot = bed.emulator.stop();
        assert_eq!(snapshot.workers.len(), workers);
        let links: Vec<_> = snapshot
            .links
            .iter()
            .map(|link| netem::LinkSnapshot { late_max_ns: 0, ..link.clone() })
            .collect();
        (arrived, links)
    };
    let alone = run(1);
    assert!(alone.0[B].len() > 300 && alone.0[B].len() < 2 * PACKETS as usize);
    assert!(alone == run(3), "fates differ between one worker and three");
}

/// All of that.
pub(crate) fn judge(path: DataPath, tun: &Path) {
    a_shared_bottleneck_has_one_rate(path, tun);
    marks_reach_tcp(path, tun);
    fates_do_not_depend_on_workers(path, tun);
}
