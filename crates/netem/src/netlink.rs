//! The few route netlink requests that a device needs, written by hand after `linux/netlink.h`,
//! `linux/rtnetlink.h`, `linux/if_link.h` and `linux/if_addr.h`. Unlike the `ioctl`s of old they are all
//! permitted in an unprivileged user namespace that owns the network namespace.

use crate::sys;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;
const HEADER_LEN: usize = 16;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_CREATE_REPLACE: u16 = 0x400 | 0x100;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_TXQLEN: u16 = 13;
const IFLA_STATS64: u16 = 23;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PREFSRC: u16 = 7;
const RTA_METRICS: u16 = 8;
const RTAX_CC_ALGO: u16 = 16;
const NLA_F_NESTED: u16 = 0x8000;
const RT_SCOPE_LINK: u8 = 253;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
const IFF_UP: u32 = 0x1;
const IFF_NOARP: u32 = 0x80;

/// How long an answer of the kernel may take, seconds. It normally comes before `write` returns.
const ANSWER_S: i64 = 5;

/// A conversation with the kernel about one network namespace, the one it was opened in.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: File,
    sequence: u32,
}

/// Frames that the kernel dropped at a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceDrops {
    /// On the way from the host to the emulator: the device's queue was full.
    pub(crate) transmit: u64,
    /// On the way from the emulator to the host.
    pub(crate) receive: u64,
}

impl Netlink {
    /// Opens it in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: sys::netlink_socket(ANSWER_S)?, sequence: 0 })
    }

    /// Sends one request and returns the payload of the kernel's answer (empty for a mere acknowledgement).
    fn request(&mut self, mut message: Message) -> io::Result<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        message.seal(self.sequence);
        self.socket.write_all(&message.bytes)?;
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let length = self.socket.read(&mut buffer)?;
            let answer = &buffer[..length];
            let (Some(kind), Some(sequence)) = (u16_at(answer, 4), u32_at(answer, 8)) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "netlink answer cut short"));
            };
            // An answer to an earlier request that had timed out.
            if sequence != self.sequence {
                continue;
            }
            if kind == NLMSG_ERROR {
                let code = u32_at(answer, HEADER_LEN).map_or(-libc::EPROTO, |code| code as i32);
                let refused = || io::Error::from_raw_os_error(-code);
                return if code == 0 { Ok(Vec::new()) } else { Err(refused()) };
            }
            return Ok(answer[HEADER_LEN..].to_vec());
        }
    }

    /// The index of the device named `name`.
    pub(crate) fn index_of(&mut self, name: &str) -> io::Result<u32> {
        let mut message = Message::link(RTM_GETLINK, NLM_F_REQUEST, 0, 0, 0);
        message.attribute(IFLA_IFNAME, &with_nul(name));
        let answer = self.request(message)?;
        u32_at(&answer, 4).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "answer without index"))
    }

    /// Sets address, MTU, queue length and NOARP of a device that is down.
    pub(crate) fn configure(&mut self, index: u32, mac: [u8; 6], mtu: u32, queue_len: u32) -> io::Result<()> {
        let mut message = Message::link(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, index, IFF_NOARP, IFF_NOARP);
        message.attribute(IFLA_ADDRESS, &mac);
        message.attribute(IFLA_MTU, &mtu.to_ne_bytes());
        message.attribute(IFLA_TXQLEN, &queue_len.to_ne_bytes());
        self.request(message).map(drop)
    }

    /// Brings a device up.
    pub(crate) fn bring_up(&mut self, index: u32) -> io::Result<()> {
        self.request(Message::link(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, index, IFF_UP, IFF_UP)).map(drop)
    }

    /// Gives a device an address, without the route that usually comes with it.
    pub(crate) fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix_len: u8) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE_REPLACE);
        message.bytes.extend([libc::AF_INET as u8, prefix_len, 0, 0]);
        message.bytes.extend(index.to_ne_bytes());
        message.attribute(IFA_LOCAL, &address.octets());
        message.attribute(IFA_ADDRESS, &address.octets());
        message.attribute(IFA_BROADCAST, &broadcast_of(address, prefix_len).octets());
        message.attribute(IFA_FLAGS, &IFA_F_NOPREFIXROUTE.to_ne_bytes());
        self.request(message).map(drop)
    }

    /// Routes a prefix straight to a device, with the TCP congestion control `congestion` where given.
    pub(crate) fn add_route(
        &mut self,
        index: u32,
        source: Ipv4Addr,
        prefix: (Ipv4Addr, u8),
        congestion: Option<&str>,
    ) -> io::Result<()> {
        let (address, prefix_len) = prefix;
        let mut message = Message::new(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE_REPLACE);
        message.bytes.extend([libc::AF_INET as u8, prefix_len, 0, 0]);
        message.bytes.extend([RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_LINK, RTN_UNICAST]);
        message.bytes.extend(0_u32.to_ne_bytes());
        let network = address.to_bits() & mask(prefix_len);
        message.attribute(RTA_DST, &network.to_be_bytes());
        message.attribute(RTA_OIF, &index.to_ne_bytes());
        message.attribute(RTA_PREFSRC, &source.octets());
        if let Some(name) = congestion {
            let mut metrics = Vec::new();
            push_attribute(&mut metrics, RTAX_CC_ALGO, &with_nul(name));
            message.attribute(RTA_METRICS | NLA_F_NESTED, &metrics);
        }
        self.request(message).map(drop)
    }

    /// What the kernel dropped at a device since it was made.
    pub(crate) fn drops(&mut self, index: u32) -> io::Result<DeviceDrops> {
        let answer = self.request(Message::link(RTM_GETLINK, NLM_F_REQUEST, index, 0, 0))?;
        let stats = attribute_of(&answer[16.min(answer.len())..], IFLA_STATS64);
        // `struct rtnl_link_stats64`: rx_dropped and tx_dropped are its seventh and eighth counters.
        let counter = |position: usize| {
            let bytes = stats?.get(position * 8..position * 8 + 8)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        match (counter(6), counter(7)) {
            (Some(receive), Some(transmit)) => Ok(DeviceDrops { transmit, receive }),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "answer without counters")),
        }
    }
}

