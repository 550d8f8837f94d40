//! The fabric keeps its word for any network and any traffic: nothing early, twice, out of order or to the
//! wrong host, and every packet accounted for at all times.

use crate::frames::{Numbers, Protocols, frame, shape_of};
use link::{Limit, LossModel, Queue};
use netem::model::fabric::{Endpoint, Fabric, FabricError};
use netem::model::gso::Layout;
use netem::model::wire::{ETHERNET_LEN, VNET_LEN};
use netem::{LinkSpec, Profile};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use units::{Delay, Percent, Rate, Size};

const NODES: usize = 3;
const UDP: Protocols = Protocols { ipv4: true, tcp: false, options: 0 };
const NUMBERS: Numbers = Numbers { identification: 0, sequence: 0, flags: 0 };
const HEADERS: usize = VNET_LEN + ETHERNET_LEN + 20 + 8;

#[derive(Clone, Debug)]
struct Sending {
    /// Time since the one before, nanoseconds.
    pause: u64,
    source: usize,
    destination: usize,
    packets: usize,
    /// Payload of each packet.
    size: u16,
}

fn sendings() -> impl Strategy<Value = Vec<Sending>> {
    let one = (0_u64..3_000_000, 0..NODES, 1..NODES, 1_usize..40, 8_u16..1472);
    let one = one.prop_map(|(pause, source, step, packets, size)| {
        let destination = (source + step) % NODES;
        Sending { pause, source, destination, packets, size }
    });
    prop::collection::vec(one, 1..60)
}

/// A queue of so many bytes.
fn room(bytes: u64) -> Queue {
    Queue { limit: Limit::Bytes(Size::from_bytes(bytes)), ..Queue::default() }
}

fn profiles() -> impl Strategy<Value = Profile> {
    let rate =
        prop::option::of((100_000_u64..2_000_000_000).prop_map(|rate| Rate::from_bits_per_s(rate).unwrap()));
    (0_u64..20_000_000, rate, 0.0..0.5_f64, 0_u64..200_000).prop_map(|(delay, rate, loss, queue)| Profile {
        delay: Delay::from_nanos(delay),
        rate,
        loss: LossModel::Independent(Percent::from_fraction(loss).unwrap()),
        queue: room(queue),
        ..Profile::default()
    })
}

/// Links for some of the ordered pairs.
fn networks() -> impl Strategy<Value = Vec<(usize, usize, Profile)>> {
    prop::collection::vec(prop::option::of(profiles()), NODES * NODES).prop_map(|table| {
        let pairs = table.into_iter().enumerate();
        let links = pairs.filter_map(|(cell, profile)| Some((cell / NODES, cell % NODES, profile?)));
        links.filter(|(source, destination, _)| source != destination).collect()
    })
}

fn specs(links: &[(usize, usize, Profile)]) -> Vec<LinkSpec> {
    links.iter().copied().map(LinkSpec::from).collect()
}

fn endpoints(count: usize) -> Vec<Endpoint> {
    let endpoint = |node: usize| Endpoint {
        name: format!("host-{node}"),
        mac: [2, 0, 10, 0, 0, node as u8],
        addresses: vec![Ipv4Addr::new(10, 0, 0, node as u8).into()],
        broadcast: Ipv4Addr::new(10, 0, 0, 255),
    };
    (0..count).map(endpoint).collect()
}

/// One packet seen coming out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    number: u64,
    node: usize,
    at: u64,
}

/// Sends everything, numbering all packets, and takes out what is due whenever it is due. `check` is called
/// after each step.
fn run(
    fabric: &mut Fabric,
    sendings: &[Sending],
    mut check: impl FnMut(&Fabric),
) -> (Vec<(u64, usize, usize)>, Vec<Seen>) {
    let (mut now, mut number) = (1_000_000_000, 0);
    let (mut sent, mut seen) = (Vec::new(), Vec::new());
    for sending in sendings {
        let arrival = now + sending.pause;
        while let Some(due) = fabric.next_due().filter(|due| *due <= arrival) {
            take(fabric, due, &mut seen);
            check(fabric);
        }
        now = arrival;
        let mut payload = Vec::new();
        for _ in 0..sending.packets {
            payload.extend(u64::to_be_bytes(number));
            payload.resize(payload.len() + usize::from(sending.size) - 8, number as u8);
            sent.push((now, sending.source, sending.destination));
            number += 1;
        }
        let hosts = (sending.source as u8, sending.destination as u8);
        let segment_len = (sending.packets > 1).then_some(sending.size);
        let mut bytes = frame(UDP, NUMBERS, hosts, &payload, segment_len);
        fabric.accept(now, sending.source, &mut bytes, &mut |node, frame| look(frame, node, now, &mut seen));
        check(fabric);
    }
    while let Some(due) = fabric.next_due() {
        take(fabric, due, &mut seen);
        check(fabric);
    }
    (sent, seen)
}

