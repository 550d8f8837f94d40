//! The kernel's own emulation at work.

use crate::bed::{Bed, PORT, address, address6};
use link::{Limit, LossModel, Queue};
use netem::kernel::{self, Abilities, KernelHost};
use netem::{DataPath, LinkSnapshot, LinkSpec, Profile};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

pub(crate) fn hosts() -> Vec<KernelHost> {
    let host = |(number, name): (usize, &str)| KernelHost {
        name: name.to_owned(),
        device: "net0".to_owned(),
        address: address(number),
        address6: Some(address6(number)),
    };
    ["a", "b", "c"].into_iter().enumerate().map(host).collect()
}

fn rate(rate: &str) -> Profile {
    Profile { rate: Some(rate.parse().unwrap()), ..Profile::default() }
}

/// A bed on which the kernel does what `links` say.
struct Shaped {
    bed: Bed,
    links: Vec<LinkSpec>,
}

impl Shaped {
    fn new(links: Vec<LinkSpec>) -> Self {
        let bed = Bed::new(DataPath::Kernel, 3, |_, options| options.congestion = Some("reno".to_owned()));
        let abilities = Abilities::of_machine().unwrap();
        for source in [A, B, C] {
            let lines = kernel::script(&hosts(), &links, source, 7, abilities).unwrap();
            bed.inside(source, || kernel::run(&lines)).unwrap();
        }
        Self { bed, links }
    }

    /// The account of a link once nothing waits in it.
    fn settled(&self, source: usize, destination: usize) -> LinkSnapshot {
        let names = hosts().into_iter().map(|host| host.name).collect::<Vec<_>>();
        let deadline = Instant::now() + crate::bed::PATIENCE;
        loop {
            let read = self.bed.inside(source, || kernel::read_counters("net0", &names, &self.links, source));
            let of_link = |(index, _): &(usize, LinkSnapshot)| self.links[*index].destination == destination;
            let (_, link) = read.unwrap().into_iter().find(of_link).unwrap();
            assert_eq!(
                (link.source.as_str(), link.destination.as_str()),
                (&*names[source], &*names[destination])
            );
            if link.queued.packets == 0 {
                return link;
            }
            assert!(Instant::now() < deadline, "{link:?}");
            thread::yield_now();
        }
    }

    /// Sends `count` datagrams of 1,000 bytes and returns how many arrived, and how long after the first was sent the
    /// last of them did.
    fn datagrams(&self, from: (usize, IpAddr), to: (usize, IpAddr), count: usize) -> (usize, Duration) {
        let (near, far) = (self.bed.udp(from.0, from.1), self.bed.udp(to.0, to.1));
        far.set_nonblocking(true).unwrap();
        let begun = Instant::now();
        let mut arrived = 0;
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                for _ in 0..count {
                    near.send_to(&[5; 1000], (to.1, PORT)).unwrap();
                }
                let _ = self.settled(from.0, to.0);
            });
            loop {
                let over = sending.is_finished();
                while far.recv(&mut [0; 1024]).is_ok() {
                    arrived += 1;
                }
                if over {
                    return;
                }
                thread::yield_now();
            }
        });
        (arrived, begun.elapsed())
    }
}

pub(crate) fn judge() {
    if let Err(error) = kernel::probe(&["tc qdisc add dev net0 root handle 1: htb".to_owned()]) {
        return eprintln!("skipped: {error}");
    }
    rates_are_kept();
    the_whole_is_kept();
    what_is_missing_is_named();
}

