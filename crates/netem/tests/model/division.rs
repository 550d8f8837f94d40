//! A network whose links are divided by their senders, as among the workers of an emulator, does to the same packets
//! what it does as a whole.

use crate::frames::{Numbers, Protocols, frame};
use link::{Discipline, Jitter, JitterShape, Limit, LossModel, Queue};
use netem::model::fabric::{Endpoint, Fabric};
use netem::model::link::Account;
use netem::{LinkSpec, Profile};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use units::{Delay, Percent, Rate};

const NODES: usize = 4;
const UDP: Protocols = Protocols { ipv4: true, tcp: false, options: 0 };

fn share(most: f64) -> impl Strategy<Value = Percent> {
    (0.0..most).prop_map(|share| Percent::from_fraction(share).unwrap())
}

fn jitters() -> impl Strategy<Value = Jitter> {
    (0_u64..5_000_000, share(0.9), any::<bool>()).prop_map(|(spread, correlation, reorder)| Jitter {
        spread: Delay::from_nanos(spread),
        shape: JitterShape::Normal,
        correlation,
        reorder,
    })
}

fn profiles() -> impl Strategy<Value = Profile> {
    let rate = prop::option::of(
        (1_000_000_u64..2_000_000_000).prop_map(|bits| Rate::from_bits_per_s(bits).unwrap()),
    );
    let codel = Discipline::Codel { target: Delay::from_millis(1), interval: Delay::from_millis(5) };
    let queue = (1_u32..100, prop_oneof![Just(Discipline::DropTail), Just(codel)]);
    let mishaps = (share(0.3), share(0.2), share(0.2), share(0.2), prop::option::of(jitters()));
    (0_u64..10_000_000, rate, queue, mishaps).prop_map(|(delay, rate, (packets, discipline), mishaps)| {
        let (loss, duplicate, corrupt, reorder, jitter) = mishaps;
        let loss = LossModel::Independent(loss);
        let queue = Queue { limit: Limit::Packets(packets), discipline };
        let delay = Delay::from_nanos(delay);
        Profile { delay, rate, queue, loss, duplicate, corrupt, reorder, jitter, ..Profile::default() }
    })
}

/// Links for some of the ordered pairs; those of one sender may share a bottleneck.
fn networks() -> impl Strategy<Value = Vec<LinkSpec>> {
    let cell = prop::option::of((profiles(), any::<bool>(), prop::option::of(any::<u64>())));
    prop::collection::vec(cell, NODES * NODES).prop_map(|table| {
        let pairs = table.into_iter().enumerate().filter(|(cell, _)| cell / NODES != cell % NODES);
        let link = |(cell, link): (usize, Option<(Profile, bool, Option<u64>)>)| {
            let (profile, shared, seed) = link?;
            let (source, destination) = (cell / NODES, cell % NODES);
            Some(LinkSpec { source, destination, profile, bottleneck: shared.then_some(source), seed })
        };
        pairs.filter_map(link).collect()
    })
}

/// A frame: the pause before it in nanoseconds, sender, receiver, packets.
type Sending = (u64, usize, usize, usize);

fn sendings() -> impl Strategy<Value = Vec<Sending>> {
    prop::collection::vec((0_u64..2_000_000, 0..NODES, 0..NODES, 1_usize..20), 1..60)
}

/// What came out, as (time, receiver, frame), in any order; and the account of each link.
type Outcome = (Vec<(u64, usize, Vec<u8>)>, Vec<Account>);

/// Sends everything through a network of which the links of each sender are in the part that `owners` says.
fn outcome(links: &[LinkSpec], sendings: &[Sending], seed: u64, owners: &[usize; NODES]) -> Outcome {
    let endpoint = |node: usize| Endpoint {
        name: format!("host-{node}"),
        mac: [2, 0, 10, 0, 0, node as u8],
        addresses: vec![Ipv4Addr::new(10, 0, 0, node as u8).into()],
        broadcast: Ipv4Addr::new(10, 0, 0, 255),
    };
    let owned = |part: usize| links.iter().copied().filter(move |link| owners[link.source] == part);
    let mut parts: Vec<Fabric> = (0..NODES)
        .map(|part| {
            let links: Vec<LinkSpec> = owned(part).collect();
            Fabric::new((0..NODES).map(endpoint).collect(), &links, seed, usize::MAX).unwrap()
        })
        .collect();
    let mut out = Vec::new();
    let mut now = 1_000_000_000;
    let release = |parts: &mut Vec<Fabric>, until: u64, out: &mut Vec<_>| {
        for part in parts {
            while let Some(due) = part.next_due().filter(|due| *due <= until) {
                while let Some(release) = part.release(due) {
                    out.push((release.held.due, release.node, release.held.frame));
                }
            }
        }
    };
    for (number, (pause, source, destination, packets)) in sendings.iter().enumerate() {
        now += pause;
        release(&mut parts, now, &mut out);
        let payload = vec![number as u8; packets * 1000];
        let numbers = Numbers { identification: number as u16, sequence: 0, flags: 0 };
        let hosts = (*source as u8, *destination as u8);
        let mut frame = frame(UDP, numbers, hosts, &payload, (*packets > 1).then_some(1000));
        let mut send = |node: usize, frame: &[u8]| out.push((now, node, frame.to_vec()));
        parts[owners[*source]].accept(now, *source, &mut frame, &mut send);
    }
    release(&mut parts, u64::MAX, &mut out);
    out.sort_unstable();
    let mut accounts: Vec<_> =
        parts.iter().map(|part| part.accounts().collect::<Vec<_>>().into_iter()).collect();
    let accounts = links.iter().filter_map(|link| accounts[owners[link.source]].next()).collect();
    (out, accounts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn fates_do_not_depend_on_the_division(
        links in networks(),
        sendings in sendings(),
        seed: u64,
        owners in prop::array::uniform4(0..NODES),
    ) {
        let whole = outcome(&links, &sendings, seed, &[0; NODES]);
        prop_assert!(whole.1.len() == links.len());
        prop_assert!(whole == outcome(&links, &sendings, seed, &owners));
        prop_assert!(whole == outcome(&links, &sendings, seed, &[0, 1, 2, 3]));
    }
}
