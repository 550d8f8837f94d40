//! What happens to a packet on its way: congestion marks and bit errors.

use super::wire::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, GSO_NONE, IP_AT, NEEDS_CSUM, VNET_LEN, VnetHeader};
use super::wire::{fold, octets, sum};

const UDP: u8 = 17;
const IPV6_LEN: usize = 40;
/// Extension headers of IPv6 (RFC 8200) that say their length in units of 8 bytes: hop-by-hop options, routing,
/// destination options.
const SIZED_EXTENSIONS: [u8; 3] = [0, 43, 60];
const FRAGMENT: u8 = 44;

/// Sets "congestion experienced" (RFC 3168) on a packet or super-packet whose sender allows it, and keeps the checksum
/// of an IPv4 header right (RFC 1624). Whether the frame bears the mark now: false when the sender does not allow it.
pub fn mark_ce(frame: &mut [u8]) -> bool {
    match ip_version(frame) {
        Some(4) => {
            let Some([version, service]) = octets::<2>(frame, IP_AT) else { return false };
            if service & 3 == 0 {
                return false;
            }
            let before = u16::from_be_bytes([version, service]);
            let after = u16::from_be_bytes([version, service | 3]);
            let checksum = u16::from_be_bytes([frame[IP_AT + 10], frame[IP_AT + 11]]);
            let checksum = !fold(u32::from(!checksum) + u32::from(!before) + u32::from(after));
            frame[IP_AT + 1] = service | 3;
            frame[IP_AT + 10..IP_AT + 12].copy_from_slice(&checksum.to_be_bytes());
            true
        }
        // The class lies across two bytes; its last two bits are the high ones of the second half.
        Some(_) if frame[IP_AT + 1] & 0x30 != 0 => {
            frame[IP_AT + 1] |= 0x30;
            true
        }
        _ => false,
    }
}

/// Flips one bit behind the IP header of a frame of one wire packet, so that it arrives and its receiver finds the
/// checksum wrong: any bit of the transport header and the payload, `bit` modulo their number, but none of UDP's own
/// length and checksum, where zero would mean "unchecked". A checksum that the sender's kernel left to others is
/// completed first. Whether a bit was flipped: false when nothing follows the IP header.
///
/// What its sender left without a checksum (some UDP over IPv4) is damaged without anybody's notice, as by a real link.
pub fn corrupt(frame: &mut [u8], bit: u64) -> bool {
    let Some(body) = Body::find(frame) else { return false };
    let length = body.end - body.begin;
    let skipped = if body.protocol == UDP { length.saturating_sub(4).min(4) } else { 0 };
    if length == skipped || !complete_checksum(frame, body.end) {
        return false;
    }
    let bit = bit % ((length - skipped) as u64 * 8);
    let mut offset = (bit / 8) as usize;
    if skipped > 0 && offset >= 4 {
        offset += skipped;
    }
    frame[body.begin + offset] ^= 1 << (bit % 8);
    true
}

/// What an IP header carries: transport header and payload. Positions count from the start of the frame.
struct Body {
    protocol: u8,
    begin: usize,
    end: usize,
}

impl Body {
    fn find(frame: &[u8]) -> Option<Self> {
        let (protocol, begin, end) = match ip_version(frame)? {
            4 => {
                let length = usize::from(u16::from_be_bytes(octets(frame, IP_AT + 2)?));
                (frame[IP_AT + 9], IP_AT + usize::from(frame[IP_AT] & 0x0f) * 4, IP_AT + length)
            }
            _ => {
                let length = usize::from(u16::from_be_bytes(octets(frame, IP_AT + 4)?));
                let (protocol, begin) = skip_extensions(frame)?;
                (protocol, begin, IP_AT + IPV6_LEN + length)
            }
        };
        let end = end.min(frame.len());
        (begin < end).then_some(Self { protocol, begin, end })
    }
}

/// The transport protocol of an IPv6 packet and where its header begins.
fn skip_extensions(frame: &[u8]) -> Option<(u8, usize)> {
    let (mut protocol, mut at) = (frame[IP_AT + 6], IP_AT + IPV6_LEN);
    loop {
        let [next, length] = match protocol {
            _ if SIZED_EXTENSIONS.contains(&protocol) => octets(frame, at)?,
            FRAGMENT => [octets::<1>(frame, at)?[0], 0],
            _ => return Some((protocol, at)),
        };
        at += (usize::from(length) + 1) * 8;
        protocol = next;
    }
}

/// Completes the transport checksum of a packet that ends at `end`, as a network card would. False when the virtio-net
/// header does not fit the frame.
fn complete_checksum(frame: &mut [u8], end: usize) -> bool {
    let Some(mut vnet) = VnetHeader::parse(frame) else { return false };
    if vnet.flags & NEEDS_CSUM != 0 {
        let begin = VNET_LEN + usize::from(vnet.csum_start);
        let at = begin + usize::from(vnet.csum_offset);
        if begin < IP_AT || at + 2 > end {
            return false;
        }
        let checksum = match !fold(sum(&frame[begin..end], 0)) {
            // The same number, and for UDP the way to write it, where zero means "unchecked".
            0 => 0xffff,
            checksum => checksum,
        };
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    // Nor may the receiver's kernel believe what the sender's said about checksums.
    vnet.flags = 0;
    (vnet.gso_type, vnet.gso_size) = (GSO_NONE, 0);
    (vnet.csum_start, vnet.csum_offset) = (0, 0);
    frame[..VNET_LEN].copy_from_slice(&vnet.bytes());
    true
}

/// The version of a frame's IP packet, whose header is there as a whole (without options).
fn ip_version(frame: &[u8]) -> Option<u8> {
    let kind = u16::from_be_bytes(octets(frame, IP_AT - 2)?);
    let (version, length) = match kind {
        ETHERTYPE_IPV4 => (4, 20),
        ETHERTYPE_IPV6 => (6, IPV6_LEN),
        _ => return None,
    };
    (frame.len() >= IP_AT + length && frame[IP_AT] >> 4 == version).then_some(version)
}