fn rates_are_kept() {
    let few = Queue { limit: Limit::Packets(5), ..Queue::default() };
    let shared = |destination| LinkSpec { bottleneck: Some(0), ..(C, destination, rate("80mbit")).into() };
    let shaped = Shaped::new(vec![
        (A, B, rate("20mbit")).into(),
        (A, C, Profile::default()).into(),
        (B, C, Profile { queue: few, ..rate("1mbit") }).into(),
        (B, A, Profile { cut: true, ..Profile::default() }).into(),
        shared(A),
        shared(B),
    ]);
    // 200 datagrams of 1,042 bytes, less the burst of 50,000 bytes, take 63 ms.
    let (arrived, took) = shaped.datagrams((A, address(A).into()), (B, address(B).into()), 200);
    assert_eq!(arrived, 200);
    assert!(took >= Duration::from_millis(60), "{took:?}");
    let link = shaped.settled(A, B);
    assert_eq!((link.delivered.packets, link.delivered.bytes), (200, 200 * 1042), "{link:?}");
    assert_eq!(shaped.settled(A, C).delivered.packets, 0, "another class");
    let (arrived, _) = shaped.datagrams((A, address6(A).into()), (C, address6(C).into()), 50);
    assert_eq!(arrived, 50);
    let link = shaped.settled(A, C);
    assert!(link.delivered.packets >= 50 && link.queue_dropped.packets == 0, "IPv6: {link:?}");
    assert_eq!(shaped.settled(A, B).delivered.packets, 200, "another class");
    let (arrived, _) = shaped.datagrams((B, address(B).into()), (C, address(C).into()), 60);
    let link = shaped.settled(B, C);
    assert_eq!(link.delivered.packets, arrived as u64, "{link:?}");
    assert_eq!(
        (link.entered.packets, link.entered.packets - link.queue_dropped.packets),
        (60, arrived as u64)
    );
    assert!(arrived < 60, "a queue of five packets");
    let (arrived, _) = shaped.datagrams((B, address(B).into()), (A, address(A).into()), 10);
    assert_eq!((arrived, shaped.settled(B, A).cut.packets), (0, 10), "a cut link");
    for to in [A, B] {
        let (mut sender, mut receiver) = shaped.bed.stream(C, to, address(to).into());
        sender.write_all(&vec![1; 300_000]).unwrap();
        drop(sender);
        let mut received = Vec::new();
        receiver.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), 300_000);
        assert!(shaped.settled(C, to).delivered.bytes > 300_000);
    }
}

/// Delay and loss, where the kernel has netem.
fn the_whole_is_kept() {
    let lossy = LossModel::Independent("20%".parse().unwrap());
    let links = vec![
        (A, B, Profile { delay: "20ms".parse().unwrap(), loss: lossy, ..rate("50mbit") }).into(),
        (B, A, Profile { delay: "20ms".parse().unwrap(), ..Profile::default() }).into(),
    ];
    let abilities = Abilities::of_machine().unwrap();
    let lines = kernel::script(&hosts(), &links, A, 7, abilities).unwrap();
    if let Err(error) = kernel::probe(&lines) {
        assert!(error.to_string().contains("sch_netem"), "{error}");
        return eprintln!("skipped: {error}");
    }
    let shaped = Shaped::new(links);
    let (arrived, took) = shaped.datagrams((A, address(A).into()), (B, address(B).into()), 1000);
    assert!(took >= Duration::from_millis(20), "{took:?}");
    // Six standard errors.
    assert!((724..=876).contains(&arrived), "{arrived} of 1,000 at 20 % loss");
    let link = shaped.settled(A, B);
    assert_eq!((link.delivered.packets, link.lost.packets), (arrived as u64, 1000 - arrived as u64));
}

fn what_is_missing_is_named() {
    let error = kernel::probe(&["tc qdisc add dev net0 root handle 1: wonder".to_owned()]).unwrap_err();
    assert!(
        error.to_string().starts_with("this kernel has no sch_wonder, which `tc qdisc replace"),
        "{error}"
    );
    let bed = Bed::new(DataPath::Kernel, 1, |_, _| {});
    let lines = [
        "tc qdisc add dev net0 root handle 1: htb",
        "tc class add dev net0 parent 7: classid 7:1 htb rate 1mbit",
    ];
    let error = bed.inside(0, || kernel::run(&lines.map(str::to_owned))).unwrap_err();
    assert!(error.to_string().contains("`tc class add dev net0 parent 7: classid 7:1"), "{error}");
}
