//! The datagrams of `udp-send`, `udp-receive` and the UDP round trips.
//!
//! All numbers are little-endian: magic (4), kind (4), number (8), sender's stamp (8); the rest is zeros.

/// Bytes of the head, the least that a payload has.
pub(super) const HEAD_BYTES: usize = 24;
const MAGIC: [u8; 4] = *b"FLtr";

/// What a datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The sender asks whether the receiver is there.
    Hello,
    /// It is.
    Ready,
    /// Counts.
    Data,
    /// The sender has sent as many as the number says.
    End,
    /// The receiver knows.
    Done,
    /// Wants an answer of the same number.
    Ask,
}

const KINDS: [Kind; 6] = [Kind::Hello, Kind::Ready, Kind::Data, Kind::End, Kind::Done, Kind::Ask];

/// The head of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) sent_ns: i64,
}

impl Packet {
    pub(super) const fn new(kind: Kind, number: u64, sent_ns: i64) -> Self {
        Self { kind, number, sent_ns }
    }

    pub(super) fn encode(&self) -> [u8; HEAD_BYTES] {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).unwrap_or(KINDS.len()) as u32;
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..].copy_from_slice(&self.sent_ns.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are something else.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEAD_BYTES>()?;
        let kind = u32::from_le_bytes(*head[4..].first_chunk()?);
        let kind = *KINDS.get(usize::try_from(kind).ok()?)?;
        (head[..4] == MAGIC).then_some(())?;
        let number = u64::from_le_bytes(*head[8..].first_chunk()?);
        Some(Self { kind, number, sent_ns: i64::from_le_bytes(*head[16..].first_chunk()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes() {
        for kind in KINDS {
            let packet = Packet::new(kind, 1 << 40, -7);
            assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = Packet::new(Kind::End, 3, 4).encode();
        assert_eq!(Packet::decode(&good[..HEAD_BYTES - 1]), None);
        let mut strange = good;
        strange[0] = b'x';
        assert_eq!(Packet::decode(&strange), None);
        strange = good;
        strange[4] = 6;
        assert_eq!(Packet::decode(&strange), None);
    }
}
