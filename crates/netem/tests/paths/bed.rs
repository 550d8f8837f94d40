//! Namespaces that any path may join.

use netem::{DataPath, Device, DeviceOptions, Emulator, Network, Node, Switch};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub(crate) const PORT: u16 = 7000;
/// How long anything may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The addresses of a host.
pub(crate) const fn address(host: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a4d_0001 + host as u32)
}

pub(crate) const fn address6(host: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 1 + host as u16)
}

/// Hosts joined by a path.
pub(crate) struct Bed {
    namespaces: Vec<File>,
    /// Serves the devices, or only keeps them.
    _network: Kept,
}

enum Kept {
    Emulated { _emulator: Box<Emulator> },
    Bridged { _devices: Vec<Device> },
}

/// The result of a system call.
pub(crate) fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs `work` on a thread in a network namespace of its own, which is returned.
pub(crate) fn in_new_network<T: Send>(work: impl FnOnce() -> T + Send) -> (File, T) {
    thread::scope(|scope| {
        let made = scope.spawn(|| {
            // SAFETY: unshare takes an integer only and affects this short-lived thread alone.
            check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).unwrap();
            (File::open("/proc/thread-self/ns/net").unwrap(), work())
        });
        made.join().expect("no panic")
    })
}

impl Bed {
    /// As many hosts, their devices made by `with` the options that it changes for each.
    pub(crate) fn new(path: DataPath, hosts: usize, with: impl Fn(usize, &mut DeviceOptions) + Sync) -> Self {
        let switch = path.needs_switch().then(|| Arc::new(Switch::create().unwrap()));
        let (namespaces, devices): (Vec<_>, Vec<_>) = (0..hosts)
            .map(|host| {
                in_new_network(|| {
                    let address6 = Some((address6(host), 64));
                    let switch = switch.clone();
                    let mut options = DeviceOptions { path, switch, address6, ..DeviceOptions::default() };
                    with(host, &mut options);
                    let device = Device::create("net0", address(host), 16, &options).unwrap();
                    assert_eq!(device.warnings(), [""; 0], "all that was asked for is granted");
                    device
                })
            })
            .unzip();
        let network = if path.is_emulated() {
            let node = |(host, device)| Node { name: format!("h{host}"), address: address(host), device };
            let nodes = devices.into_iter().enumerate().map(node).collect();
            let emulator = Emulator::start(Network { nodes, links: Vec::new(), seed: 1 }).unwrap();
            Kept::Emulated { _emulator: Box::new(emulator) }
        } else {
            Kept::Bridged { _devices: devices }
        };
        Self { namespaces, _network: network }
    }

    /// Runs `work` on a thread inside the namespace of `host`.
    pub(crate) fn inside<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        let namespace = &self.namespaces[host];
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: the descriptor is open for the call; only this short-lived thread moves.
                check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).unwrap();
                work()
            });
            thread.join().expect("no panic")
        })
    }

    /// A datagram socket of a host, for both families.
    pub(crate) fn udp(&self, host: usize, address: IpAddr) -> UdpSocket {
        let socket = self.inside(host, || UdpSocket::bind((address, PORT)).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// A connection to the `address` of host `to`: the sending end and the receiving end.
    pub(crate) fn stream(&self, from: usize, to: usize, address: IpAddr) -> (TcpStream, TcpStream) {
        let address: SocketAddr = (address, PORT).into();
        let listener = self.inside(to, || TcpListener::bind(address).unwrap());
        let sender = self.inside(from, || TcpStream::connect_timeout(&address, PATIENCE).unwrap());
        let (receiver, _) = listener.accept().unwrap();
        sender.set_write_timeout(Some(PATIENCE)).unwrap();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        (sender, receiver)
    }
}
