//! The largest and the smallest numbers: no overflow, nothing early, all accounts balanced at all times.

use crate::frames::{Numbers, Protocols, frame};
use link::{
    Action, Change, Discipline, Jitter, JitterShape, Limit, LossModel, LossUnit, Patch, Profile, Queue,
    Schedule, Step, Trace,
};
use netem::LinkSpec;
use netem::model::fabric::{Endpoint, Fabric};
use proptest::option;
use proptest::prelude::*;
use std::net::Ipv4Addr;
use units::{Delay, Percent, Rate, Size};

const NODES: u8 = 3;

fn extreme() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![Just(0), Just(1), Just(1_000_000), Just(i64::MAX as u64), Just(u64::MAX)]
}

fn delays() -> impl Strategy<Value = Delay> + Clone {
    extreme().prop_map(Delay::from_nanos)
}

fn rates() -> impl Strategy<Value = Rate> + Clone {
    extreme().prop_map(|bits| Rate::from_bits_per_s(bits.max(1)).unwrap())
}

fn shares() -> impl Strategy<Value = Percent> + Clone {
    prop_oneof![Just("0%"), Just("0.0000001%"), Just("50%"), Just("100%")]
        .prop_map(|share| share.parse().unwrap())
}

fn losses() -> impl Strategy<Value = LossModel> {
    let bursts = (shares(), shares(), shares(), shares())
        .prop_map(|(to_bad, to_good, bad, good)| LossModel::GilbertElliott { to_bad, to_good, bad, good });
    prop_oneof![shares().prop_map(LossModel::Independent), bursts]
}

fn queues() -> impl Strategy<Value = Queue> {
    let limits = prop_oneof![
        prop_oneof![Just(0), Just(1), Just(u32::MAX)].prop_map(Limit::Packets),
        extreme().prop_map(|bytes| Limit::Bytes(Size::from_bytes(bytes))),
        delays().prop_map(Limit::Time),
    ];
    let codel = (delays(), delays()).prop_map(|(target, interval)| Discipline::Codel { target, interval });
    (limits, prop_oneof![Just(Discipline::DropTail), codel])
        .prop_map(|(limit, discipline)| Queue { limit, discipline })
}

fn jitters() -> impl Strategy<Value = Jitter> {
    let shapes =
        prop_oneof![Just(JitterShape::Uniform), Just(JitterShape::Normal), Just(JitterShape::Pareto)];
    (delays(), shapes, shares(), any::<bool>()).prop_map(|(spread, shape, correlation, reorder)| Jitter {
        spread,
        shape,
        correlation,
        reorder,
    })
}

fn patches() -> impl Strategy<Value = Patch> {
    let mishaps = (option::of(shares()), option::of(shares()), option::of(shares()), option::of(losses()));
    let rest = (option::of(queues()), option::of(any::<bool>()));
    (option::of(delays()), option::of(jitters()), option::of(rates()), mishaps, rest).prop_map(
        |(delay, jitter, rate, (reorder, duplicate, corrupt, loss), (queue, cut))| Patch {
            delay,
            jitter,
            rate,
            loss,
            reorder,
            duplicate,
            corrupt,
            queue,
            cut,
        },
    )
}

fn profiles() -> impl Strategy<Value = Profile> {
    (patches(), any::<bool>(), any::<bool>()).prop_map(|(patch, ecn, skb)| {
        let loss_unit = if skb { LossUnit::Skb } else { LossUnit::Packet };
        patch.applied_to(&Profile { ecn, loss_unit, ..Profile::default() })
    })
}

fn changes() -> impl Strategy<Value = Change> {
    let step = (delays(), option::of(rates()), option::of(delays()), option::of(shares()))
        .prop_map(|(at, rate, delay, loss)| Step { at, rate, delay, loss });
    let actions = prop_oneof![
        patches().prop_map(Action::Alter),
        prop::collection::vec(extreme(), 0..4).prop_map(|moments| Action::Follow(Trace::Deliveries(moments))),
        prop::collection::vec(step, 0..4).prop_map(|steps| Action::Follow(Trace::Steps(steps))),
    ];
    let schedules = (delays(), option::of(delays()), option::of(delays()))
        .prop_map(|(at, lasts, every)| Schedule { at, lasts, every });
    (schedules, prop::collection::vec(prop_oneof![9 => 0_usize..6, 1 => Just(usize::MAX)], 0..4), actions)
        .prop_map(|(schedule, links, action)| Change { schedule, links, action })
}

#[derive(Clone, Debug)]
enum Deed {
    Send { source: usize, packets: usize },
    Alter { link: usize, patch: Patch },
    Play(Vec<Change>),
    Rest,
}

