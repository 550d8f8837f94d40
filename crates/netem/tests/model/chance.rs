//! What the fates say is what happens: without a rate, each packet comes out exactly when, and as often, as its number
//! on its link makes it, whatever frame it came in.

use crate::frames::{Numbers, Protocols, frame};
use link::{Jitter, JitterShape, LossModel, LossUnit, Profile};
use netem::model::fabric::{Endpoint, Fabric};
use netem::model::fates::Fates;
use netem::model::gso::Layout;
use netem::model::wire::{ETHERNET_LEN, VNET_LEN};
use proptest::option;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use units::{Delay, Percent};

const UDP: Protocols = Protocols { ipv4: true, tcp: false, options: 0 };
const NUMBERS: Numbers = Numbers { identification: 0, sequence: 0, flags: 0 };
const HEADERS: usize = VNET_LEN + ETHERNET_LEN + 20 + 8;

/// One packet as it comes out: when, and its number.
type Arrival = (u64, u64);

/// What is to come out of a link for frames of so many packets at such moments, in the order of arrival; and how many
/// packets are lost.
fn foretell(profile: &Profile, seed: u64, frames: &[(u64, u64)]) -> (Vec<Arrival>, u64) {
    let mut fates = Fates::new(profile, seed, "host-0", "host-1");
    let (mut arrivals, mut lost, mut latest, mut number) = (Vec::new(), 0, 0, 0);
    for &(now, packets) in frames {
        let unit = if profile.loss_unit == LossUnit::Packet { 1 } else { packets };
        for first in (number..number + packets).step_by(unit as usize) {
            let fate = fates.next();
            if fate.lost {
                lost += unit;
                continue;
            }
            let mut at = now;
            if !fate.reorder {
                at = (now + profile.delay.nanos()).saturating_add_signed(fate.jitter_ns).max(now);
                if !profile.jitter.is_some_and(|jitter| jitter.reorder) {
                    at = at.max(latest);
                }
            }
            latest = at.max(latest);
            for _ in 0..if fate.duplicate { 2 } else { 1 } {
                arrivals.extend((first..first + unit).map(|number| (at, number)));
            }
        }
        number += packets;
    }
    // Stable: what comes out at the same moment stays in the order in which it went in.
    arrivals.sort_by_key(|(at, _)| *at);
    (arrivals, lost)
}

/// What comes out of the fabric for the same.
fn emulate(profile: Profile, seed: u64, frames: &[(u64, u64)], size: u16) -> (Fabric, Vec<Arrival>) {
    let endpoint = |node: u8| Endpoint {
        name: format!("host-{node}"),
        mac: [2, 0, 10, 0, 0, node],
        addresses: vec![Ipv4Addr::new(10, 0, 0, node).into()],
        broadcast: Ipv4Addr::new(10, 0, 0, 255),
    };
    let endpoints = vec![endpoint(0), endpoint(1)];
    let mut fabric = Fabric::new(endpoints, &[(0, 1, profile).into()], seed, usize::MAX).unwrap();
    let (mut number, mut seen) = (0_u64, Vec::new());
    for &(now, packets) in frames {
        release_until(&mut fabric, now, &mut seen);
        let mut payload = Vec::new();
        for _ in 0..packets {
            payload.extend(number.to_be_bytes());
            payload.resize(payload.len() + usize::from(size) - 8, 0);
            number += 1;
        }
        let mut bytes = frame(UDP, NUMBERS, (0, 1), &payload, (packets > 1).then_some(size));
        fabric.accept(now, 0, &mut bytes, &mut |_, frame| look(frame, now, &mut seen));
    }
    release_until(&mut fabric, u64::MAX, &mut seen);
    (fabric, seen)
}

fn release_until(fabric: &mut Fabric, until: u64, seen: &mut Vec<Arrival>) {
    while let Some(due) = fabric.next_due().filter(|due| *due <= until) {
        while let Some(release) = fabric.release(due) {
            look(&release.held.frame, release.held.due, seen);
        }
    }
}

fn look(frame: &[u8], at: u64, seen: &mut Vec<Arrival>) {
    let segment_len = Layout::parse(frame).map(|layout| layout.shape().segment_len as usize);
    let payloads = frame[HEADERS..].chunks(segment_len.unwrap_or(usize::MAX));
    seen.extend(payloads.map(|payload| (at, u64::from_be_bytes(*payload.first_chunk().unwrap()))));
}

fn shares() -> impl Strategy<Value = Percent> {
    prop_oneof![4 => Just(0.0), 4 => 0.0..0.5, 1 => Just(1.0)]
        .prop_map(|share| Percent::from_fraction(share).unwrap())
}

fn profiles() -> impl Strategy<Value = Profile> {
    let bursts = (shares(), shares(), shares(), shares())
        .prop_map(|(to_bad, to_good, bad, good)| LossModel::GilbertElliott { to_bad, to_good, bad, good });
    let losses = prop_oneof![shares().prop_map(LossModel::Independent), bursts];
    let shapes =
        prop_oneof![Just(JitterShape::Uniform), Just(JitterShape::Normal), Just(JitterShape::Pareto)];
    let jitters = (0_u64..30_000_000, shapes, shares(), any::<bool>()).prop_map(
        |(spread, shape, correlation, reorder)| Jitter {
            spread: Delay::from_nanos(spread),
            shape,
            correlation,
            reorder,
        },
    );
    let units = prop_oneof![Just(LossUnit::Packet), Just(LossUnit::Skb)];
    let delays = prop_oneof![Just(0), 0_u64..20_000_000].prop_map(Delay::from_nanos);
    (delays, losses, units, shares(), shares(), option::of(jitters)).prop_map(
        |(delay, loss, loss_unit, duplicate, reorder, jitter)| Profile {
            delay,
            loss,
            loss_unit,
            duplicate,
            reorder,
            jitter,
            ..Profile::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn packets_fare_as_foretold(
        profile in profiles(),
        frames in prop::collection::vec((prop_oneof![Just(0), 0_u64..5_000_000], 1_u64..40), 1..60),
        size in 8_u16..1472,
        seed: u64,
    ) {
        let mut now = 1_000_000_000;
        let frames: Vec<(u64, u64)> = frames.into_iter().map(|(pause, packets)| { now += pause; (now, packets) }).collect();
        let (arrivals, lost) = foretell(&profile, seed, &frames);
        let (fabric, seen) = emulate(profile, seed, &frames, size);
        let account = fabric.accounts().next().unwrap();
        prop_assert_eq!(account.lost.packets, lost);
        prop_assert_eq!(account.entered.packets + account.duplicated.packets, arrivals.len() as u64 + lost);
        let (mut ours, mut theirs) = (seen.clone(), arrivals.clone());
        ours.sort_unstable();
        theirs.sort_unstable();
        prop_assert_eq!(ours, theirs);
        if profile.jitter.is_none_or(|jitter| !jitter.reorder) && profile.reorder == Percent::NONE {
            prop_assert_eq!(seen, arrivals, "in order");
        }
    }
}
