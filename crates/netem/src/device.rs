//! A node's network device in the calling thread's network namespace, configured for emulation.

mod error;
mod host;
mod offload;
mod path;
mod tap;

pub use error::{DeviceError, user_namespace_obstacle};
pub(crate) use error::{refused, refused_namespace, refused_pair};
pub use path::{DataPath, UnknownPath};

use crate::netlink::{self, DeviceDrops, Netlink};
use crate::switch::{Cable, Switch, is_narrow};
use crate::sys;
use error::refused_socket;
use host::{Granted, Wanted};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use units::Size;

/// Longest name of a network device, bytes.
const NAME_LEN_MAX: usize = 15;

/// How to make a [`Device`].
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// How its packets travel.
    pub path: DataPath,
    /// Where it is plugged in; needed by all paths but [`DataPath::Tap`], and the same for all hosts of a network.
    pub switch: Option<Arc<Switch>>,
    /// IPv6 address and prefix length.
    pub address6: Option<(Ipv6Addr, u8)>,
    /// TCP congestion control of everything that leaves by the device (`cubic`, `bbr`, `reno`); the
    /// namespace's own when absent.
    pub congestion: Option<String>,
    /// Another congestion control for connections with these addresses.
    pub congestion_to: Vec<(IpAddr, String)>,
    /// Most that one TCP connection of the namespace may have under way, the kernel's own structures included; at least
    /// 64 KiB.
    pub send_buffer: Size,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// Frames that may wait for the emulator to read them. With the kernel's usual 500 or 1,000 it drops
    /// packets that the emulated network would not.
    pub queue_len: u32,
    /// The character device to open for a TAP. May name an `O_PATH` descriptor opened earlier, as `/proc/self/fd/9`.
    pub tun: PathBuf,
}

impl Default for DeviceOptions {
    /// A TAP of `/dev/net/tun`, MTU 1500, a queue of 10,000 frames, send buffers of 64 MiB, IPv4, the namespace's congestion control.
    fn default() -> Self {
        Self {
            path: DataPath::Tap,
            switch: None,
            address6: None,
            congestion: None,
            congestion_to: Vec::new(),
            send_buffer: Size::from_bytes(64 << 20),
            mtu: 1500,
            queue_len: 10_000,
            tun: PathBuf::from("/dev/net/tun"),
        }
    }
}

/// A host's device. Dropping a TAP removes it from its namespace; the others go with their [`Switch`].
#[derive(Debug)]
pub struct Device {
    path: DataPath,
    /// The emulator's end, where there is one.
    end: Option<File>,
    /// Where the far end of a virtual Ethernet pair is, under the same index.
    switch: Option<Arc<Switch>>,
    netlink: Netlink,
    name: String,
    index: u32,
    mac: [u8; 6],
    broadcast: Ipv4Addr,
    offload: &'static str,
    granted: Granted,
}

impl Device {
    /// Makes, configures and brings up a device named `name` with `address`/`prefix_len` **in the calling thread's
    /// network namespace**, and the namespace's `lo` beside it. The device may then be moved to any thread.
    ///
    /// Configured are: the addresses; the on-link and multicast routes, with the congestion control asked for;
    /// no ARP and no neighbour discovery where there is an emulator, which addresses frames itself; the queue length;
    /// TCP buffers that don't limit a path of 1 gbit/s and 200 ms; ping without privileges. What of the last two, of
    /// IPv6 and of the congestion control the kernel refuses is not an error but is told by
    /// [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// [`DeviceError`] names the missing right and its remedy.
    pub fn create(
        name: &str,
        address: Ipv4Addr,
        prefix_len: u8,
        options: &DeviceOptions,
    ) -> Result<Self, DeviceError> {
        if options.path == DataPath::Tap {
            let tun = tap::open(&options.tun)?;
            return Self::adopt(tun.into(), name, address, prefix_len, options);
        }
        check(name, address, prefix_len, options)?;
        let switch = options.switch.as_ref().ok_or(DeviceError::NoSwitch { path: options.path })?;
        let mut warnings = host::tune_namespace(options);
        let mut netlink = open_netlink(name)?;
        let mac = mac_of(address);
        let no_arp = options.path.is_emulated();
        let cable = Cable { name, mac, mtu: options.mtu, queue_len: options.queue_len, no_arp };
        let index = switch.plug(&mut netlink, &cable)?;
        let (mut end, mut offload) = (None, "kernel");
        if options.path == DataPath::Packet {
            match offload::limit(name) {
                Ok(limited) => offload = limited,
                Err(error) => warnings.push(format!("{UNLIMITED} ({error})")),
            }
            let (socket, room) = switch.open(index).map_err(|source| refused_socket(name, source))?;
            if is_narrow(room) {
                warnings.push(narrow_room(room));
            }
            end = Some(socket);
        } else {
            switch.bridge(index)?;
        }
        let wanted = Wanted { name, index, address, prefix_len, options };
        let granted = host::configure(&mut netlink, &wanted, Vec::new(), warnings)?;
        // The kernel notices in its own time that both ends are up, and drops what is sent before. To answer a question
        // about an end it has to notice (`rtnl_getlink` of Linux 6.8).
        let noticed = netlink.drops(index).and_then(|_| switch.drops(index));
        noticed.map_err(|source| refused(name, "ask for its state", source))?;
        Ok(Self {
            path: options.path,
            end,
            switch: Some(Arc::clone(switch)),
            netlink,
            name: name.to_owned(),
            index,
            mac,
            broadcast: netlink::broadcast_of(address, prefix_len),
            offload,
            granted,
        })
    }

