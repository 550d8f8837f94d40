//! The fabric keeps its word for any network, any traffic and any change: nothing early, twice, out of order or to the
//! wrong host unless that is asked for, and every packet accounted for at all times.

use crate::frames::{Numbers, Protocols, frame, shape_of};
use crate::networks::{NODES, endpoints, networks, rate, room, specs};
use crate::traffic::{BEGIN, Deed, Run, Seen, Sending, Sent, courses, sendings};
use link::{LossModel, LossUnit};
use netem::model::fabric::{Fabric, FabricError};
use netem::model::transmitter::BURST_NS;
use netem::model::wire::{ETHERNET_LEN, VNET_LEN};
use netem::{LinkSpec, Profile, Tally};
use proptest::prelude::*;
use std::collections::HashMap;
use units::{Delay, Percent};

const UDP: Protocols = Protocols { ipv4: true, tcp: false, options: 0 };
const NUMBERS: Numbers = Numbers { identification: 0, sequence: 0, flags: 0 };
const HEADERS: usize = VNET_LEN + ETHERNET_LEN + 20 + 8;

/// What a link was over time: since when, and what.
type History = Vec<(u64, Profile)>;

fn assert_accounts(fabric: &Fabric) {
    for account in fabric.accounts() {
        let sum = |tallies: &[Tally]| {
            let packets: u64 = tallies.iter().map(|tally| tally.packets).sum();
            (packets, tallies.iter().map(|tally| tally.bytes).sum::<u64>())
        };
        let dropped = [account.cut, account.queue_dropped, account.codel_dropped, account.memory_dropped];
        let fates = [&[account.delivered, account.lost, account.queued], dropped.as_slice()].concat();
        assert_eq!(sum(&[account.entered, account.duplicated]), sum(&fates));
    }
}

fn record(histories: &mut [History], fabric: &Fabric, now: u64) {
    for (link, history) in histories.iter_mut().enumerate() {
        let profile = fabric.profile(link).unwrap();
        if history.last().is_none_or(|(_, last)| *last != profile) {
            history.push((now, profile));
        }
    }
}

/// What the link was from `begin` to `end`: since when in that time, and what.
fn during(history: &History, begin: u64, end: u64) -> impl Iterator<Item = (u64, &Profile)> {
    let ends = history.iter().skip(1).map(|(until, _)| *until).chain([u64::MAX]);
    let overlaps = move |since: u64, until: u64| since <= end && until >= begin;
    history
        .iter()
        .zip(ends)
        .filter(move |((since, _), until)| overlaps(*since, *until))
        .map(move |((since, profile), _)| ((*since).max(begin), profile))
}

/// Before when a packet can't arrive.
fn earliest(history: &History, sent: u64, seen: u64) -> u64 {
    let wavers = |profile: &Profile| profile.jitter.is_some() || profile.reorder != Percent::NONE;
    if during(history, sent, sent).any(|(_, profile)| wavers(profile)) {
        return sent;
    }
    during(history, sent, seen).map(|(since, profile)| since + profile.delay.nanos()).min().unwrap()
}

fn assert_packet(packet: &Seen, sent: &Sent, history: Option<&History>, copies: u32) {
    assert_eq!(packet.node, sent.destination, "wrong host");
    let Some(history) = history else {
        assert_eq!((packet.at, copies), (sent.at, 1), "as it comes without a link");
        assert!(!packet.corrupt && !packet.marked);
        return;
    };
    let earliest = earliest(history, sent.at, packet.at);
    assert!(packet.at >= earliest, "early: sent at {}, due at {earliest}, {packet:?}", sent.at);
    let then = || during(history, sent.at, sent.at).map(|(_, profile)| *profile);
    assert!(copies <= 1 || (copies == 2 && then().any(|link| link.duplicate != Percent::NONE)), "twice");
    assert!(!packet.corrupt || then().any(|link| link.corrupt != Percent::NONE), "corrupt");
    assert!(!packet.marked || (sent.ect && then().any(|link| link.ecn)), "marked");
    assert!(then().any(|link| !link.cut), "through a cut link");
}

fn assert_same(one: &[Seen], other: &[Seen]) {
    assert!(one.len() == other.len(), "{} and {} packets", one.len(), other.len());
    one.iter().zip(other).for_each(|(one, other)| assert_eq!(one, other));
}

