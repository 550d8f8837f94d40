//! Duplicates, bit errors, jitter and reordering, and whole super-packets lost.

use crate::basics::{counter, cut_into, pattern, profile};
use crate::bed::{Bed, PATIENCE, Terms, socket_address};
use crate::{A, B, C};
use link::{Jitter, JitterShape, LossUnit, Patch};
use netem::{DataPath, LinkSnapshot, Profile};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};
use units::Delay;

/// Position of the link from A to B, which the checks change as they need it.
const A_TO_B: usize = 0;

fn links() -> Vec<netem::LinkSpec> {
    let lossy = Profile { loss_unit: LossUnit::Skb, ..profile("0ms", None, "40%") };
    vec![(A, B, profile("2ms", None, "0%")).into(), (A, C, lossy).into()]
}

/// A socket of host A and one of host B; the link between them is altered.
struct Pair<'a> {
    bed: &'a Bed,
    sender: UdpSocket,
    receiver: UdpSocket,
}

/// What came of some datagrams.
struct Outcome {
    /// Their numbers, in the order of their arrival, with the time since the one that arrived was sent.
    arrived: Vec<(u32, Duration)>,
    link: LinkSnapshot,
}

impl<'a> Pair<'a> {
    fn new(bed: &'a Bed, patch: Patch) -> Self {
        bed.emulator.heal(&[A_TO_B]).unwrap();
        bed.emulator.alter(&[A_TO_B], &patch).unwrap();
        let base = profile("2ms", None, "0%");
        assert_eq!(bed.emulator.profiles().unwrap()[A_TO_B], patch.applied_to(&base));
        let (sender, receiver) = (bed.udp(A), bed.udp(B));
        receiver.set_nonblocking(true).unwrap();
        Self { bed, sender, receiver }
    }

    /// Sends so many numbered datagrams, in batches, and waits until all are out of the link.
    fn send(&self, count: u32) -> Outcome {
        let before = self.bed.settled(A, B, 0);
        let mut sent = Vec::new();
        let mut arrived = Vec::new();
        for batch in 0..count.div_ceil(50) {
            for number in batch * 50..(batch * 50 + 50).min(count) {
                sent.push(Instant::now());
                self.sender.send_to(&datagram(number), socket_address(B)).unwrap();
            }
            let wanted = before.entered.packets + sent.len() as u64;
            let deadline = Instant::now() + PATIENCE;
            // Read all along, so that times of arrival mean something.
            loop {
                self.receive(&sent, &mut arrived);
                let link = self.bed.link(A, B);
                if link.entered.packets >= wanted && link.queued.packets == 0 {
                    break;
                }
                assert!(Instant::now() < deadline, "packets remain in the link: {link:?}");
            }
            self.receive(&sent, &mut arrived);
        }
        let link = self.bed.settled(A, B, 0).since(&before);
        assert_eq!(link.entered.packets, u64::from(count), "nobody else sends");
        Outcome { arrived, link }
    }

    fn receive(&self, sent: &[Instant], arrived: &mut Vec<(u32, Duration)>) {
        let mut buffer = [0; 256];
        while let Ok(length) = self.receiver.recv(&mut buffer) {
            let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
            arrived.push((number, sent[number as usize].elapsed()));
            assert_eq!(buffer[..length], datagram(number), "arrives as it was sent");
        }
    }
}

/// A datagram that shows its number everywhere.
fn datagram(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(25)
}

fn duplicates_arrive_twice(bed: &Bed) {
    let pair = Pair::new(bed, Patch { duplicate: Some("30%".parse().unwrap()), ..Patch::default() });
    let Outcome { arrived, link } = pair.send(500);
    let mut times = BTreeMap::new();
    for (number, _) in &arrived {
        *times.entry(*number).or_insert(0) += 1;
    }
    let twice = times.values().filter(|times| **times == 2).count() as u64;
    assert!(times.values().all(|times| (1..=2).contains(times)) && times.len() == 500);
    assert_eq!((link.duplicated.packets, link.delivered.packets), (twice, 500 + twice), "{link:?}");
    assert!((100..200).contains(&twice), "{twice} of 500 at 30 %");
}