fn deeds() -> impl Strategy<Value = Vec<(u64, Deed)>> {
    let send =
        (0..usize::from(NODES), 1_usize..8).prop_map(|(source, packets)| Deed::Send { source, packets });
    let deed = prop_oneof![
        6 => send,
        1 => (0_usize..6, patches()).prop_map(|(link, patch)| Deed::Alter { link, patch }),
        2 => prop::collection::vec(changes(), 0..3).prop_map(Deed::Play),
        1 => Just(Deed::Rest),
    ];
    let pauses = prop_oneof![Just(0), Just(1), Just(1_000_000), Just(200_000_000)];
    prop::collection::vec((pauses, deed), 1..30)
}

/// Links between all nodes, some of which share bottlenecks.
fn links() -> impl Strategy<Value = Vec<LinkSpec>> {
    let pairs = (0..usize::from(NODES)).flat_map(|from| (0..usize::from(NODES)).map(move |to| (from, to)));
    let pairs: Vec<(usize, usize)> = pairs.filter(|(from, to)| from != to).collect();
    prop::collection::vec((profiles(), option::of(0_usize..2)), pairs.len()).prop_map(move |specs| {
        let spec = |((from, to), (profile, bottleneck)): (&(usize, usize), (Profile, Option<usize>))| {
            LinkSpec { bottleneck, ..LinkSpec::from((*from, *to, profile)) }
        };
        pairs.iter().zip(specs).map(spec).collect()
    })
}

fn endpoint(node: u8) -> Endpoint {
    Endpoint {
        name: format!("host-{node}"),
        mac: [2, 0, 10, 0, 0, node],
        addresses: vec![Ipv4Addr::new(10, 0, 0, node).into()],
        broadcast: Ipv4Addr::new(10, 0, 0, 255),
    }
}

fn assert_accounts(fabric: &Fabric) {
    for account in fabric.accounts() {
        let parts = [
            account.delivered,
            account.lost,
            account.cut,
            account.queue_dropped,
            account.codel_dropped,
            account.memory_dropped,
            account.queued,
        ];
        let packets: u64 = parts.iter().map(|tally| tally.packets).sum();
        let bytes: u64 = parts.iter().map(|tally| tally.bytes).sum();
        assert_eq!(account.entered.packets + account.duplicated.packets, packets);
        assert_eq!(account.entered.bytes + account.duplicated.bytes, bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn extreme_numbers_break_nothing(
        links in links(),
        deeds in deeds(),
        begin in prop_oneof![Just(0), Just(1), Just(1_u64 << 62)],
        memory in prop_oneof![Just(0), Just(10_000), Just(usize::MAX)],
        seed: u64,
    ) {
        let mut fabric = Fabric::new((0..NODES).map(endpoint).collect(), &links, seed, memory).unwrap();
        let mut now = begin;
        for (pause, deed) in deeds {
            now += pause;
            match deed {
                Deed::Send { source, packets } => {
                    let protocols = Protocols { ipv4: true, tcp: false, options: 0 };
                    let numbers = Numbers { identification: 0, sequence: 0, flags: 0 };
                    // To all others, so that all its links have to do.
                    let mut bytes = frame(protocols, numbers, (source as u8, 255), &vec![1; packets * 900], Some(900));
                    fabric.accept(now, source, &mut bytes, &mut |_, _| ());
                }
                Deed::Alter { link, patch } => fabric.alter(now, link, &patch).unwrap(),
                // Nonsense is refused, and all goes on.
                Deed::Play(changes) => drop(fabric.play(now, &changes)),
                Deed::Rest => fabric.rest(now),
            }
            assert_accounts(&fabric);
            prop_assert!(fabric.memory() <= memory);
            while let Some(release) = fabric.release(now) {
                prop_assert!(release.held.due <= now);
                assert_accounts(&fabric);
            }
            prop_assert!(fabric.next_due().is_none_or(|due| due > now));
            for link in 0..links.len() {
                fabric.profile(link).unwrap();
            }
        }
    }
}

#[test]
fn the_greatest_rate_carries_without_end() {
    let profile = Profile { rate: Rate::from_bits_per_s(u64::MAX), ..Profile::default() };
    let mut fabric =
        Fabric::new((0..2).map(endpoint).collect(), &[(0, 1, profile).into()], 1, usize::MAX).unwrap();
    let protocols = Protocols { ipv4: true, tcp: false, options: 0 };
    let numbers = Numbers { identification: 0, sequence: 0, flags: 0 };
    let bytes = frame(protocols, numbers, (0, 1), &[1; 40 * 1472], Some(1472));
    let frames = 50_000;
    let mut passed = 0;
    for _ in 0..frames {
        fabric.accept(1, 0, &mut bytes.clone(), &mut |_, _| passed += 1);
    }
    assert_eq!(passed, frames);
}
