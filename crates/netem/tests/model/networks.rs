//! Networks of all kinds: links with every property, shared bottlenecks, changes over time.

use link::{
    Action, Change, Discipline, Jitter, JitterShape, Limit, LossModel, LossUnit, Patch, Queue, Schedule,
    Step, Trace,
};
use netem::model::fabric::Endpoint;
use netem::{LinkSpec, Profile};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use units::{Delay, Percent, Rate, Size};

/// Hosts of the networks here.
pub(crate) const NODES: usize = 3;

/// So many hosts, at 10.0.0.`n` and fd00::`n`.
pub(crate) fn endpoints(count: usize) -> Vec<Endpoint> {
    let endpoint = |node: usize| Endpoint {
        name: format!("host-{node}"),
        mac: [2, 0, 10, 0, 0, node as u8],
        addresses: vec![
            Ipv4Addr::new(10, 0, 0, node as u8).into(),
            Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, node as u16).into(),
        ],
        broadcast: Ipv4Addr::new(10, 0, 0, 255),
    };
    (0..count).map(endpoint).collect()
}

/// Links without anything shared.
pub(crate) fn specs(links: &[(usize, usize, Profile)]) -> Vec<LinkSpec> {
    links.iter().copied().map(LinkSpec::from).collect()
}

/// A queue of so many bytes.
pub(crate) fn room(bytes: u64) -> Queue {
    Queue { limit: Limit::Bytes(Size::from_bytes(bytes)), ..Queue::default() }
}

pub(crate) fn rate(bits_per_s: u64) -> Rate {
    Rate::from_bits_per_s(bits_per_s).unwrap()
}

fn delays(most_ns: u64) -> impl Strategy<Value = Delay> {
    prop_oneof![1 => Just(Delay::ZERO), 4 => (0..most_ns).prop_map(Delay::from_nanos)]
}

fn rates() -> impl Strategy<Value = Rate> {
    prop_oneof![100_000_u64..5_000_000, 5_000_000_u64..2_000_000_000].prop_map(rate)
}

fn shares() -> impl Strategy<Value = Percent> {
    (0.0..0.6_f64).prop_map(|share| Percent::from_fraction(share).unwrap())
}

fn mishaps() -> impl Strategy<Value = Percent> {
    prop_oneof![3 => Just(Percent::NONE), 1 => shares()]
}

fn losses() -> impl Strategy<Value = LossModel> {
    let bursts = (shares(), shares(), shares(), shares());
    prop_oneof![
        2 => Just(LossModel::default()),
        2 => shares().prop_map(LossModel::Independent),
        1 => bursts.prop_map(|(to_bad, to_good, bad, good)| LossModel::GilbertElliott { to_bad, to_good, bad, good }),
    ]
}

fn jitters() -> impl Strategy<Value = Jitter> {
    let shapes =
        prop_oneof![Just(JitterShape::Uniform), Just(JitterShape::Normal), Just(JitterShape::Pareto)];
    (delays(10_000_000), shapes, shares(), any::<bool>())
        .prop_map(|(spread, shape, correlation, reorder)| Jitter { spread, shape, correlation, reorder })
}

/// How much room a queue has.
pub(crate) fn limits() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (0_u64..200_000).prop_map(|bytes| Limit::Bytes(Size::from_bytes(bytes))),
        (0_u32..100).prop_map(Limit::Packets),
        delays(50_000_000).prop_map(Limit::Time),
    ]
}

/// Queues of all kinds.
pub(crate) fn queues() -> impl Strategy<Value = Queue> {
    let codel = (0_u64..5_000_000, 1_000_000_u64..50_000_000).prop_map(|(target, interval)| {
        Discipline::Codel { target: Delay::from_nanos(target), interval: Delay::from_nanos(interval) }
    });
    let disciplines = prop_oneof![Just(Discipline::DropTail), codel];
    (limits(), disciplines).prop_map(|(limit, discipline)| Queue { limit, discipline })
}

