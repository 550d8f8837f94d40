//! Frames as a TAP with `IFF_VNET_HDR` carries them: a virtio-net header (`struct virtio_net_hdr` of
//! `linux/virtio_net.h`, in the machine's byte order), then an Ethernet frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of the virtio-net header in front of every frame, bytes.
pub const VNET_LEN: usize = 10;
/// Length of an Ethernet header, bytes.
pub const ETHERNET_LEN: usize = 14;
/// Where the IP header begins in a frame.
pub const IP_AT: usize = VNET_LEN + ETHERNET_LEN;

/// The transport checksum covers the pseudo header only; whoever puts the packet on a wire completes it.
pub const NEEDS_CSUM: u8 = 1;

/// No super-packet.
pub const GSO_NONE: u8 = 0;
/// A super-packet of TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// A super-packet of TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// A super-packet of UDP datagrams.
pub const GSO_UDP_L4: u8 = 5;
/// Added to a TCP type: the first segment carries CWR.
pub const GSO_ECN: u8 = 0x80;

pub(super) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(super) const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The virtio-net header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// [`NEEDS_CSUM`] and others.
    pub flags: u8,
    /// `GSO_*`.
    pub gso_type: u8,
    /// Length of all headers as a hint to the kernel, bytes.
    pub hdr_len: u16,
    /// Payload of one wire packet, bytes.
    pub gso_size: u16,
    /// Where the transport header begins, bytes from the start of the Ethernet frame.
    pub csum_start: u16,
    /// Where the checksum is, bytes from the start of the transport header.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Reads the header of a frame; `None` when the frame is too short.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let header: &[u8; VNET_LEN] = frame.first_chunk()?;
        let word = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        Some(Self {
            flags: header[0],
            gso_type: header[1],
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        })
    }

    /// The header as bytes.
    pub fn bytes(&self) -> [u8; VNET_LEN] {
        let mut bytes = [0; VNET_LEN];
        bytes[0] = self.flags;
        bytes[1] = self.gso_type;
        let words = [self.hdr_len, self.gso_size, self.csum_start, self.csum_offset];
        for (slot, word) in bytes[2..].chunks_exact_mut(2).zip(words) {
            slot.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

/// Where a frame wants to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To the node with this address.
    Node(IpAddr),
    /// To all: broadcast or multicast.
    All,
    /// Nowhere that the emulator knows: neither IPv4 nor IPv6, cut short, or to routers, which this network has none of.
    Nowhere,
}

/// Groups of routers: who asks for routers or reports its groups to them (RFC 4861, 3376, 3810) would, with many nodes,
/// make more noise than all else. IPv4: all routers, and those of IGMPv3; IPv6: those of the link, and of MLDv2.
const ROUTERS4: [Ipv4Addr; 2] = [Ipv4Addr::new(224, 0, 0, 2), Ipv4Addr::new(224, 0, 0, 22)];
const ROUTERS6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16)];

/// Reads where a frame wants to go. Of the Ethernet address only the group bit means something: without ARP the
/// sender's kernel does not know that of the destination, and puts its own even on broadcasts.
pub fn destination_of(frame: &[u8]) -> Destination {
    let Some(ethernet) = frame.get(VNET_LEN..IP_AT) else { return Destination::Nowhere };
    let address: Option<IpAddr> = match u16::from_be_bytes([ethernet[12], ethernet[13]]) {
        ETHERTYPE_IPV4 => octets(frame, IP_AT + 16).map(|octets: [u8; 4]| Ipv4Addr::from(octets).into()),
        ETHERTYPE_IPV6 => octets(frame, IP_AT + 24).map(|octets: [u8; 16]| Ipv6Addr::from(octets).into()),
        _ => None,
    };
    let group = ethernet[0] & 1 == 1;
    match address {
        Some(IpAddr::V4(address)) if group && ROUTERS4.contains(&address) => Destination::Nowhere,
        Some(IpAddr::V6(address)) if group && ROUTERS6.contains(&address) => Destination::Nowhere,
        _ if group => Destination::All,
        address => address.map_or(Destination::Nowhere, Destination::Node),
    }
}

pub(super) fn octets<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..)?.first_chunk().copied()
}

/// The Ethernet address of all receivers.
pub const BROADCAST_MAC: [u8; 6] = [0xff; 6];

/// Writes the Ethernet address of the receiver into a frame.
pub fn set_receiver(frame: &mut [u8], mac: [u8; 6]) {
    if let Some(slot) = frame.get_mut(VNET_LEN..VNET_LEN + 6) {
        slot.copy_from_slice(&mac);
    }
}

/// How a frame looks on the wire: one packet, or several that share the same headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Wire packets in the frame, at least one.
    pub segments: u32,
    /// Headers of each, Ethernet included, bytes.
    pub header_len: u32,
    /// Payload of all, bytes.
    pub payload_len: u32,
    /// Payload of each but the last, bytes.
    pub segment_len: u32,
}

impl Shape {
    /// The shape of a frame of one packet of `bytes` bytes, Ethernet header included.
    pub const fn single(bytes: u32) -> Self {
        Self { segments: 1, header_len: 0, payload_len: bytes, segment_len: bytes }
    }

    /// The bytes of wire packet number `index`, Ethernet header included.
    pub const fn wire_len(&self, index: u32) -> u64 {
        let payload = if index + 1 < self.segments {
            self.segment_len
        } else {
            self.payload_len - (self.segments - 1) * self.segment_len
        };
        (self.header_len + payload) as u64
    }

    /// The shape of wire packets `first` to `first + count - 1`.
    #[must_use]
    pub const fn part(&self, first: u32, count: u32) -> Self {
        let begin = first * self.segment_len;
        let payload_len =
            if first + count < self.segments { count * self.segment_len } else { self.payload_len - begin };
        Self { segments: count, payload_len, ..*self }
    }

    /// The bytes of all wire packets.
    pub const fn wire_total(&self) -> u64 {
        self.segments as u64 * self.header_len as u64 + self.payload_len as u64
    }
}

/// Adds `bytes` to a ones' complement sum (RFC 1071); an odd last byte counts as followed by zero.
pub fn sum(bytes: &[u8], initial: u32) -> u32 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let total = pairs.iter().fold(initial, |total, pair| total + u32::from(u16::from_be_bytes(*pair)));
    total + rest.first().map_or(0, |byte| u32::from(*byte) << 8)
}

/// Folds a ones' complement sum into 16 bits; not yet complemented.
pub const fn fold(mut total: u32) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
