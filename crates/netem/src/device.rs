//! A node's network device: a TAP in the calling thread's network namespace, configured for emulation.

mod error;

pub use error::{DeviceError, user_namespace_obstacle};

use crate::netlink::{self, DeviceDrops, Netlink};
use crate::sys;
use error::{attach_error, refused};
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// `TUN_F_*` of `linux/if_tun.h`: unfinished work that a frame may carry.
const CSUM: u32 = 0x01;
const TSO4: u32 = 0x02;
const TSO6: u32 = 0x04;
const TSO_ECN: u32 = 0x08;
const USO4: u32 = 0x20;
const USO6: u32 = 0x40;

/// What is asked of the kernel, the best first. USO needs Linux 6.2.
const OFFLOADS: [(u32, &str); 4] = [
    (CSUM | TSO4 | TSO6 | TSO_ECN | USO4 | USO6, "csum+tso+uso"),
    (CSUM | TSO4 | TSO6 | TSO_ECN, "csum+tso"),
    (CSUM, "csum"),
    (0, "none"),
];

/// Receive and send buffers of TCP (least, initial, most; bytes) that leave 1 gbit/s over a round trip of
/// 200 ms, 25 MB in flight, to the congestion control rather than to the window.
const TCP_RMEM: &str = "4096 131072 67108864";
const TCP_WMEM: &str = "4096 65536 67108864";

/// Longest name of a network device, bytes.
const NAME_LEN_MAX: usize = 15;

/// How to make a [`Device`].
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// TCP congestion control of everything that leaves by the device (`cubic`, `bbr`, `reno`); the
    /// namespace's own when absent.
    pub congestion: Option<String>,
    /// Largest IP packet, bytes.
    pub mtu: u32,
    /// Frames that may wait for the emulator to read them. With the kernel's usual 500 or 1,000 it drops
    /// packets that the emulated network would not.
    pub queue_len: u32,
    /// The character device to open. May name an `O_PATH` descriptor opened earlier, as `/proc/self/fd/9`.
    pub tun: PathBuf,
}

impl Default for DeviceOptions {
    /// MTU 1500, a queue of 10,000 frames, `/dev/net/tun`, the namespace's congestion control.
    fn default() -> Self {
        Self { congestion: None, mtu: 1500, queue_len: 10_000, tun: PathBuf::from("/dev/net/tun") }
    }
}

/// A TAP with its emulator's end. Dropping it removes it from its namespace.
#[derive(Debug)]
pub struct Device {
    tun: File,
    netlink: Netlink,
    name: String,
    index: u32,
    mac: [u8; 6],
    broadcast: Ipv4Addr,
    offload: &'static str,
    congestion: String,
    warnings: Vec<String>,
}

impl Device {
    /// Makes, configures and brings up a TAP named `name` with `address`/`prefix_len` **in the calling thread's
    /// network namespace**, and the namespace's `lo` beside it. The device may then be moved to any thread.
    ///
    /// Configured are: the address; the on-link and a multicast route, with the congestion control asked for;
    /// no ARP (the emulator addresses frames itself); the queue length; TCP buffers that don't limit a path of
    /// 1 gbit/s and 200 ms; ping without privileges. What of the last two and of the congestion control the
    /// kernel refuses is not an error but is told by [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// [`DeviceError`] names the missing right and its remedy.
    pub fn create(
        name: &str,
        address: Ipv4Addr,
        prefix_len: u8,
        options: &DeviceOptions,
    ) -> Result<Self, DeviceError> {
        let tun = open_tun(&options.tun)?;
        Self::adopt(tun.into(), name, address, prefix_len, options)
    }

