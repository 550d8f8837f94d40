//! The hosts' network devices, made in the hosts' namespaces by threads of the lab.

use super::control::{HostOrder, Order};
use super::network;
use super::rights::{Right, Trouble};
use crate::sys::{self, Pid};
use netem::kernel::{self, Abilities, KernelHost};
use netem::{DataPath, Device, DeviceError, DeviceOptions, LinkSpec, Switch};
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use units::Size;

/// Threads that make devices; more only wait for the kernel's lock on networks.
const THREADS: usize = 4;
/// What every host calls its device.
pub(crate) const DEVICE: &str = "net0";
/// Length of the IPv6 prefix that all hosts share: the rest is the IPv4 address.
const PREFIX6: u8 = 96;

/// The way that packets are to travel, found before the lab's store may cover the TUN device node.
#[derive(Debug)]
pub(crate) struct Way {
    path: DataPath,
    tun: PathBuf,
    /// The node, not opened for use: that is the hosts' networks' business.
    found: Option<File>,
    /// Why it is not a TAP, where that would have been the first choice.
    second: Option<Trouble>,
}

/// A way with all that devices need.
pub(crate) struct Plugged<'a> {
    way: &'a Way,
    switch: Option<Arc<Switch>>,
    /// What each host's kernel is told, where it emulates the links.
    scripts: Vec<Vec<String>>,
}

impl Way {
    /// The way that was asked for; else TAPs where the node can be opened, and packet sockets where not, with a note.
    pub(crate) fn find(order: &Order) -> (Self, Vec<String>) {
        let tun = order.tun.clone();
        let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&tun).ok();
        let opened = OpenOptions::new().read(true).write(true).open(&tun);
        let (path, refused) = match (order.path, opened) {
            (Some(path), _) => (path, None),
            (None, Ok(_)) => (DataPath::Tap, None),
            (None, Err(error)) => (DataPath::Packet, Some(tun_error(&tun, &error))),
        };
        let notes = refused
            .iter()
            .map(|error| format!("packets travel by packet sockets, which is slower than by TAPs: {error}"))
            .collect();
        let second = refused.map(|error| Trouble::device(&error));
        (Self { path, tun, found, second }, notes)
    }

    pub(crate) const fn path(&self) -> DataPath {
        self.path
    }

    /// Makes what devices plug into, and finds out whether the kernel can do what it is to do.
    pub(crate) fn plug(&self, order: &Order) -> Result<Plugged<'_>, Trouble> {
        let switch = if self.path.needs_switch() {
            Some(Arc::new(Switch::create().map_err(|error| self.explain(error))?))
        } else {
            None
        };
        let scripts = if self.path == DataPath::Kernel { scripts(order)? } else { Vec::new() };
        Ok(Plugged { way: self, switch, scripts })
    }

    fn current_path(&self) -> PathBuf {
        let held = |file: &File| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.found.as_ref().map_or_else(|| self.tun.clone(), held)
    }

    /// The trouble with a device: with the path by which the user knows the node, and with both ways where none works.
    fn explain(&self, error: DeviceError) -> Trouble {
        let path = self.tun.clone();
        let trouble = Trouble::device(&match error {
            DeviceError::NoTun { .. } => DeviceError::NoTun { path },
            DeviceError::TunForbidden { .. } => DeviceError::TunForbidden { path },
            other => other,
        });
        match &self.second {
            Some(second) => second.clone().or(trouble),
            None => trouble,
        }
    }
}

/// What each host's kernel is told.
fn scripts(order: &Order) -> Result<Vec<Vec<String>>, Trouble> {
    let failed = |error: &dyn std::fmt::Display| Trouble::Failed(error.to_string());
    let hosts: Vec<KernelHost> = order
        .hosts
        .iter()
        .map(|host| KernelHost {
            name: host.name.clone(),
            device: DEVICE.to_owned(),
            address: host.address,
            address6: Some(host.address6),
        })
        .collect();
    let links: Vec<LinkSpec> = order.links.iter().map(network::link).collect();
    let abilities = Abilities::of_machine().map_err(|error| failed(&error))?;
    let script = |source| kernel::script(&hosts, &links, source, order.seed, abilities);
    let scripts: Vec<Vec<String>> =
        (0..hosts.len()).map(script).collect::<Result<_, _>>().map_err(|error| failed(&error))?;
    kernel::probe(&scripts.concat()).map_err(|error| failed(&error))?;
    Ok(scripts)
}