/// Links of all kinds.
pub(crate) fn profiles() -> impl Strategy<Value = Profile> {
    let pace = (delays(20_000_000), prop::option::of(rates()), queues(), any::<bool>(), any::<bool>());
    let chances = (losses(), mishaps(), mishaps(), mishaps(), prop::option::weighted(0.25, jitters()));
    (pace, chances, prop::bool::weighted(0.05)).prop_map(|(pace, chances, cut)| {
        let (delay, rate, queue, ecn, skb) = pace;
        let (loss, reorder, duplicate, corrupt, jitter) = chances;
        let loss_unit = if skb { LossUnit::Skb } else { LossUnit::Packet };
        Profile { delay, jitter, rate, loss, loss_unit, reorder, duplicate, corrupt, queue, ecn, cut }
    })
}

/// Links for some of the ordered pairs; some share a bottleneck, some have a seed of their own.
pub(crate) fn networks() -> impl Strategy<Value = Vec<LinkSpec>> {
    let link =
        (profiles(), prop::option::weighted(0.4, 0_usize..2), prop::option::weighted(0.2, any::<u64>()));
    prop::collection::vec(prop::option::weighted(0.8, link), NODES * NODES).prop_map(|table| {
        let spec = |(cell, link)| {
            let (source, destination) = (cell / NODES, cell % NODES);
            let (profile, bottleneck, seed) = Option::filter(link, |_| source != destination)?;
            Some(LinkSpec { source, destination, profile, bottleneck, seed })
        };
        table.into_iter().enumerate().filter_map(spec).collect()
    })
}

fn few<T: std::fmt::Debug + Clone>(values: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.2, values)
}

/// Patches of all kinds.
pub(crate) fn patches() -> impl Strategy<Value = Patch> {
    let one = (few(delays(20_000_000)), few(jitters()), few(rates()), few(losses()), few(mishaps()));
    let other = (few(mishaps()), few(mishaps()), few(queues()), few(any::<bool>()));
    (one, other).prop_map(|((delay, jitter, rate, loss, reorder), (duplicate, corrupt, queue, cut))| Patch {
        delay,
        jitter,
        rate,
        loss,
        reorder,
        duplicate,
        corrupt,
        queue,
        cut,
    })
}

/// The moments of a recording of deliveries, milliseconds.
pub(crate) fn moments() -> impl Strategy<Value = Vec<u64>> {
    (prop::collection::vec(0_u64..10, 0..12), 1_u64..10).prop_map(|(mut moments, last)| {
        moments.push(last);
        moments.sort_unstable();
        moments
    })
}

fn traces() -> impl Strategy<Value = Trace> {
    let step = (0_u64..8_000_000, few(rates()), few(delays(20_000_000)), few(shares()));
    let steps = prop::collection::vec(step, 1..5).prop_map(|rows| {
        let mut at = 0;
        let steps = rows.into_iter().map(|(pause, rate, delay, loss)| {
            let step = Step { at: Delay::from_nanos(at), rate, delay, loss };
            at += pause + 1;
            step
        });
        Trace::Steps(steps.collect())
    });
    prop_oneof![moments().prop_map(Trace::Deliveries), steps]
}

/// Timelines of all kinds for so many links.
pub(crate) fn timelines(links: usize) -> impl Strategy<Value = Vec<Change>> {
    let schedule = (delays(60_000_000), prop::option::of(0_u64..30), prop::option::of(1_u64..30));
    let schedule = schedule.prop_map(|(at, lasts, every)| Schedule {
        at,
        lasts: lasts.map(Delay::from_millis),
        every: every.map(Delay::from_millis),
    });
    let action = prop_oneof![patches().prop_map(Action::Alter), traces().prop_map(Action::Follow)];
    let change = (schedule, prop::collection::vec(0..links, 0..3), action);
    let change = change.prop_map(|(schedule, links, action)| Change { schedule, links, action });
    prop::collection::vec(change, 0..5)
}