/// One netlink message under construction.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Self { bytes }
    }

    /// A message about a link: `struct ifinfomsg` follows the header.
    fn link(kind: u16, request: u16, index: u32, flags: u32, change: u32) -> Self {
        let mut message = Self::new(kind, request);
        message.bytes.extend([0; 4]);
        message.bytes.extend(index.to_ne_bytes());
        message.bytes.extend(flags.to_ne_bytes());
        message.bytes.extend(change.to_ne_bytes());
        message
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        push_attribute(&mut self.bytes, kind, value);
    }

    /// Writes the length and the sequence number into the header.
    fn seal(&mut self, sequence: u32) {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    }
}

fn push_attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn attribute_of(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let (Some(length), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let length = usize::from(length);
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

fn with_nul(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The last address of the subnet of `address`.
pub(crate) fn broadcast_of(address: Ipv4Addr, prefix_len: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() | !mask(prefix_len))
}

fn mask(prefix_len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix_len.min(32))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_found_again() {
        let mut bytes = Vec::new();
        push_attribute(&mut bytes, 3, b"net0\0");
        push_attribute(&mut bytes, 4, &1500_u32.to_ne_bytes());
        assert_eq!(bytes.len(), 12 + 8);
        assert_eq!(attribute_of(&bytes, 3), Some(b"net0\0".as_slice()));
        assert_eq!(attribute_of(&bytes, 4), Some(1500_u32.to_ne_bytes().as_slice()));
        assert_eq!(attribute_of(&bytes, 5), None);
        assert_eq!(attribute_of(&[2, 0, 9, 0], 3), None, "a length below four ends the search");
    }

    #[test]
    fn masks_cover_every_prefix_length() {
        assert_eq!(mask(0), 0);
        assert_eq!(mask(16), 0xffff_0000);
        assert_eq!(mask(32), u32::MAX);
    }
}
