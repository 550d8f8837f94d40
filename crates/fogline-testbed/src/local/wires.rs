//! What joins the hosts: an emulator, or for comparison the kernel alone.

use super::control::{Order, ToLab};
use super::devices::DEVICE;
use super::network;
use super::rights::Trouble;
use crate::sys::{self, Pid};
use netem::{
    DataPath, Device, DeviceSnapshot, Emulator, EmulatorOptions, LinkSnapshot, LinkSpec, Network, Node,
    Snapshot, kernel,
};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

/// The network between running hosts.
#[derive(Debug)]
pub(crate) enum Wires {
    /// Links emulated by threads of the lab.
    Emulated(Box<Emulator>),
    /// A bridge of the kernel's.
    Bridged(Bridged),
}

/// Devices at a bridge: nothing of the lab moves their packets.
#[derive(Debug)]
pub(crate) struct Bridged {
    path: DataPath,
    seed: u64,
    links: Vec<LinkSpec>,
    names: Vec<String>,
    devices: Vec<Device>,
    hosts: Vec<Pid>,
}

impl Wires {
    /// Joins the devices, one per host in their order.
    pub(crate) fn start(
        order: &Order,
        path: DataPath,
        devices: Vec<Device>,
        hosts: &[Pid],
    ) -> Result<Self, Trouble> {
        let names: Vec<String> = order.hosts.iter().map(|host| host.name.clone()).collect();
        let links = order.links.iter().map(network::link).collect();
        if !path.is_emulated() {
            let (seed, hosts) = (order.seed, hosts.to_vec());
            return Ok(Self::Bridged(Bridged { path, seed, links, names, devices, hosts }));
        }
        let nodes = order.hosts.iter().zip(names).zip(devices);
        let nodes =
            nodes.map(|((host, name), device)| Node { name, address: host.address, device }).collect();
        let options = EmulatorOptions { workers: order.workers, ..EmulatorOptions::default() };
        Emulator::start_with(Network { nodes, links, seed: order.seed }, &options)
            .map(|emulator| Self::Emulated(Box::new(emulator)))
            .map_err(Trouble::failed("starting the link emulator"))
    }

    /// The counters, as far as there are some.
    pub(crate) fn snapshot(&self) -> Snapshot {
        match self {
            Self::Emulated(emulator) => emulator.snapshot(),
            Self::Bridged(bridged) => bridged.snapshot(),
        }
    }

    /// What the links do now.
    pub(crate) fn profiles(&self) -> io::Result<Vec<link::Profile>> {
        match self {
            Self::Emulated(emulator) => emulator.profiles(),
            Self::Bridged(Bridged { path: DataPath::Kernel, links, .. }) => {
                Ok(links.iter().map(|link| link.profile).collect())
            }
            Self::Bridged(bridged) => Ok(bridged.links.iter().map(|_| link::Profile::default()).collect()),
        }
    }

    /// Changes links as asked.
    pub(crate) fn change(&self, asked: &ToLab) -> io::Result<()> {
        let emulator = match self {
            Self::Emulated(emulator) => emulator,
            Self::Bridged(bridged) => {
                let path = bridged.path;
                return Err(io::Error::other(format!("links cannot be changed on the data path {path}")));
            }
        };
        match asked {
            ToLab::Alter { links, patch } => emulator.alter(links, patch),
            ToLab::Heal { links } => emulator.heal(links),
            ToLab::Play(changes) => emulator.play(changes),
            ToLab::Rest => emulator.rest(),
            _ => Err(io::Error::other("this is no change of links")),
        }
    }

    /// Takes everything down.
    pub(crate) fn stop(self) {
        match self {
            Self::Emulated(emulator) => drop(emulator.stop()),
            Self::Bridged(bridged) => drop(bridged),
        }
    }
}

impl Bridged {
    fn snapshot(&self) -> Snapshot {
        let device = |(node, device): (&String, &Device)| DeviceSnapshot {
            node: node.clone(),
            congestion: device.congestion().to_owned(),
            ..DeviceSnapshot::default()
        };
        let (links, failure) = match self.path {
            DataPath::Kernel => self.counted().map_or_else(|why| (Vec::new(), Some(why)), |it| (it, None)),
            _ => (Vec::new(), None),
        };
        Snapshot {
            data_path: self.path.mechanism().to_owned(),
            offload: self.devices.first().map_or("", Device::offload).to_owned(),
            seed: self.seed,
            links,
            devices: self.names.iter().zip(&self.devices).map(device).collect(),
            failure,
            ..Snapshot::default()
        }
    }

    /// What the hosts' kernels counted, by a thread that visits them.
    fn counted(&self) -> Result<Vec<LinkSnapshot>, String> {
        let mut counted = vec![LinkSnapshot::default(); self.links.len()];
        let sources: BTreeSet<usize> = self.links.iter().map(|link| link.source).collect();
        let visit = || -> Result<(), String> {
            for source in sources {
                let host = self.hosts.get(source).ok_or("a link from nowhere")?;
                let process = host.descriptor().map_err(|error| error.to_string())?;
                sys::enter(process.as_fd(), libc::CLONE_NEWNET).map_err(|error| error.to_string())?;
                let of_host = kernel::read_counters(DEVICE, &self.names, &self.links, source);
                for (link, snapshot) in of_host.map_err(|error| error.to_string())? {
                    counted[link] = snapshot;
                }
            }
            Ok(())
        };
        let visited = std::thread::scope(|scope| scope.spawn(visit).join());
        visited.unwrap_or_else(|_| Err("a thread panicked".to_owned()))?;
        Ok(counted)
    }
}
