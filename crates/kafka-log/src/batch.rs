//! Record batches as they travel and as they lie on disk: the 61-byte header of magic 2.
//!
//! Layout: <https://kafka.apache.org/documentation/#recordbatch>. The CRC-32C covers everything from the
//! attributes on, so the base offset and the leader epoch can be set without touching it.

use std::fmt;

/// Bytes of a batch header.
pub(crate) const HEADER_LEN: usize = 61;
/// Bytes before the part that the length field counts.
const LENGTH_OVERHEAD: usize = 12;
/// Where the part that the CRC covers begins.
const CRC_START: usize = 21;
const TIMESTAMP_TYPE_BIT: i16 = 0x08;
const TRANSACTIONAL_BIT: i16 = 0x10;
const CONTROL_BIT: i16 = 0x20;
const COMPRESSION_MASK: i16 = 0x07;

/// The producer id of a batch from a producer that is not idempotent.
pub(crate) const NO_PRODUCER_ID: i64 = -1;

/// A decoded batch header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) base_offset: i64,
    /// Bytes of the whole batch, header included.
    pub(crate) len: usize,
    pub(crate) magic: i8,
    pub(crate) crc: u32,
    pub(crate) attributes: i16,
    pub(crate) last_offset_delta: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    pub(crate) records: i32,
}

/// Why bytes are not a batch that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BatchFault {
    /// Fewer bytes than the header or its length field say.
    Short { have: usize, want: usize },
    /// More bytes than one batch.
    Trailing { bytes: usize },
    /// A message format other than 2.
    Magic(i8),
    /// The checksum does not fit the bytes.
    Crc { stated: u32, computed: u32 },
    /// The record count does not fit the offsets.
    Records { records: i32, last_offset_delta: i32 },
    /// A control batch, which only a broker may write.
    Control,
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { have, want } => write!(f, "batch of {want} bytes has only {have}"),
            Self::Trailing { bytes } => {
                write!(f, "{bytes} bytes after the batch; send one batch per partition")
            }
            Self::Magic(magic) => write!(f, "message format {magic}; only format 2 is stored"),
            Self::Crc { stated, computed } => {
                write!(f, "CRC-32C is {computed:08x}, the batch states {stated:08x}")
            }
            Self::Records { records, last_offset_delta } => {
                write!(f, "{records} records do not fit a last offset delta of {last_offset_delta}")
            }
            Self::Control => write!(f, "control batches come from brokers only"),
        }
    }
}

fn array<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Decodes a header; nothing is checked but that a negative length becomes zero.
    pub(crate) fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        let counted = i32::from_be_bytes(array(bytes, 8));
        Self {
            base_offset: i64::from_be_bytes(array(bytes, 0)),
            len: usize::try_from(counted).map_or(0, |counted| counted + LENGTH_OVERHEAD),
            magic: i8::from_be_bytes(array(bytes, 16)),
            crc: u32::from_be_bytes(array(bytes, 17)),
            attributes: i16::from_be_bytes(array(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: i64::from_be_bytes(array(bytes, 27)),
            max_timestamp: i64::from_be_bytes(array(bytes, 35)),
            producer_id: i64::from_be_bytes(array(bytes, 43)),
            producer_epoch: i16::from_be_bytes(array(bytes, 51)),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            records: i32::from_be_bytes(array(bytes, 57)),
        }
    }

    /// Whether the length, format and counts can be those of a stored batch.
    pub(crate) fn fault(&self) -> Option<BatchFault> {
        if self.len < HEADER_LEN {
            return Some(BatchFault::Short { have: self.len, want: HEADER_LEN });
        }
        if self.magic != 2 {
            return Some(BatchFault::Magic(self.magic));
        }
        if self.records < 1 || self.last_offset_delta != self.records - 1 {
            let (records, last_offset_delta) = (self.records, self.last_offset_delta);
            return Some(BatchFault::Records { records, last_offset_delta });
        }
        None
    }

    /// The offset after the batch's last record.
    pub(crate) fn next_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta)).saturating_add(1)
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.producer_id != NO_PRODUCER_ID
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL_BIT != 0
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }

    pub(crate) fn has_append_time(&self) -> bool {
        self.attributes & TIMESTAMP_TYPE_BIT != 0
    }
}

