//! The head of a probe packet.
//!
//! All numbers are little-endian: magic (4), kind (1), zeros (3), flow (4), zeros (4), number in the flow (8), sender's
//! stamp (8). An echo has the echoing side's two stamps after it, of arrival and of answer (8 each).

/// Bytes of the head.
pub(super) const HEAD_BYTES: usize = 32;
/// Bytes of an echo, and so the least that is sent where echoes are wanted: both ways shall cost the same.
pub(super) const ECHO_BYTES: usize = 48;
const MAGIC: [u8; 4] = *b"FLpb";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketKind {
    Delay,
    Loss,
    Rate,
    Echo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: PacketKind,
    pub(super) flow: u32,
    pub(super) number: u64,
    pub(super) sent_ns: i64,
}

impl Packet {
    pub(super) fn encode(&self) -> [u8; HEAD_BYTES] {
        let kind = match self.kind {
            PacketKind::Delay => 1,
            PacketKind::Loss => 2,
            PacketKind::Rate => 3,
            PacketKind::Echo => 4,
        };
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = kind;
        bytes[8..12].copy_from_slice(&self.flow.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..].copy_from_slice(&self.sent_ns.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are no probe.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        let kind = match (head[..4] == MAGIC, head[4]) {
            (true, 1) => PacketKind::Delay,
            (true, 2) => PacketKind::Loss,
            (true, 3) => PacketKind::Rate,
            (true, 4) => PacketKind::Echo,
            _ => return None,
        };
        Some(Self {
            kind,
            flow: u32::from_le_bytes(*head[8..].first_chunk()?),
            number: u64::from_le_bytes(*head[16..].first_chunk()?),
            sent_ns: i64::from_le_bytes(*head[24..].first_chunk()?),
        })
    }
}

/// The echo of `packet`, which arrived and was answered at these times.
pub(super) fn echo_of(packet: &Packet, arrived_ns: i64, answered_ns: i64) -> [u8; ECHO_BYTES] {
    let mut bytes = [0; ECHO_BYTES];
    bytes[..HEAD_BYTES].copy_from_slice(&Packet { kind: PacketKind::Echo, ..*packet }.encode());
    bytes[HEAD_BYTES..40].copy_from_slice(&arrived_ns.to_le_bytes());
    bytes[40..].copy_from_slice(&answered_ns.to_le_bytes());
    bytes
}

/// The time that the echoing side took, in nanoseconds.
pub(super) fn turnaround_ns(echo: &[u8]) -> Option<i64> {
    let arrived = i64::from_le_bytes(*echo.get(HEAD_BYTES..)?.first_chunk()?);
    let answered = i64::from_le_bytes(*echo.get(40..)?.first_chunk()?);
    answered.checked_sub(arrived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_decodes(kind in 0..4_usize, flow: u32, number: u64, sent_ns: i64) {
            let kinds = [PacketKind::Delay, PacketKind::Loss, PacketKind::Rate, PacketKind::Echo];
            let packet = Packet { kind: kinds[kind], flow, number, sent_ns };
            prop_assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }

        #[test]
        fn any_bytes_are_a_probe_or_not(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(packet) = Packet::decode(&bytes) {
                prop_assert_eq!(&packet.encode()[..5], &bytes[..5]);
            }
            let _ = turnaround_ns(&bytes);
        }
    }
}
