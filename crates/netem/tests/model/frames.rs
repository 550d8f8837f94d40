//! Frames as a TAP hands them over, and an independent reader of what comes out.

use netem::model::gso::Layout;
use netem::model::wire::{
    Destination, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, IP_AT, NEEDS_CSUM, Shape, VNET_LEN, VnetHeader,
    destination_of,
};
use proptest::prelude::*;

/// Which protocols a frame speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocols {
    pub(crate) ipv4: bool,
    pub(crate) tcp: bool,
    /// Bytes of IPv4 or TCP options, a multiple of four.
    pub(crate) options: usize,
}

impl Protocols {
    pub(crate) fn any() -> impl Strategy<Value = Self> {
        (any::<bool>(), any::<bool>(), 0_usize..4).prop_map(|(ipv4, tcp, words)| Self {
            ipv4,
            tcp,
            options: if ipv4 || tcp { words * 4 } else { 0 },
        })
    }

    pub(crate) fn ip_len(self) -> usize {
        if self.ipv4 { 20 + if self.tcp { 0 } else { self.options } } else { 40 }
    }

    pub(crate) fn transport_len(self) -> usize {
        if self.tcp { 20 + self.options } else { 8 }
    }
}

/// Everything that a super-packet's headers say and that cutting must keep or renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) identification: u16,
    pub(crate) sequence: u32,
    pub(crate) flags: u8,
}

/// A frame from 10.0.0.`source` to 10.0.0.`destination` (or fd00::), cut at `segment_len` when that is given.
pub(crate) fn frame(
    protocols: Protocols,
    numbers: Numbers,
    hosts: (u8, u8),
    payload: &[u8],
    segment_len: Option<u16>,
) -> Vec<u8> {
    let transport_at = IP_AT + protocols.ip_len();
    let gso_type = match (segment_len.is_some(), protocols.tcp, protocols.ipv4) {
        (false, ..) => GSO_NONE,
        (true, false, _) => GSO_UDP_L4,
        (true, true, true) => GSO_TCPV4,
        (true, true, false) => GSO_TCPV6,
    };
    let vnet = VnetHeader {
        flags: NEEDS_CSUM,
        gso_type,
        hdr_len: 1234,
        gso_size: segment_len.unwrap_or(0),
        csum_start: (transport_at - VNET_LEN) as u16,
        csum_offset: if protocols.tcp { 16 } else { 6 },
    };
    let mut bytes = vnet.bytes().to_vec();
    bytes.extend([0x02, 0, 0, 0, 0, 0, 0x02, 0, 10, 0, 0, hosts.0]);
    bytes.extend(if protocols.ipv4 { 0x0800_u16 } else { 0x86dd }.to_be_bytes());
    let l4_len = protocols.transport_len() + payload.len();
    push_ip(&mut bytes, protocols, numbers.identification, hosts, l4_len);
    if protocols.tcp {
        bytes.extend([0x1f, 0x90, 0x23, 0x82]);
        bytes.extend(numbers.sequence.to_be_bytes());
        bytes.extend(77_u32.to_be_bytes());
        bytes.extend([((protocols.transport_len() / 4) << 4) as u8, numbers.flags, 0x20, 0, 0, 0, 0, 0]);
        bytes.extend(vec![1; protocols.options]);
    } else {
        bytes.extend([0x1f, 0x90, 0x23, 0x82]);
        bytes.extend((l4_len as u16).to_be_bytes());
        bytes.extend([0, 0]);
    }
    bytes.extend(payload);
    let seed = pseudo_sum(&bytes, protocols, l4_len);
    let at = transport_at + usize::from(vnet.csum_offset);
    bytes[at..at + 2].copy_from_slice(&seed.to_be_bytes());
    bytes
}