fn damaged_datagrams_are_noticed(bed: &Bed) {
    let pair = Pair::new(bed, Patch { corrupt: Some("20%".parse().unwrap()), ..Patch::default() });
    let before = counter(bed, B, "snmp", "Udp:", "InCsumErrors");
    let Outcome { arrived, link } = pair.send(500);
    assert!((60..150).contains(&link.corrupted.packets), "{link:?}");
    assert_eq!((link.delivered.packets, arrived.len() as u64), (500, 500 - link.corrupted.packets));
    assert_eq!(counter(bed, B, "snmp", "Udp:", "InCsumErrors") - before, link.corrupted.packets);
}

/// Uniform jitter of 6 ms about 20 ms, in order unless asked otherwise.
fn jitter_is_bounded_and_keeps_the_order(bed: &Bed) {
    for reorder in [false, true] {
        let jitter = Jitter {
            spread: Delay::from_millis(6),
            shape: JitterShape::Uniform,
            correlation: units::Percent::NONE,
            reorder,
        };
        let delay = Some(Delay::from_millis(20));
        let pair = Pair::new(bed, Patch { delay, jitter: Some(jitter), ..Patch::default() });
        let Outcome { arrived, .. } = pair.send(400);
        assert_eq!(arrived.len(), 400);
        let shortest = arrived.iter().map(|(_, took)| *took).min().unwrap();
        assert!(shortest >= Duration::from_millis(14), "early: {shortest:?}");
        assert!(shortest < Duration::from_millis(20), "no jitter: {shortest:?}");
        assert_eq!(arrived.is_sorted_by_key(|(number, _)| *number), !reorder);
    }
}

fn reordered_packets_pass_without_delay(bed: &Bed) {
    let (delay, reorder) = (Some(Delay::from_millis(40)), Some("10%".parse().unwrap()));
    let pair = Pair::new(bed, Patch { delay, reorder, ..Patch::default() });
    let Outcome { arrived, link } = pair.send(200);
    assert_eq!(arrived.len(), 200);
    assert!((5..45).contains(&link.reordered.packets), "{link:?}");
    let early = arrived.iter().filter(|(_, took)| *took < Duration::from_millis(40)).count() as u64;
    assert!(early <= link.reordered.packets, "{early} early of {}", link.reordered.packets);
    assert!(early > 0, "none overtook");
}

/// With `loss_unit: skb` a super-packet arrives whole or not at all.
fn super_packets_are_lost_whole(bed: &Bed) {
    const SEGMENTS: usize = 20;
    let (sender, receiver) = (bed.udp(A), bed.udp(C));
    receiver.set_nonblocking(true).unwrap();
    if let Err(error) = cut_into(&sender, 700) {
        return eprintln!("skipped: no segmentation of datagrams on this kernel ({error})");
    }
    let sent = pattern(700 * SEGMENTS);
    let before = bed.settled(A, C, 0);
    let mut whole = 0;
    for round in 1..=60_u64 {
        sender.send_to(&sent, socket_address(C)).unwrap();
        bed.settled(A, C, before.entered.packets + round * SEGMENTS as u64);
        let mut arrived = 0;
        while receiver.recv(&mut [0; 1500]).is_ok() {
            arrived += 1;
        }
        assert!(arrived == 0 || arrived == SEGMENTS, "{arrived} of {SEGMENTS}");
        whole += u32::from(arrived > 0);
    }
    assert!((15..55).contains(&whole), "{whole} of 60 at 40 % loss");
}

/// All of that, on one bed.
pub(crate) fn judge(path: DataPath, tun: &Path) {
    let names = ["a", "b", "c"].map(str::to_owned);
    let bed = Bed::with(tun, &names, links(), Terms { workers: 2, ipv6: false, path });
    duplicates_arrive_twice(&bed);
    damaged_datagrams_are_noticed(&bed);
    jitter_is_bounded_and_keeps_the_order(&bed);
    reordered_packets_pass_without_delay(&bed);
    super_packets_are_lost_whole(&bed);
    let snapshot = bed.emulator.stop();
    assert_eq!(snapshot.workers.len(), 2);
    for link in &snapshot.links {
        assert_eq!(link.entered.packets + link.duplicated.packets, link.accounted().packets, "{link:?}");
    }
}
