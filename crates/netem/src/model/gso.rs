//! Cutting super-packets: the kernel hands over up to 64 KiB of TCP or UDP payload under one set of headers
//! (generic segmentation offload), to be cut into wire packets by whoever must. The rules for each header are
//! those of the kernel's `inet_gso_segment`, `tcp_gso_segment` and `__udp_gso_segment`.

use super::wire::{
    GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, IP_AT, NEEDS_CSUM, Shape, VNET_LEN, VnetHeader,
    fold, sum,
};

const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_FIN: u8 = 0x01;
const TCP_PSH: u8 = 0x08;
const TCP_CWR: u8 = 0x80;

/// Where the parts of a super-packet are. Positions count from the start of the frame, virtio-net header
/// included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    ipv4: bool,
    /// [`TCP`] or [`UDP`].
    protocol: u8,
    transport_at: usize,
    payload_at: usize,
    frame_len: usize,
    /// Payload of one wire packet.
    segment_len: usize,
}

impl Layout {
    /// Reads the headers of a super-packet. `None` for a plain packet, and for what does not hold together.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let vnet = VnetHeader::parse(frame)?;
        let segment_len = usize::from(vnet.gso_size);
        let version = frame.get(IP_AT)? >> 4;
        let (protocol, ipv4) = match (vnet.gso_type & !GSO_ECN, version) {
            (GSO_TCPV4, 4) => (TCP, true),
            (GSO_TCPV6, 6) => (TCP, false),
            (GSO_UDP_L4, 4) => (UDP, true),
            (GSO_UDP_L4, 6) => (UDP, false),
            _ => return None,
        };
        let ip_header = if ipv4 {
            usize::from(frame[IP_AT] & 0x0f) * 4
        } else if vnet.flags & NEEDS_CSUM != 0 {
            // Extension headers may stand between; the kernel says where they end.
            (VNET_LEN + usize::from(vnet.csum_start)).checked_sub(IP_AT)?
        } else {
            40
        };
        let transport_at = IP_AT + ip_header;
        let transport_len = match protocol {
            TCP => usize::from(frame.get(transport_at + 12)? >> 4) * 4,
            _ => 8,
        };
        let payload_at = transport_at + transport_len;
        let sound = ip_header >= if ipv4 { 20 } else { 40 }
            && transport_len >= if protocol == TCP { 20 } else { 8 }
            && payload_at < frame.len()
            && segment_len > 0;
        sound.then_some(Self {
            ipv4,
            protocol,
            transport_at,
            payload_at,
            frame_len: frame.len(),
            segment_len,
        })
    }

    /// How the super-packet looks on the wire.
    pub const fn shape(&self) -> Shape {
        let payload_len = self.frame_len - self.payload_at;
        Shape {
            segments: payload_len.div_ceil(self.segment_len) as u32,
            header_len: (self.payload_at - VNET_LEN) as u32,
            payload_len: payload_len as u32,
            segment_len: self.segment_len as u32,
        }
    }

    /// Cuts wire packets `first` to `first + count - 1` out of the frame that this layout was read from: a
    /// frame of its own, a super-packet again where `count` is above one.
    pub fn cut(&self, frame: &[u8], first: u32, count: u32) -> Vec<u8> {
        let begin = (self.payload_at + first as usize * self.segment_len).min(frame.len());
        let end = (begin + count as usize * self.segment_len).min(frame.len());
        let mut piece = Vec::with_capacity(self.payload_at + end - begin);
        piece.extend_from_slice(&frame[..self.payload_at]);
        piece.extend_from_slice(&frame[begin..end]);
        self.mark(&mut piece, first, count);
        self.renumber_ip(&mut piece, first);
        if self.protocol == TCP {
            self.renumber_tcp(&mut piece, first, end == frame.len());
        } else {
            let length = (piece.len() - self.transport_at) as u16;
            put(&mut piece, self.transport_at + 4, length);
        }
        self.seed_checksum(&mut piece);
        piece
    }

    /// Rewrites the virtio-net header.
    fn mark(&self, piece: &mut [u8], first: u32, count: u32) {
        let Some(mut vnet) = VnetHeader::parse(piece) else { return };
        vnet.flags |= NEEDS_CSUM;
        vnet.hdr_len = (self.payload_at - VNET_LEN) as u16;
        vnet.csum_start = (self.transport_at - VNET_LEN) as u16;
        vnet.csum_offset = if self.protocol == TCP { 16 } else { 6 };
        if count == 1 {
            (vnet.gso_type, vnet.gso_size) = (GSO_NONE, 0);
        } else if first > 0 {
            vnet.gso_type &= !GSO_ECN;
        }
        piece[..VNET_LEN].copy_from_slice(&vnet.bytes());
    }

    fn renumber_ip(&self, piece: &mut [u8], first: u32) {
        if !self.ipv4 {
            let length = (piece.len() - IP_AT - 40) as u16;
            put(piece, IP_AT + 4, length);
            return;
        }
        let length = (piece.len() - IP_AT) as u16;
        put(piece, IP_AT + 2, length);
        let identification = word(piece, IP_AT + 4).wrapping_add(first as u16);
        put(piece, IP_AT + 4, identification);
        put(piece, IP_AT + 10, 0);
        let checksum = !fold(sum(&piece[IP_AT..self.transport_at], 0));
        put(piece, IP_AT + 10, checksum);
    }

    fn renumber_tcp(&self, piece: &mut [u8], first: u32, last: bool) {
        let at = self.transport_at;
        let sequence = u32::from(word(piece, at + 4)) << 16 | u32::from(word(piece, at + 6));
        let sequence = sequence.wrapping_add(first * self.segment_len as u32);
        piece[at + 4..at + 8].copy_from_slice(&sequence.to_be_bytes());
        if first > 0 {
            piece[at + 13] &= !TCP_CWR;
        }
        if !last {
            piece[at + 13] &= !(TCP_FIN | TCP_PSH);
        }
    }

    /// Puts the sum of the pseudo header, whose length has changed, where the checksum goes.
    fn seed_checksum(&self, piece: &mut [u8]) {
        let length = (piece.len() - self.transport_at) as u32;
        let addresses = if self.ipv4 { IP_AT + 12..IP_AT + 20 } else { IP_AT + 8..IP_AT + 40 };
        let seed = fold(sum(&piece[addresses], u32::from(self.protocol) + length));
        let offset = if self.protocol == TCP { 16 } else { 6 };
        put(piece, self.transport_at + offset, seed);
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}