    /// As [`create`](Self::create), with `/dev/net/tun` opened by the caller. The kernel makes the device in
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
        if !is_device_name(name) {
            return Err(DeviceError::BadName { name: name.to_owned() });
        }
        if !(1..=32).contains(&prefix_len) {
            return Err(DeviceError::BadPrefix { address, prefix_len });
        }
        let tun = File::from(tun);
        sys::attach_tap(&tun, name).map_err(|source| attach_error(name, source))?;
        let offload = negotiate_offload(&tun).map_err(|source| refused(name, "set offloads", source))?;
        sys::set_nonblocking(&tun).map_err(|source| refused(name, "read without blocking", source))?;
        let netlink = Netlink::open().map_err(|source| refused(name, "open a netlink socket", source))?;
        let (mac, broadcast) = (mac_of(address), netlink::broadcast_of(address, prefix_len));
        let warnings = Vec::new();
        let congestion = String::new();
        let mut device = Self {
            tun,
            netlink,
            name: name.to_owned(),
            index: 0,
            mac,
            broadcast,
            offload,
            congestion,
            warnings,
        };
        device.configure(address, prefix_len, options)?;
        device.tune_namespace();
        Ok(device)
    }

    fn configure(
        &mut self,
        address: Ipv4Addr,
        prefix_len: u8,
        options: &DeviceOptions,
    ) -> Result<(), DeviceError> {
        let name = self.name.clone();
        let step = |step| move |source| refused(&name, step, source);
        let netlink = &mut self.netlink;
        let loopback = netlink.index_of("lo").map_err(step.clone()("find lo"))?;
        netlink.bring_up(loopback).map_err(step.clone()("bring lo up"))?;
        self.index = netlink.index_of(&self.name).map_err(step.clone()("find its index"))?;
        let index = self.index;
        netlink
            .configure(index, self.mac, options.mtu, options.queue_len)
            .map_err(step.clone()("set MAC, MTU and queue length"))?;
        netlink.bring_up(index).map_err(step.clone()("bring it up"))?;
        netlink.add_address(index, address, prefix_len).map_err(step.clone()("add its address"))?;
        self.congestion = default_congestion();
        let asked = options.congestion.as_deref();
        for prefix in [(address, prefix_len), (Ipv4Addr::new(224, 0, 0, 0), 4)] {
            match netlink.add_route(index, address, prefix, asked) {
                Ok(()) => self.congestion = asked.unwrap_or(&self.congestion).to_owned(),
                Err(error) if asked.is_some() => {
                    netlink.add_route(index, address, prefix, None).map_err(step.clone()("add a route"))?;
                    self.warnings.push(format!(
                        "congestion control {} refused ({error}); {} is used",
                        asked.unwrap_or_default(),
                        self.congestion
                    ));
                }
                Err(error) => return Err(step("add a route")(error)),
            }
        }
        self.warnings.dedup();
        Ok(())
    }

    /// Sets what belongs to the namespace and not to the device; refusals become warnings.
    fn tune_namespace(&mut self) {
        for (setting, value) in [("tcp_rmem", TCP_RMEM), ("tcp_wmem", TCP_WMEM)] {
            if let Err(error) = std::fs::write(format!("/proc/sys/net/ipv4/{setting}"), value) {
                self.warnings.push(format!(
                    "net.ipv4.{setting} stays as it is ({error}): fast long paths are limited"
                ));
            }
        }
        // In a user namespace only groups that are mapped can be named; often that is one.
        let own = sys::effective_group();
        let ranges = ["0 2147483647".to_owned(), format!("0 {own}"), format!("{own} {own}")];
        let opened =
            ranges.iter().any(|range| std::fs::write("/proc/sys/net/ipv4/ping_group_range", range).is_ok());
        if !opened {
            self.warnings.push("net.ipv4.ping_group_range is refused: ping may need privileges".to_owned());
        }
    }

    /// The device's name in its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device's Ethernet address.
    pub const fn mac(&self) -> [u8; 6] {
        self.mac
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

    /// The offloads that the kernel granted: `csum+tso+uso`, `csum+tso`, `csum` or `none`.
    pub const fn offload(&self) -> &'static str {
        self.offload
    }

    /// The TCP congestion control in force on the device's routes.
    pub fn congestion(&self) -> &str {
        &self.congestion
    }

    /// What was asked for and refused, in words.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Separates what moves packets from what watches the device; `node` is whose device it is.
    pub(crate) fn split(self, node: String) -> (File, Probe) {
        let Self { tun, netlink, index, offload, congestion, .. } = self;
        (tun, Probe { node, offload, congestion, index, netlink })
    }
}

/// The view of a device from beside its packets.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) node: String,
    pub(crate) offload: &'static str,
    pub(crate) congestion: String,
    index: u32,
    netlink: Netlink,
}

impl Probe {
    /// Frames that the kernel dropped at the device since it was made.
    pub(crate) fn drops(&mut self) -> io::Result<DeviceDrops> {
        self.netlink.drops(self.index)
    }
}

/// The namespace's own congestion control, `unknown` where the kernel does not tell.
fn default_congestion() -> String {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")
        .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// A locally administered address that shows the IPv4 address: 10.0.3.7 has 02:00:0a:00:03:07.
const fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0, a, b, c, d]
}

fn is_device_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(allowed) && name != "." && name != ".."
}

fn open_tun(path: &Path) -> Result<File, DeviceError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO | libc::ENOTDIR) => {
            DeviceError::NoTun { path: path.to_owned() }
        }
        Some(libc::EACCES | libc::EPERM) => DeviceError::TunForbidden { path: path.to_owned() },
        _ => refused(&path.display().to_string(), "open it", error),
    })
}

fn negotiate_offload(tun: &File) -> io::Result<&'static str> {
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for (flags, label) in OFFLOADS {
        match sys::set_offload(tun, flags) {
            Ok(()) => return Ok(label),
            Err(error) => last = error,
        }
    }
    Err(last)
}