fn by_order(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.sort_unstable();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn every_packet_meets_its_fate_once(
        (links, course) in networks().prop_flat_map(|links| { let count = links.len(); (Just(links), courses(count)) }),
        protocols in Protocols::any(),
        seed: u64,
        memory in prop_oneof![2 => Just(usize::MAX), 1 => 1_000_usize..200_000],
    ) {
        let mut fabric = Fabric::new(endpoints(NODES), &links, seed, memory).unwrap();
        let mut histories = vec![History::new(); links.len()];
        record(&mut histories, &fabric, BEGIN);
        let mut run = Run::new(protocols, true);
        run.course(&mut fabric, &course, |fabric, now| {
            assert_accounts(fabric);
            assert!(fabric.memory() <= memory);
            record(&mut histories, fabric, now);
        });
        prop_assert_eq!(fabric.memory(), 0);
        let position = |sent: &Sent| {
            links.iter().position(|link| (link.source, link.destination) == (sent.source, sent.destination))
        };
        let mut copies = HashMap::new();
        run.seen.iter().for_each(|packet| *copies.entry(packet.number).or_insert(0) += 1);
        for packet in &run.seen {
            let sent = &run.sent[packet.number as usize];
            let history = position(sent).map(|link| &histories[link]);
            assert_packet(packet, sent, history, copies[&packet.number]);
        }
        for (link, account) in fabric.accounts().enumerate() {
            prop_assert_eq!(account.queued, Tally::default());
            let seen: Vec<&Seen> = run.seen.iter()
                .filter(|packet| position(&run.sent[packet.number as usize]) == Some(link)).collect();
            let overtaking = |link: &Profile| {
                link.reorder != Percent::NONE || link.jitter.is_some_and(|jitter| jitter.reorder)
            };
            let asked = histories[link].iter().any(|(_, profile)| overtaking(profile));
            // What the kernel hands over at once may also be duplicated at once.
            let twice = |link: &Profile| link.duplicate != Percent::NONE && link.loss_unit == LossUnit::Skb;
            let in_order = seen.iter().is_sorted_by_key(|packet| packet.number);
            prop_assert!(asked || in_order || histories[link].iter().any(|(_, profile)| twice(profile)), "out of order");
            prop_assert!(asked || account.reordered == Tally::default());
            prop_assert_eq!(seen.len() as u64, account.delivered.packets);
            let marked = seen.iter().filter(|packet| packet.marked).count() as u64;
            prop_assert!(marked <= account.marked.packets);
            let corrupt = seen.iter().filter(|packet| packet.corrupt).count() as u64;
            prop_assert!(corrupt <= account.corrupted.packets);
        }
        let linked: u64 = fabric.accounts().map(|account| account.entered.packets).sum();
        prop_assert_eq!(linked + fabric.totals().unshaped.packets, run.sent.len() as u64);
    }

    #[test]
    fn when_the_fabric_is_asked_changes_nothing(
        (links, course) in networks().prop_flat_map(|links| { let count = links.len(); (Just(links), courses(count)) }),
        protocols in Protocols::any(),
        seed: u64,
    ) {
        let outcome = |prompt| {
            let mut fabric = Fabric::new(endpoints(NODES), &links, seed, usize::MAX).unwrap();
            let mut run = Run::new(protocols, prompt);
            run.course(&mut fabric, &course, |_, _| ());
            by_order(run.seen)
        };
        assert_same(&outcome(true), &outcome(false));
    }

    #[test]
    fn the_same_seed_and_packets_give_the_same_fates(
        (links, course) in networks().prop_flat_map(|links| { let count = links.len(); (Just(links), courses(count)) }),
        seed: u64,
        workers in 1_usize..4,
    ) {
        let whole = outcome_of_parts(&[(0..links.len()).collect()], &links, &course, seed, NODES);
        // More hosts, another order of the links, and some of the links in one fabric, some in another.
        let mut parts = vec![Vec::new(); workers];
        for (link, spec) in links.iter().enumerate() {
            parts[spec.bottleneck.unwrap_or(link) % workers].push(link);
        }
        assert_same(&whole, &outcome_of_parts(&parts, &links, &course, seed, NODES + 1));
    }

    #[test]
    fn losses_depend_on_the_sequence_and_not_on_the_time(
        sendings in prop::collection::vec((0_u64..3_000_000, sendings()), 1..60),
        factor in 1_u64..1000,
        seed: u64,
    ) {
        let lossy = Profile { loss: LossModel::Independent("20%".parse().unwrap()), delay: Delay::from_millis(5), ..Profile::default() };
        let lost = |factor: u64| {
            let mut fabric = Fabric::new(endpoints(NODES), &specs(&[(0, 1, lossy)]), seed, usize::MAX).unwrap();
            let later: Vec<(u64, Deed)> =
                sendings.iter().map(|(pause, sending)| (pause * factor, Deed::Send(sending.clone()))).collect();
            let mut run = Run::new(UDP, true);
            run.course(&mut fabric, &later, |_, _| ());
            let mut numbers: Vec<u64> = run.seen.iter().map(|packet| packet.number).collect();
            numbers.sort_unstable();
            numbers
        };
        prop_assert_eq!(lost(1), lost(factor));
    }

    #[test]
    fn a_saturated_link_carries_its_rate(bits in 1_000_000_u64..1_000_000_000, packets in 1_usize..40, size in 200_u16..1440) {
        let bits_per_s = rate(bits);
        let profile = Profile { rate: Some(bits_per_s), queue: room(1 << 40), ..Profile::default() };
        let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, profile)]), 1, usize::MAX).unwrap();
        let sending = Sending { source: 0, destination: 1, packets, size, ect: false };
        let mut run = Run::new(UDP, true);
        run.course(&mut fabric, &vec![(0, Deed::Send(sending)); 100], |_, _| ());
        prop_assert_eq!(run.sent.len(), run.seen.len());
        let bytes = run.sent.len() as u64 * (u64::from(size) + 42);
        let took = run.seen.last().unwrap().at - BEGIN;
        let expected = bits_per_s.nanos_for(bytes).saturating_sub(BURST_NS);
        prop_assert!(took.abs_diff(expected) <= 1, "{took} ns, {expected} expected");
    }
}

