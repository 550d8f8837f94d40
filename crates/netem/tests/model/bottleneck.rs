//! Bottlenecks do what their definitions say, packet by packet and to the nanosecond.

use crate::frames::Protocols;
use crate::networks::{endpoints, moments, queues, rate, room, specs};
use crate::reference::{Outcome, Reference, Speed};
use crate::traffic::{BEGIN, Deed, NUMBER_LEN, Run, Sending};
use link::{Action, Change, DELIVERY_BYTES, Discipline, Limit, Patch, Queue, Schedule, Trace};
use netem::Profile;
use netem::model::bottleneck::QUANTUM_NS;
use netem::model::fabric::Fabric;
use proptest::prelude::*;
use units::Delay;

const UDP: Protocols = Protocols { ipv4: true, tcp: false, options: 0 };
/// Headers of each packet on the wire.
const HEADERS: u64 = 14 + 20 + 8;

#[derive(Clone, Debug)]
enum Step {
    Send(Sending),
    Rate(u64),
}

fn sendings(packets: impl Strategy<Value = usize>) -> impl Strategy<Value = Sending> {
    (packets, NUMBER_LEN..1440, any::<bool>()).prop_map(|(packets, size, ect)| Sending {
        source: 0,
        destination: 1,
        packets,
        size,
        ect,
    })
}

/// Frames of so many packets; about as much as 1 to 50 mbit/s can carry, or somewhat more.
fn steps(packets: impl Strategy<Value = usize>, with_rates: bool) -> impl Strategy<Value = Vec<(u64, Step)>> {
    let send = sendings(packets).prop_map(Step::Send);
    let step =
        prop_oneof![30 => send, u32::from(with_rates) => (1_000_000_u64..50_000_000).prop_map(Step::Rate)];
    let pauses = prop_oneof![3 => 0_u64..2_000_000, 1 => Just(0_u64), 1 => 0_u64..20_000_000];
    prop::collection::vec((pauses, step), 1..300)
}

fn speeds() -> impl Strategy<Value = Speed> {
    prop_oneof![
        2 => (1_000_000_u64..50_000_000).prop_map(Speed::Rate),
        1 => moments().prop_map(|moments| Speed::Chances(BEGIN, moments)),
    ]
}

/// What the model makes of it all, and what the reference does.
fn compare(
    queue: Queue,
    ecn: bool,
    speed: &Speed,
    delay: u64,
    steps: &[(u64, Step)],
) -> (Fabric, Run, Reference) {
    let mut profile = Profile { delay: Delay::from_nanos(delay), queue, ecn, ..Profile::default() };
    let mut course = Vec::new();
    match speed {
        Speed::Rate(bits) => profile.rate = Some(rate(*bits)),
        Speed::Chances(_, moments) => {
            let schedule = Schedule { at: Delay::ZERO, lasts: None, every: None };
            let action = Action::Follow(Trace::Deliveries(moments.clone()));
            course.push((0, Deed::Play(vec![Change { schedule, links: vec![0], action }])));
        }
    }
    let (mut reference, mut now) = (Reference::new(queue, ecn, speed.clone()), BEGIN);
    for (pause, step) in steps {
        now += pause;
        let deed = match step {
            Step::Send(sending) => {
                for _ in 0..sending.packets {
                    reference.arrive(now, HEADERS + u64::from(sending.size), sending.ect);
                }
                Deed::Send(sending.clone())
            }
            Step::Rate(_) if matches!(speed, Speed::Chances(..)) => continue,
            Step::Rate(bits) => {
                reference.change_rate(now, *bits);
                Deed::Alter(0, Patch { rate: Some(rate(*bits)), ..Patch::default() })
            }
        };
        course.push((now, deed));
    }
    // What was written as moments becomes pauses, and time enough for all to leave.
    let mut before = BEGIN;
    for (moment, _) in course.iter_mut().filter(|(moment, _)| *moment > 0) {
        (*moment, before) = (*moment - before, *moment);
    }
    let end = 5_000_000_000;
    course.push((end, Deed::Heal(0)));
    reference.advance(before + end);
    let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, profile)]), 1, usize::MAX).unwrap();
    let mut run = Run::new(UDP, true);
    run.course(&mut fabric, &course, |_, _| ());
    (fabric, run, reference)
}

