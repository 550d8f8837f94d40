//! Namespaces with an emulated network between them.

use netem::{
    DataPath, Device, DeviceOptions, Emulator, EmulatorOptions, LinkSnapshot, LinkSpec, Network, Node,
    Profile, Switch,
};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The port of all sockets.
pub(crate) const PORT: u16 = 7000;
/// How long anything may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The address of a host.
pub(crate) const fn address(host: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a4d_0001 + host as u32)
}

/// The unique local IPv6 address of a host.
pub(crate) const fn address6(host: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, host as u16 + 1)
}

/// Where a host's socket is.
pub(crate) fn socket_address(host: usize) -> SocketAddr {
    (address(host), PORT).into()
}

/// The result of a system call.
pub(crate) fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives a datagram, however often a signal comes in between.
pub(crate) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Makes room for datagrams that arrive while a busy machine keeps their reader waiting.
fn widen(socket: &UdpSocket) {
    let room: i32 = 8 << 20;
    for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
        // SAFETY: the option's value is one int, which outlives the call. Where the second is refused the first holds.
        unsafe {
            let value = (&raw const room).cast();
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, size_of::<i32>() as u32);
        }
    }
}

/// What a bed may have otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Threads of the emulator.
    pub(crate) workers: usize,
    /// Whether hosts speak IPv6, which sends some packets unasked.
    pub(crate) ipv6: bool,
    /// How packets travel.
    pub(crate) path: DataPath,
}

impl Default for Terms {
    fn default() -> Self {
        Self { workers: 1, ipv6: true, path: DataPath::Tap }
    }
}

/// Namespaces with an emulated network between them.
pub(crate) struct Bed {
    namespaces: Vec<File>,
    pub(crate) emulator: Emulator,
    names: Vec<String>,
}

impl Bed {
    /// As many hosts as given names, all using TCP Reno.
    pub(crate) fn new(tun: &Path, names: &[String], links: Vec<(usize, usize, Profile)>) -> Self {
        let links = links.into_iter().map(Into::into).collect();
        Self::with(tun, names, links, Terms::default())
    }

    /// As [`new`](Self::new), on other terms. `tun` matters to [`DataPath::Tap`] only.
    pub(crate) fn with(tun: &Path, names: &[String], links: Vec<LinkSpec>, terms: Terms) -> Self {
        let path = terms.path;
        let options = DeviceOptions {
            path,
            switch: path.needs_switch().then(|| Arc::new(Switch::create().expect("a switch"))),
            tun: tun.to_owned(),
            congestion: Some("reno".to_owned()),
            ..DeviceOptions::default()
        };
        let (mut namespaces, mut nodes) = (Vec::new(), Vec::new());
        for (host, name) in names.iter().enumerate() {
            let made = thread::scope(|scope| {
                let made = scope.spawn(|| -> io::Result<_> {
                    // SAFETY: unshare takes an integer only and affects this short-lived thread alone.
                    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
                    if !terms.ipv6 {
                        std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
                    }
                    let namespace = File::open("/proc/thread-self/ns/net")?;
                    let address6 = terms.ipv6.then(|| (address6(host), 64));
                    let options = DeviceOptions { address6, ..options.clone() };
                    let device = Device::create("net0", address(host), 16, &options).expect("a device");
                    Ok((namespace, device))
                });
                made.join().expect("no panic")
            });
            let (namespace, device) = made.expect("a namespace");
            assert_eq!(device.warnings(), [""; 0], "all that was asked for is granted");
            assert_eq!(device.congestion(), "reno");
            namespaces.push(namespace);
            nodes.push(Node { name: name.clone(), address: address(host), device });
        }
        let options = EmulatorOptions { workers: terms.workers, ..EmulatorOptions::default() };
        let network = Network { nodes, links, seed: 20_260_101 };
        let emulator = Emulator::start_with(network, &options).unwrap();
        Self { namespaces, emulator, names: names.to_vec() }
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

    /// A datagram socket of a host.
    pub(crate) fn udp(&self, host: usize) -> UdpSocket {
        let socket = self.inside(host, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        widen(&socket);
        socket
    }

    /// The account of a link since the start, once all that entered has left and at least `packets` entered.
    pub(crate) fn settled(&self, source: usize, destination: usize, packets: u64) -> LinkSnapshot {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let link = self.link(source, destination);
            if link.entered.packets >= packets && link.queued.packets == 0 {
                return link;
            }
            assert!(Instant::now() < deadline, "{packets} packets expected: {link:?}");
            thread::yield_now();
        }
    }

    /// The account of a link at this moment.
    pub(crate) fn link(&self, source: usize, destination: usize) -> LinkSnapshot {
        let snapshot = self.emulator.snapshot();
        let wanted = |link: &LinkSnapshot| {
            (link.source.as_str(), link.destination.as_str())
                == (self.names[source].as_str(), self.names[destination].as_str())
        };
        snapshot.links.into_iter().find(wanted).expect("a link")
    }

    /// A connection between two hosts over IPv4: the sending end and the receiving end.
    pub(crate) fn stream(&self, from: usize, to: usize) -> (TcpStream, TcpStream) {
        self.connection(from, to, socket_address(to))
    }

    /// A connection of a host to an address of another.
    pub(crate) fn connection(&self, from: usize, to: usize, address: SocketAddr) -> (TcpStream, TcpStream) {
        let listener = self.inside(to, || TcpListener::bind(address).unwrap());
        let sender = self.inside(from, || TcpStream::connect_timeout(&address, PATIENCE).unwrap());
        let (receiver, _) = listener.accept().unwrap();
        sender.set_write_timeout(Some(PATIENCE)).unwrap();
        receiver.set_read_timeout(Some(PATIENCE)).unwrap();
        (sender, receiver)
    }
}