/// What comes out when each of several fabrics has the links of its part and the frames that meet these.
fn outcome_of_parts(
    parts: &[Vec<usize>],
    links: &[LinkSpec],
    course: &[(u64, Deed)],
    seed: u64,
    nodes: usize,
) -> Vec<Seen> {
    let part_of = |sending: &Sending| {
        let pair = (sending.source, sending.destination);
        let link = links.iter().position(|link| (link.source, link.destination) == pair);
        parts.iter().position(|part| part.iter().any(|member| Some(*member) == link)).unwrap_or(0)
    };
    let mut all = Vec::new();
    for (part, members) in parts.iter().enumerate() {
        // In the opposite order, but for those that share a bottleneck: the first of them decides.
        let mut members = members.clone();
        members.sort_by_key(|link| (links[*link].bottleneck, std::cmp::Reverse(*link)));
        if let Some(shared) = members.iter().position(|link| links[*link].bottleneck.is_some()) {
            members[shared..].sort_unstable();
        }
        let here = |link: &usize| members.iter().position(|member| member == link);
        let specs: Vec<LinkSpec> = members.iter().map(|link| links[*link]).collect();
        let mut fabric = Fabric::new(endpoints(nodes), &specs, seed, usize::MAX).unwrap();
        let (mut run, mut own) = (Run::new(UDP, true), Vec::new());
        let mut numbers = Vec::new();
        let (mut pause_before, mut number) = (0, 0);
        for (pause, deed) in course {
            pause_before += pause;
            let deed = match deed {
                Deed::Send(sending) => {
                    let first = number;
                    number += sending.packets as u64;
                    if part_of(sending) != part {
                        continue;
                    }
                    numbers.extend(first..number);
                    Some(Deed::Send(sending.clone()))
                }
                Deed::Alter(link, patch) => here(link).map(|link| Deed::Alter(link, *patch)),
                Deed::Heal(link) => here(link).map(Deed::Heal),
                Deed::Play(changes) => {
                    let mut changes = changes.clone();
                    for change in &mut changes {
                        change.links = change.links.iter().filter_map(here).collect();
                    }
                    Some(Deed::Play(changes))
                }
                Deed::Rest => Some(Deed::Rest),
            };
            own.extend(deed.map(|deed| (std::mem::take(&mut pause_before), deed)));
        }
        // All end together, with the timeline.
        own.push((pause_before, Deed::Rest));
        run.course(&mut fabric, &own, |_, _| ());
        all.extend(run.seen.into_iter().map(|seen| Seen { number: numbers[seen.number as usize], ..seen }));
    }
    by_order(all)
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
