//! From a description of the network to running workers.

use super::{Emulator, EmulatorOptions, Hand};
use crate::device::Probe;
use crate::model::fabric::{Endpoint, Fabric};
use crate::punctuality::DelayGroups;
use crate::shards::Shards;
use crate::sys;
use crate::worker::{Assignment, Worker};
use crate::{DeviceSnapshot, LinkSnapshot, LinkSpec, Network, Node, Snapshot};
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

/// Commands that may wait for a worker, which takes all of them whenever it wakes up. Who finds no room is told that
/// it does not answer.
const COMMANDS_MAX: usize = 64;

pub(super) fn launch(network: Network, options: &EmulatorOptions) -> io::Result<Emulator> {
    let Network { nodes, links, seed } = network;
    let (endpoints, taps, probes) = take_apart(nodes)?;
    let shards = Shards::new(endpoints.len(), &links, options.workers);
    let groups = DelayGroups::new(&links);
    let last = first_snapshot(&endpoints, &links, &groups, &probes, seed);
    let mut emulator = Emulator {
        hands: Vec::new(),
        taps: Arc::new(taps),
        probes: Mutex::new(probes),
        last: Mutex::new(Snapshot::default()),
        shards,
    };
    let memory = usize::try_from(options.memory.bytes()).unwrap_or(usize::MAX);
    let start = Instant::now();
    let workers = emulator.shards.workers();
    let mut timer = "";
    for number in workers.clone() {
        let own = emulator.shards.links(number);
        let fabric = new_fabric(endpoints.clone(), &links, own, seed, memory / workers.len())?;
        let assignment = Assignment {
            fabric,
            groups: groups.part(own),
            taps: Arc::clone(&emulator.taps),
            nodes: emulator.shards.nodes(number).collect(),
        };
        let wake = Arc::new(sys::event_counter()?);
        let (commands, orders) = mpsc::sync_channel(COMMANDS_MAX);
        let worker = Worker::new(assignment, Arc::clone(&wake), orders, start)?;
        timer = worker.timer_name();
        let name = format!("netem-{number}");
        let thread = thread::Builder::new().name(name).spawn(move || worker.run())?;
        emulator.hands.push(Hand { commands, wake, thread: Some(thread) });
    }
    emulator.last = Mutex::new(Snapshot { timer: timer.to_owned(), ..last });
    Ok(emulator)
}

fn take_apart(nodes: Vec<Node>) -> io::Result<(Vec<Endpoint>, Vec<File>, Vec<Probe>)> {
    let mut endpoints = Vec::with_capacity(nodes.len());
    let mut taps = Vec::with_capacity(nodes.len());
    let mut probes = Vec::with_capacity(nodes.len());
    for node in nodes {
        let mut addresses = vec![node.address.into(), node.device.link_local().into()];
        addresses.extend(node.device.address6().map(IpAddr::from));
        let (mac, broadcast) = (node.device.mac(), node.device.broadcast());
        endpoints.push(Endpoint { name: node.name.clone(), mac, addresses, broadcast });
        let (tap, probe) = node.device.split(node.name)?;
        taps.push(tap);
        probes.push(probe);
    }
    Ok((endpoints, taps, probes))
}

/// The network as a worker with some of the links knows it.
fn new_fabric(
    endpoints: Vec<Endpoint>,
    links: &[LinkSpec],
    own: &[usize],
    seed: u64,
    memory: usize,
) -> io::Result<Fabric> {
    let own: Vec<LinkSpec> = own.iter().map(|link| links[*link]).collect();
    Fabric::new(endpoints, &own, seed, memory)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn first_snapshot(
    endpoints: &[Endpoint],
    links: &[LinkSpec],
    groups: &DelayGroups,
    probes: &[Probe],
    seed: u64,
) -> Snapshot {
    let name = |node: usize| endpoints.get(node).map(|endpoint| endpoint.name.clone()).unwrap_or_default();
    let links = links.iter().map(|link| LinkSnapshot {
        source: name(link.source),
        destination: name(link.destination),
        delay_ns: link.profile.delay.nanos(),
        ..LinkSnapshot::default()
    });
    let distinct = |mut words: Vec<&str>| {
        words.sort_unstable();
        words.dedup();
        words.join(", ")
    };
    let device = |probe: &Probe| DeviceSnapshot {
        node: probe.node.clone(),
        congestion: probe.congestion.clone(),
        ..DeviceSnapshot::default()
    };
    Snapshot {
        data_path: distinct(probes.iter().map(|probe| probe.path.mechanism()).collect()),
        offload: distinct(probes.iter().map(|probe| probe.offload).collect()),
        seed,
        by_delay: groups.empty(),
        links: links.collect(),
        devices: probes.iter().map(device).collect(),
        ..Snapshot::default()
    }
}