/// Why a TUN device node cannot be opened.
fn tun_error(path: &Path, error: &std::io::Error) -> DeviceError {
    let path = path.to_owned();
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => DeviceError::TunForbidden { path },
        _ => DeviceError::NoTun { path },
    }
}

type Made = Vec<(usize, Device)>;

/// Devices in the making.
pub(crate) struct Devices<'scope> {
    threads: Vec<ScopedJoinHandle<'scope, Result<Made, Trouble>>>,
}

impl<'scope> Devices<'scope> {
    /// Starts the threads. What is sent are indices of hosts that have a network of their own; the threads end when the
    /// sender is dropped.
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        order: &'env Order,
        plugged: &'env Plugged<'env>,
        hosts: &'env [Pid],
    ) -> (Self, SyncSender<usize>) {
        let (sender, separated) = mpsc::sync_channel(hosts.len());
        let separated = Arc::new(Mutex::new(separated));
        let threads = (0..THREADS.min(hosts.len()))
            .map(|_| {
                let separated = Arc::clone(&separated);
                scope.spawn(move || make_some(order, plugged, hosts, &separated))
            })
            .collect();
        (Self { threads }, sender)
    }

    /// Waits for all devices; in the order of the hosts.
    pub(crate) fn collect(self) -> Result<Vec<Device>, Trouble> {
        let mut made = Vec::new();
        for thread in self.threads {
            let panicked = |_| Trouble::Failed("a thread that makes devices panicked".to_owned());
            made.extend(thread.join().map_err(panicked)??);
        }
        made.sort_by_key(|(index, _)| *index);
        Ok(made.into_iter().map(|(_, device)| device).collect())
    }
}

fn make_some(
    order: &Order,
    plugged: &Plugged<'_>,
    hosts: &[Pid],
    separated: &Mutex<Receiver<usize>>,
) -> Result<Made, Trouble> {
    let mut made = Vec::new();
    loop {
        let next = separated.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(index) = next else { return Ok(made) };
        let (Some(host), Some(pid)) = (order.hosts.get(index), hosts.get(index)) else { continue };
        let device = make(host, *pid, order, plugged).and_then(|device| {
            let script = plugged.scripts.get(index).map_or(&[][..], Vec::as_slice);
            let told = kernel::run(script).map_err(|error| Trouble::Failed(error.to_string()));
            told.map(|()| device)
        });
        made.push((index, device.map_err(|trouble| trouble.on(&host.name))?));
    }
}

fn make(host: &HostOrder, pid: Pid, order: &Order, plugged: &Plugged<'_>) -> Result<Device, Trouble> {
    let process = pid.descriptor().map_err(Trouble::failed("opening its first process"))?;
    sys::enter(process.as_fd(), libc::CLONE_NEWNET)
        .map_err(Trouble::step(Right::Namespaces, "entering its network namespace"))?;
    let options = DeviceOptions {
        path: plugged.way.path,
        switch: plugged.switch.clone(),
        address6: Some((host.address6, PREFIX6)),
        congestion: order.congestion.clone(),
        congestion_to: host.congestion_to.clone(),
        send_buffer: Size::from_bytes(host.send_buffer_bytes),
        tun: plugged.way.current_path(),
        ..DeviceOptions::default()
    };
    let device = Device::create(DEVICE, host.address, order.prefix, &options)
        .map_err(|error| plugged.way.explain(error))?;
    check_congestion(&device, host, order)?;
    Ok(device)
}

/// Congestion control decides what a lossy link carries, so another one than asked for is no substitute.
fn check_congestion(device: &Device, host: &HostOrder, order: &Order) -> Result<(), Trouble> {
    let (usual, special) = (device.congestion(), device.congestion_to());
    let general = order.congestion.iter().filter(|asked| *asked != usual);
    let to_some = host
        .congestion_to
        .iter()
        // Without IPv6 there is nothing to control there.
        .filter(|(address, _)| address.is_ipv4() || device.address6().is_some())
        .filter(|asked| !special.contains(asked));
    let Some(asked) = general.chain(to_some.map(|(_, asked)| asked)).next() else { return Ok(()) };
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    Err(Trouble::Failed(format!(
        "the kernel refuses the congestion control {asked}; it has {}; load another with `sudo modprobe tcp_{asked}`",
        available.as_deref().map_or("none to tell", str::trim)
    )))
}
