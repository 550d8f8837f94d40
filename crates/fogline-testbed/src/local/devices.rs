//! The hosts' network devices, made in the hosts' namespaces by threads of the lab.

use super::control::{HostOrder, Order};
use super::rights::{Right, Trouble};
use crate::sys::{self, Pid};
use netem::{Device, DeviceError, DeviceOptions};
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

/// Threads that make devices; more only wait for the kernel's lock on networks.
const THREADS: usize = 4;

/// The TUN device node, found before the lab's store may cover its path.
#[derive(Debug)]
pub(crate) struct Tun {
    path: PathBuf,
    found: Option<File>,
}

impl Tun {
    /// Holds the node, without opening it for use: that is the hosts' networks' business.
    pub(crate) fn find(path: &Path) -> Self {
        let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok();
        Self { path: path.to_owned(), found }
    }

    fn current_path(&self) -> PathBuf {
        let held = |file: &File| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.found.as_ref().map_or_else(|| self.path.clone(), held)
    }

    /// The trouble with a device, with the path by which the user knows the node.
    fn explain(&self, error: DeviceError) -> Trouble {
        let path = self.path.clone();
        Trouble::device(&match error {
            DeviceError::NoTun { .. } => DeviceError::NoTun { path },
            DeviceError::TunForbidden { .. } => DeviceError::TunForbidden { path },
            other => other,
        })
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
        tun: &'env Tun,
        hosts: &'env [Pid],
    ) -> (Self, Sender<usize>) {
        let (sender, separated) = mpsc::channel();
        let separated = Arc::new(Mutex::new(separated));
        let threads = (0..THREADS.min(hosts.len()))
            .map(|_| {
                let separated = Arc::clone(&separated);
                scope.spawn(move || make_some(order, tun, hosts, &separated))
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
    tun: &Tun,
    hosts: &[Pid],
    separated: &Mutex<Receiver<usize>>,
) -> Result<Made, Trouble> {
    let mut made = Vec::new();
    loop {
        let next = separated.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(index) = next else { return Ok(made) };
        let (Some(host), Some(pid)) = (order.hosts.get(index), hosts.get(index)) else { continue };
        made.push((index, make(host, *pid, order, tun).map_err(|trouble| trouble.on(&host.name))?));
    }
}

fn make(host: &HostOrder, pid: Pid, order: &Order, tun: &Tun) -> Result<Device, Trouble> {
    let process = pid.descriptor().map_err(Trouble::failed("opening its first process"))?;
    sys::enter(process.as_fd(), libc::CLONE_NEWNET)
        .map_err(Trouble::step(Right::Namespaces, "entering its network namespace"))?;
    let options = DeviceOptions {
        congestion: order.congestion.clone(),
        tun: tun.current_path(),
        ..DeviceOptions::default()
    };
    let device =
        Device::create("net0", host.address, order.prefix, &options).map_err(|error| tun.explain(error))?;
    check_congestion(&device, order)?;
    Ok(device)
}

/// Congestion control decides what a lossy link carries, so another one than asked for is no substitute.
fn check_congestion(device: &Device, order: &Order) -> Result<(), Trouble> {
    let Some(asked) = order.congestion.as_deref().filter(|asked| *asked != device.congestion()) else {
        return Ok(());
    };
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    Err(Trouble::Failed(format!(
        "the kernel refuses the congestion control {asked}; it has {}; load another with `sudo modprobe tcp_{asked}`",
        available.as_deref().map_or("none to tell", str::trim)
    )))
}