/// The header at the start of `bytes`.
pub(crate) fn header_of(bytes: &[u8]) -> Result<BatchHeader, BatchFault> {
    let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(BatchFault::Short { have: bytes.len(), want: HEADER_LEN });
    };
    Ok(BatchHeader::parse(head))
}

/// Checks that `bytes` are exactly one correct batch.
pub(crate) fn validate(bytes: &[u8]) -> Result<BatchHeader, BatchFault> {
    let header = header_of(bytes)?;
    if let Some(fault) = header.fault() {
        return Err(fault);
    }
    if bytes.len() < header.len {
        return Err(BatchFault::Short { have: bytes.len(), want: header.len });
    }
    if bytes.len() > header.len {
        return Err(BatchFault::Trailing { bytes: bytes.len() - header.len });
    }
    let computed = crc32c::crc32c(&bytes[CRC_START..]);
    if computed != header.crc {
        return Err(BatchFault::Crc { stated: header.crc, computed });
    }
    Ok(header)
}

/// Checks a batch from a producer: what [`validate`] asks, and that it is not a control batch.
pub(crate) fn validate_produced(bytes: &[u8]) -> Result<BatchHeader, BatchFault> {
    let header = validate(bytes)?;
    if header.attributes & CONTROL_BIT != 0 { Err(BatchFault::Control) } else { Ok(header) }
}

/// The header of `batch` as it is stored: at `base_offset`, in leader epoch 0, and stamped with the append
/// time if there is one. `batch` must hold at least a header.
pub(crate) fn stored_header(batch: &[u8], base_offset: i64, append_time_ms: Option<i64>) -> [u8; HEADER_LEN] {
    let mut head = [0; HEADER_LEN];
    head.copy_from_slice(&batch[..HEADER_LEN]);
    head[..8].copy_from_slice(&base_offset.to_be_bytes());
    head[12..16].copy_from_slice(&0_i32.to_be_bytes());
    if let Some(stamp) = append_time_ms {
        let attributes = i16::from_be_bytes([head[21], head[22]]) | TIMESTAMP_TYPE_BIT;
        head[21..23].copy_from_slice(&attributes.to_be_bytes());
        head[35..43].copy_from_slice(&stamp.to_be_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[CRC_START..]), &batch[HEADER_LEN..]);
        head[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    head
}

/// The timestamp and offset of the first record of `batch` that is not older than `time_ms`.
///
/// Records of a compressed batch are not unpacked: its first offset stands for them, which makes a reader
/// begin at most one batch early.
pub(crate) fn first_record_since(batch: &[u8], header: &BatchHeader, time_ms: i64) -> (i64, i64) {
    if header.has_append_time() {
        return (header.max_timestamp, header.base_offset);
    }
    let whole = (header.base_timestamp, header.base_offset);
    if header.is_compressed() {
        return whole;
    }
    let mut rest = batch.get(HEADER_LEN..).unwrap_or_default();
    while let Some((timestamp_delta, offset_delta, after)) = record_deltas(rest) {
        let timestamp = header.base_timestamp.saturating_add(timestamp_delta);
        if timestamp >= time_ms {
            return (timestamp, header.base_offset.saturating_add(offset_delta));
        }
        rest = after;
    }
    whole
}

/// Timestamp delta and offset delta of the record at the start of `bytes`, and what follows it.
fn record_deltas(bytes: &[u8]) -> Option<(i64, i64, &[u8])> {
    let (len, body) = varint(bytes)?;
    let len = usize::try_from(len).ok()?;
    let record = body.get(..len)?;
    let (timestamp_delta, rest) = varint(record.get(1..)?)?;
    let (offset_delta, _) = varint(rest)?;
    Some((timestamp_delta, offset_delta, &body[len..]))
}

/// A zigzag-encoded number and what follows it.
fn varint(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            let decoded = (value >> 1).cast_signed() ^ -((value & 1).cast_signed());
            return Some((decoded, &bytes[index + 1..]));
        }
    }
    None
}