fn take(fabric: &mut Fabric, now: u64, seen: &mut Vec<Seen>) {
    assert!(fabric.release(now - 1).is_none(), "nothing may leave before its time");
    let release = fabric.release(now).expect("something is due");
    assert_eq!(release.held.due, now);
    look(&release.held.frame, release.node, now, seen);
}

fn look(frame: &[u8], node: usize, at: u64, seen: &mut Vec<Seen>) {
    assert_eq!(frame[VNET_LEN..VNET_LEN + 6], [2, 0, 10, 0, 0, node as u8], "addressed to its receiver");
    let segment_len = Layout::parse(frame).map(|layout| layout.shape().segment_len as usize);
    for payload in frame[HEADERS..].chunks(segment_len.unwrap_or(usize::MAX)) {
        let number = u64::from_be_bytes(payload[..8].try_into().unwrap());
        assert!(payload[8..].iter().all(|byte| *byte == number as u8), "payload of another packet");
        seen.push(Seen { number, node, at });
    }
}

fn assert_accounts(fabric: &Fabric) {
    for account in fabric.accounts() {
        let parts =
            [account.delivered, account.lost, account.queue_dropped, account.memory_dropped, account.queued];
        assert_eq!(account.entered.packets, parts.iter().map(|tally| tally.packets).sum::<u64>());
        assert_eq!(account.entered.bytes, parts.iter().map(|tally| tally.bytes).sum::<u64>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_packet_meets_its_fate_once(
        links in networks(),
        sendings in sendings(),
        seed: u64,
        memory in prop_oneof![Just(usize::MAX), 1_000_usize..200_000],
    ) {
        let mut fabric = Fabric::new(endpoints(NODES), &specs(&links), seed, memory).unwrap();
        let (sent, seen) = run(&mut fabric, &sendings, |fabric| {
            assert_accounts(fabric);
            assert!(fabric.memory() <= memory);
        });
        prop_assert_eq!(fabric.memory(), 0);
        let mut fates = vec![0; sent.len()];
        for packet in &seen {
            let (sent_at, source, destination) = sent[packet.number as usize];
            fates[packet.number as usize] += 1;
            prop_assert_eq!(packet.node, destination, "wrong host");
            let link = links.iter().find(|link| (link.0, link.1) == (source, destination));
            let delay = link.map_or(0, |link| link.2.delay.nanos());
            prop_assert!(packet.at >= sent_at + delay, "early");
            prop_assert!(link.is_some() || packet.at == sent_at, "delayed without a link");
        }
        prop_assert!(fates.iter().all(|fate| *fate <= 1), "twice");
        for (position, account) in fabric.accounts().enumerate() {
            let (source, destination, _) = links[position];
            let numbers: Vec<u64> =
                seen.iter().filter(|packet| (sent[packet.number as usize].1, packet.node) == (source, destination))
                    .map(|packet| packet.number).collect();
            prop_assert!(numbers.is_sorted(), "out of order");
            prop_assert_eq!(numbers.len() as u64, account.delivered.packets);
        }
        let linked: u64 = fabric.accounts().map(|account| account.entered.packets).sum();
        prop_assert_eq!(linked + fabric.totals().unshaped.packets, sent.len() as u64);
    }

    #[test]
    fn the_same_seed_and_packets_give_the_same_fates(links in networks(), sendings in sendings(), seed: u64) {
        let outcome = |nodes: usize, links: &[(usize, usize, Profile)]| {
            let mut fabric = Fabric::new(endpoints(nodes), &specs(links), seed, usize::MAX).unwrap();
            run(&mut fabric, &sendings, |_| ()).1
        };
        let first = outcome(NODES, &links);
        prop_assert_eq!(&first, &outcome(NODES, &links));
        // More hosts and another order of the links change nothing.
        let reversed: Vec<_> = links.iter().copied().rev().chain([(0, NODES, Profile::default())]).collect();
        let mut others = outcome(NODES + 1, &reversed);
        let mut first = first;
        let order = |seen: &Seen| (seen.at, seen.number);
        first.sort_by_key(order);
        others.sort_by_key(order);
        prop_assert_eq!(first, others);
    }

    #[test]
    fn losses_depend_on_the_sequence_and_not_on_the_time(sendings in sendings(), pause in 1_u64..100_000_000, seed: u64) {
        let lossy = Profile { loss: LossModel::Independent("20%".parse().unwrap()), delay: "5ms".parse().unwrap(), ..Profile::default() };
        let lost = |pause: u64| {
            let mut fabric = Fabric::new(endpoints(NODES), &specs(&[(0, 1, lossy)]), seed, usize::MAX).unwrap();
            let later: Vec<Sending> =
                sendings.iter().map(|sending| Sending { pause: sending.pause * pause, ..sending.clone() }).collect();
            let (_, seen) = run(&mut fabric, &later, |_| ());
            let mut numbers: Vec<u64> = seen.iter().map(|packet| packet.number).collect();
            numbers.sort_unstable();
            numbers
        };
        prop_assert_eq!(lost(1), lost(pause));
    }

    #[test]
    fn a_saturated_link_carries_its_rate(rate in 1_000_000_u64..1_000_000_000, packets in 1_usize..40, size in 200_u16..1472) {
        let rate = Rate::from_bits_per_s(rate).unwrap();
        let profile = Profile { rate: Some(rate), queue: room(1 << 40), ..Profile::default() };
        let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, profile)]), 1, usize::MAX).unwrap();
        let sending = Sending { pause: 0, source: 0, destination: 1, packets, size };
        let (sent, seen) = run(&mut fabric, &vec![sending; 500], |_| ());
        prop_assert_eq!(sent.len(), seen.len());
        let bytes = sent.len() as u64 * (u64::from(size) + 42);
        let took = seen.last().unwrap().at - sent[0].0;
        let expected = rate.nanos_for(bytes).saturating_sub(netem::model::transmitter::BURST_NS);
        prop_assert!(took.abs_diff(expected) <= 1, "{took} ns, {expected} expected");
    }
}