    /// As [`create`](Self::create) of a TAP, with `/dev/net/tun` opened by the caller. The kernel makes the device in
    /// the network namespace where it was **opened**, which must be the calling thread's.
    ///
    /// # Errors
    /// [`DeviceError`] names the missing right and its remedy.
    pub fn adopt(
        tun: OwnedFd,
        name: &str,
        address: Ipv4Addr,
        prefix_len: u8,
        options: &DeviceOptions,
    ) -> Result<Self, DeviceError> {
        check(name, address, prefix_len, options)?;
        let warnings = host::tune_namespace(options);
        let tun = File::from(tun);
        let offload = tap::attach(&tun, name)?;
        let mut netlink = open_netlink(name)?;
        let index = sys::device_index(name).map_err(|source| refused(name, "find its index", source))?;
        let mac = mac_of(address);
        let first = vec![
            ("set MAC, MTU and queue length", netlink::configure(index, mac, options.mtu, options.queue_len)),
            ("bring it up", netlink::bring_up(index)),
        ];
        let wanted = Wanted { name, index, address, prefix_len, options };
        let granted = host::configure(&mut netlink, &wanted, first, warnings)?;
        Ok(Self {
            path: DataPath::Tap,
            end: Some(tun),
            switch: None,
            netlink,
            name: name.to_owned(),
            index,
            mac,
            broadcast: netlink::broadcast_of(address, prefix_len),
            offload,
            granted,
        })
    }

    /// How its packets travel.
    pub const fn path(&self) -> DataPath {
        self.path
    }

    /// The device's name in its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device's Ethernet address.
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// The IPv6 address that was asked for, if the kernel granted it.
    pub const fn address6(&self) -> Option<Ipv6Addr> {
        self.granted.address6
    }

    /// The IPv6 link-local address that the kernel derives from the Ethernet address (RFC 4291, appendix A).
    pub fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.mac;
        Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
    }

    /// The broadcast address of the device's subnet.
    pub const fn broadcast(&self) -> Ipv4Addr {
        self.broadcast
    }

    /// The offloads that the kernel granted: `csum+tso+uso`, `csum+tso`, `csum` or `none`; `kernel` where no emulator
    /// sees the packets.
    pub const fn offload(&self) -> &'static str {
        self.offload
    }

    /// The TCP congestion control in force on the device's routes.
    pub fn congestion(&self) -> &str {
        &self.granted.congestion
    }

    /// The destinations with a congestion control of their own, those refused left out.
    pub fn congestion_to(&self) -> &[(IpAddr, String)] {
        &self.granted.congestion_to
    }

    /// What was asked for and refused, in words.
    pub fn warnings(&self) -> &[String] {
        &self.granted.warnings
    }

    /// Separates what moves packets from what watches the device; `node` is whose device it is. Nothing moves the
    /// packets of a bridged device.
    pub(crate) fn split(self, node: String) -> io::Result<(File, Probe)> {
        let Self { path, end, switch, netlink, index, offload, granted, .. } = self;
        let not_emulated = || {
            let text = format!("the device of {node} is a {path} device, which no emulator serves");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        let end = end.ok_or_else(not_emulated)?;
        let far = switch.map(|switch| FarEnd { switch, socket_dropped: 0 });
        let congestion = granted.congestion;
        Ok((end, Probe { node, path, offload, congestion, index, netlink, far }))
    }
}

/// The view of a device from beside its packets.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) node: String,
    pub(crate) path: DataPath,
    pub(crate) offload: &'static str,
    pub(crate) congestion: String,
    index: u32,
    netlink: Netlink,
    far: Option<FarEnd>,
}

/// Where the emulator is, at the end of a virtual Ethernet pair.
#[derive(Debug)]
struct FarEnd {
    switch: Arc<Switch>,
    socket_dropped: u64,
}

impl Probe {
    /// Frames that the kernel dropped between host and emulator since the device was made; `end` is the emulator's.
    pub(crate) fn drops(&mut self, end: &File) -> io::Result<DeviceDrops> {
        let mut drops = self.netlink.drops(self.index)?;
        if let Some(far) = &mut self.far {
            // The kernel forgets what it has told.
            far.socket_dropped += sys::packet_drops(end)?;
            drops.transmit += far.socket_dropped;
            drops.receive += far.switch.drops(self.index)?.transmit;
        }
        Ok(drops)
    }
}

const UNLIMITED: &str = "super-packets that the emulator can't read, as of tunnels and SCTP, stay on";

fn narrow_room(room: u64) -> String {
    format!(
        "only {} KiB may wait for the emulator: bursts are dropped; `sudo sysctl net.core.rmem_max=8388608`",
        room / 1024
    )
}

fn open_netlink(name: &str) -> Result<Netlink, DeviceError> {
    Netlink::open().map_err(|source| refused(name, "open a netlink socket", source))
}

/// A locally administered address that shows the IPv4 address: 10.0.3.7 has 02:00:0a:00:03:07.
const fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0, a, b, c, d]
}

/// Refuses what the kernel would.
fn check(name: &str, address: Ipv4Addr, prefix_len: u8, options: &DeviceOptions) -> Result<(), DeviceError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let sound = (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(allowed);
    if !sound || name == "." || name == ".." {
        return Err(DeviceError::BadName { name: name.to_owned() });
    }
    if !(1..=32).contains(&prefix_len) {
        return Err(DeviceError::BadPrefix { address: address.into(), prefix_len, longest: 32 });
    }
    match options.address6 {
        Some((address6, prefix_len)) if !(1..=128).contains(&prefix_len) => {
            Err(DeviceError::BadPrefix { address: address6.into(), prefix_len, longest: 128 })
        }
        _ => Ok(()),
    }
}