/// The same packets get through, with the same marks, each at its time or up to `tolerance` later.
fn assert_agreement(run: &Run, reference: &Reference, fabric: &Fabric, delay: u64, tolerance: u64) {
    let mut seen = run.seen.iter();
    for (number, packet) in reference.packets.iter().enumerate() {
        let Outcome::Sent { at } = packet.outcome else { continue };
        let seen = seen.next().expect("a packet less");
        assert_eq!((seen.number, seen.marked), (number as u64, packet.marked), "{packet:?}");
        let late = seen.at.checked_sub(at + delay).expect("early");
        assert!(late <= tolerance, "packet {number}, {packet:?}: {late} ns late");
    }
    assert_eq!(seen.next(), None, "a packet more");
    let count = |outcome| reference.packets.iter().filter(|packet| packet.outcome == outcome).count() as u64;
    let account = fabric.accounts().next().unwrap();
    assert_eq!(account.queue_dropped.packets, count(Outcome::Full));
    assert_eq!(account.codel_dropped.packets, count(Outcome::Dropped));
    assert_eq!(count(Outcome::Waiting), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn single_packets_fare_as_by_definition(
        queue in queues(), ecn: bool, speed in speeds(), delay in 0_u64..5_000_000, steps in steps(Just(1), true),
    ) {
        let (fabric, run, reference) = compare(queue, ecn, &speed, delay, &steps);
        assert_agreement(&run, &reference, &fabric, delay, 0);
    }

    #[test]
    fn super_packets_fare_as_the_packets_that_they_are(
        queue in queues(), ecn: bool, speed in speeds(), delay in 0_u64..5_000_000, steps in steps(1_usize..40, true),
    ) {
        let (fabric, run, reference) = compare(queue, ecn, &speed, delay, &steps);
        assert_agreement(&run, &reference, &fabric, delay, QUANTUM_NS);
    }

    #[test]
    fn a_recording_is_never_exceeded(queue in queues(), moments in moments(), steps in steps(1_usize..40, false)) {
        let speed = Speed::Chances(BEGIN, moments.clone());
        let (_, run, _) = compare(queue, false, &speed, 0, &steps);
        let size = |number: u64| steps.iter().filter_map(|(_, step)| match step {
            Step::Send(sending) => Some((sending.packets as u64, u64::from(sending.size) + HEADERS)),
            Step::Rate(_) => None,
        }).scan(0, |sum, (packets, bytes)| { *sum += packets; Some((*sum, bytes)) })
            .find(|(sum, _)| *sum > number).unwrap().1;
        let period = *moments.last().unwrap();
        let mut bytes = 0;
        for packet in &run.seen {
            bytes += size(packet.number);
            let elapsed_ms = (packet.at - BEGIN) / 1_000_000;
            let (whole, rest) = (elapsed_ms / period, elapsed_ms % period);
            let here = moments.iter().filter(|moment| **moment <= rest).count() as u64;
            let chances = whole * moments.len() as u64 + here;
            prop_assert!(bytes <= chances * DELIVERY_BYTES, "{bytes} bytes in {chances} deliveries");
        }
    }

    #[test]
    fn a_busy_link_carries_the_sum_of_its_rates(
        rates in prop::collection::vec((1_000_000_u64..20_000_000, 1_u64..50_000_000), 1..10),
    ) {
        let first = rate(rates[0].0);
        let profile = Profile { rate: Some(first), queue: room(1 << 40), ..Profile::default() };
        let full = Sending { source: 0, destination: 1, packets: 40, size: 1400, ect: false };
        let mut course = vec![(0, Deed::Send(full)); 80];
        for (bits, lasts) in &rates {
            course.push((0, Deed::Alter(0, Patch { rate: Some(rate(*bits)), ..Patch::default() })));
            course.push((*lasts, Deed::Heal(0)));
            course.push((0, Deed::Alter(0, Patch { rate: Some(rate(*bits)), ..Patch::default() })));
        }
        let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, profile)]), 1, usize::MAX).unwrap();
        let mut run = Run::new(UDP, true);
        run.course(&mut fabric, &course, |_, _| ());
        let end = BEGIN + rates.iter().map(|(_, lasts)| lasts).sum::<u64>();
        let carried = run.seen.iter().filter(|packet| packet.at <= end).count() as u64 * (1400 + HEADERS);
        let work: u128 = rates.iter().map(|(bits, lasts)| u128::from(*bits) * u128::from(*lasts)).sum();
        // The credit of the idle time before, at the first rate.
        let credit = 2_000_000 * u128::from(first.bits_per_s());
        let theory = ((work + credit) / 8_000_000_000) as u64;
        let piece = 1400 + HEADERS + QUANTUM_NS * 20_000_000 / 8_000_000_000;
        prop_assert!(carried <= theory && carried + piece >= theory, "{carried} bytes, {theory} by theory");
    }
}

#[test]
fn links_of_one_bottleneck_share_its_rate_and_queue_and_keep_their_delays() {
    let shared = Profile {
        rate: Some(rate(8_000_000)),
        queue: Queue { limit: Limit::Packets(3), discipline: Discipline::DropTail },
        ..Profile::default()
    };
    let near = Profile { delay: Delay::from_millis(1), ..shared };
    // Its own rate and queue mean nothing.
    let far = Profile { delay: Delay::from_millis(20), rate: None, queue: room(1), ..Profile::default() };
    let mut links = specs(&[(0, 1, near), (0, 2, far)]);
    links.iter_mut().for_each(|link| link.bottleneck = Some(7));
    let mut fabric = Fabric::new(endpoints(3), &links, 1, usize::MAX).unwrap();
    assert_eq!(fabric.profile(1).unwrap().rate, shared.rate);
    let mut run = Run::new(UDP, true);
    // 1,000 bytes each take 1 ms; the first two leave on credit.
    let send = |destination| Sending { source: 0, destination, packets: 1, size: 958, ect: false };
    let course: Vec<(u64, Deed)> =
        [1, 2, 2, 1, 2, 1, 2, 1].map(|destination| (0, Deed::Send(send(destination)))).to_vec();
    run.course(&mut fabric, &course, |_, _| ());
    let seen: Vec<(u64, u64)> =
        run.seen.iter().map(|packet| (packet.number, (packet.at - BEGIN) / 1_000_000)).collect();
    assert_eq!(seen, [(0, 1), (3, 3), (5, 5), (1, 20), (2, 21), (4, 23)]);
    let dropped: Vec<u64> = fabric.accounts().map(|account| account.queue_dropped.packets).collect();
    assert_eq!(dropped, [1, 1]);
    fabric.alter(run_end(&run), 1, &Patch { rate: Some(rate(1_000_000)), ..Patch::default() }).unwrap();
    assert_eq!(fabric.profile(0).unwrap().rate, Some(rate(1_000_000)), "whoever is altered alters all");
}

fn run_end(run: &Run) -> u64 {
    run.seen.iter().map(|packet| packet.at).max().unwrap()
}