fn push_ip(bytes: &mut Vec<u8>, protocols: Protocols, id: u16, hosts: (u8, u8), l4_len: usize) {
    let protocol = if protocols.tcp { 6 } else { 17 };
    if !protocols.ipv4 {
        bytes.extend([0x60, 0, 0, 0]);
        bytes.extend((l4_len as u16).to_be_bytes());
        bytes.extend([protocol, 64]);
        for host in [hosts.0, hosts.1] {
            bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
        }
        return;
    }
    let ip_len = protocols.ip_len();
    bytes.extend([0x40 | (ip_len / 4) as u8, 0]);
    bytes.extend(((ip_len + l4_len) as u16).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend([0x40, 0, 64, protocol, 0, 0, 10, 0, 0, hosts.0, 10, 0, 0, hosts.1]);
    bytes.extend(vec![1; ip_len - 20]);
    let checksum = !naive_sum(&bytes[IP_AT..]);
    bytes[IP_AT + 10..IP_AT + 12].copy_from_slice(&checksum.to_be_bytes());
}

/// RFC 1071, one word at a time with the carry folded at once: slow and plain.
pub(crate) fn naive_sum(bytes: &[u8]) -> u16 {
    let mut total = 0_u32;
    for at in (0..bytes.len()).step_by(2) {
        total += u32::from(bytes[at]) << 8 | u32::from(bytes.get(at + 1).copied().unwrap_or(0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn pseudo_sum(bytes: &[u8], protocols: Protocols, l4_len: usize) -> u16 {
    let mut pseudo = if protocols.ipv4 {
        bytes[IP_AT + 12..IP_AT + 20].to_vec()
    } else {
        bytes[IP_AT + 8..IP_AT + 40].to_vec()
    };
    pseudo.extend((l4_len as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, if protocols.tcp { 6 } else { 17 }]);
    naive_sum(&pseudo)
}

/// One packet as a receiver reads it off the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) numbers: Numbers,
    pub(crate) payload: Vec<u8>,
}

/// A frame of one packet with its checksum completed, as a network card would.
pub(crate) fn on_wire(frame: &[u8]) -> Vec<u8> {
    let vnet = VnetHeader::parse(frame).unwrap();
    assert_eq!((vnet.gso_type, vnet.gso_size), (GSO_NONE, 0), "one packet expected");
    let mut wire = frame.to_vec();
    if vnet.flags & NEEDS_CSUM != 0 {
        let start = VNET_LEN + usize::from(vnet.csum_start);
        let at = start + usize::from(vnet.csum_offset);
        let checksum = !naive_sum(&wire[start..]);
        wire[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    wire
}

/// Whether the transport checksum of a packet on a wire is right.
pub(crate) fn sums_up(wire: &[u8], protocols: Protocols) -> bool {
    let transport_at = IP_AT + protocols.ip_len();
    let covered = naive_sum(&wire[transport_at..]);
    let pseudo = pseudo_sum(wire, protocols, wire.len() - transport_at);
    naive_sum(&[covered.to_be_bytes(), pseudo.to_be_bytes()].concat()) == 0xffff
}

/// Puts a frame of one packet on a wire and reads it at the other end, checking all lengths and checksums.
pub(crate) fn receive(frame: &[u8], protocols: Protocols) -> Packet {
    let wire = on_wire(frame);
    let word = |at: usize| u16::from_be_bytes([wire[at], wire[at + 1]]);
    let transport_at = IP_AT + protocols.ip_len();
    let l4_len = wire.len() - transport_at;
    if protocols.ipv4 {
        assert_eq!(usize::from(word(IP_AT + 2)), wire.len() - IP_AT, "IPv4 total length");
        assert_eq!(naive_sum(&wire[IP_AT..transport_at]), 0xffff, "IPv4 header checksum");
    } else {
        assert_eq!(usize::from(word(IP_AT + 4)), l4_len, "IPv6 payload length");
    }
    assert!(sums_up(&wire, protocols), "transport checksum");
    if !protocols.tcp {
        assert_eq!(usize::from(word(transport_at + 4)), l4_len, "UDP length");
    }
    let numbers = Numbers {
        identification: if protocols.ipv4 { word(IP_AT + 4) } else { 0 },
        sequence: if protocols.tcp {
            u32::from_be_bytes(wire[transport_at + 4..transport_at + 8].try_into().unwrap())
        } else {
            0
        },
        flags: if protocols.tcp { wire[transport_at + 13] } else { 0 },
    };
    Packet { numbers, payload: wire[transport_at + protocols.transport_len()..].to_vec() }
}

/// The shape of any frame.
pub(crate) fn shape_of(frame: &[u8]) -> Shape {
    Layout::parse(frame).map_or(Shape::single((frame.len() - VNET_LEN) as u32), |layout| layout.shape())
}

#[test]
fn what_is_for_routers_is_for_nobody() {
    let to = |address: std::net::IpAddr| {
        let mut frame = vec![0; IP_AT + 40];
        frame[VNET_LEN] = 1;
        let (ethertype, at, octets) = match address {
            std::net::IpAddr::V4(address) => (0x0800_u16, 16, address.octets().to_vec()),
            std::net::IpAddr::V6(address) => (0x86dd_u16, 24, address.octets().to_vec()),
        };
        frame[VNET_LEN + 12..IP_AT].copy_from_slice(&ethertype.to_be_bytes());
        frame[IP_AT + at..IP_AT + at + octets.len()].copy_from_slice(&octets);
        destination_of(&frame)
    };
    for routers in ["224.0.0.2", "224.0.0.22", "ff02::2", "ff02::16"] {
        assert_eq!(to(routers.parse().unwrap()), Destination::Nowhere, "{routers}");
    }
    for all in ["224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1", "ff02::fb"] {
        assert_eq!(to(all.parse().unwrap()), Destination::All, "{all}");
    }
}