#[test]
fn a_broadcast_reaches_all_others_each_over_its_link() {
    let delayed = Profile { delay: Delay::from_millis(3), ..Profile::default() };
    let mut fabric = Fabric::new(endpoints(4), &specs(&[(0, 2, delayed)]), 1, usize::MAX).unwrap();
    let mut bytes = frame(UDP, NUMBERS, (0, 255), &[1; 100], None);
    assert_eq!(bytes[VNET_LEN] & 1, 0, "the sender's kernel does not mark it");
    let mut reached = Vec::new();
    fabric.accept(0, 0, &mut bytes, &mut |node, frame| {
        assert_eq!(frame[VNET_LEN..VNET_LEN + 6], [0xff; 6], "marked as a broadcast");
        reached.push(node);
    });
    assert_eq!(reached, [1, 3]);
    assert_eq!(fabric.next_due(), Some(3_000_000));
    assert_eq!(fabric.release(3_000_000).unwrap().node, 2);
    bytes[VNET_LEN..VNET_LEN + 6].copy_from_slice(&[1, 0, 0x5e, 1, 2, 3]);
    let mut reached = 0;
    fabric.accept(0, 2, &mut bytes, &mut |_, frame| {
        assert_eq!(frame[VNET_LEN..VNET_LEN + 6], [1, 0, 0x5e, 1, 2, 3], "a group stays that group");
        reached += 1;
    });
    assert_eq!(reached, 3);
}

#[test]
fn strangers_and_scraps_are_counted_and_dropped() {
    let mut fabric = Fabric::new(endpoints(2), &[], 1, usize::MAX).unwrap();
    let mut nobody = |_: usize, _: &[u8]| panic!("sent to somebody");
    fabric.accept(0, 0, &mut frame(UDP, NUMBERS, (0, 99), &[0; 10], None), &mut nobody);
    let cut_short = &frame(UDP, NUMBERS, (0, 1), &[0; 10], None)[..HEADERS];
    for length in 0..30 {
        fabric.accept(0, 0, &mut cut_short[..length].to_vec(), &mut nobody);
    }
    assert_eq!(fabric.totals().unknown.packets, 31);
    assert_eq!(shape_of(cut_short).segments, 1);
}

#[test]
fn contradictions_are_named() {
    let link = Profile::default();
    let error = |endpoints, links: &[_]| Fabric::new(endpoints, &specs(links), 1, 0).unwrap_err();
    assert_eq!(
        error(endpoints(2), &[(0, 2, link)]).to_string(),
        "link 0 -> 2: there are only 2 nodes, counted from 0"
    );
    assert_eq!(
        error(endpoints(2), &[(0, 1, link), (0, 1, link)]).to_string(),
        "two links from host-0 to host-1: one per ordered pair expected"
    );
    let mut twins = endpoints(2);
    twins[1].addresses = twins[0].addresses.clone();
    assert!(matches!(error(twins, &[]), FabricError::SameAddress { .. }));
}
