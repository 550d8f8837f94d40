//! Frames: how requests and answers travel over a byte stream.
//!
//! All numbers are little-endian:
//!
//! ```text
//! offset  size  field
//!      0     4  bytes that follow, at most BYTES_MAX
//!      4     1  kind: 1 greeting, 2 request, 3 answer, 4 part of a stream
//!      5     8  the request's number (0 in a greeting), which is also the number of the stream that it opened
//!     13     4  header bytes, H
//!     17     H  header, JSON
//!   17+H   ...  payload, raw
//! ```

use std::io::{self, Read, Write};

/// Most bytes that follow a frame's length field.
pub const BYTES_MAX: usize = 8 << 20;
/// Bytes of kind, number and header length.
const FIXED_BYTES: usize = 1 + 8 + 4;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first frame of each side.
    Greeting,
    /// From the runner.
    Request,
    /// From the agent.
    Answer,
    /// A part of a stream that a request opened, either way (see [`stream`](crate::stream)).
    Stream,
}

impl Kind {
    const fn code(self) -> u8 {
        match self {
            Self::Greeting => 1,
            Self::Request => 2,
            Self::Answer => 3,
            Self::Stream => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Greeting),
            2 => Some(Self::Request),
            3 => Some(Self::Answer),
            4 => Some(Self::Stream),
            _ => None,
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// The request it belongs to.
    pub id: u64,
    /// The header.
    pub header: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// Why bytes are not a frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed.
    #[error("the stream failed: {0}")]
    Stream(#[from] io::Error),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame, {missing} bytes short")]
    Short {
        /// Bytes that were still due.
        missing: u64,
    },
    /// The length field is out of range. Text on the stream shows as this.
    #[error("{bytes} bytes is no length of a frame ({FIXED_BYTES} to {BYTES_MAX}); first bytes {first:?}")]
    Length {
        /// The length claimed.
        bytes: u64,
        /// The length field's bytes, as text when they are printable.
        first: String,
    },
    /// The kind is unknown.
    #[error("{code} is no kind of frame (1 to 4)")]
    Kind {
        /// The kind claimed.
        code: u8,
    },
    /// The header reaches beyond the frame.
    #[error("a header of {header_bytes} bytes does not fit into the frame, which has {room} left")]
    Header {
        /// The header length claimed.
        header_bytes: u32,
        /// Bytes left in the frame.
        room: usize,
    },
}

impl Frame {
    /// The frame as bytes.
    ///
    /// # Errors
    /// [`FrameError::Length`] when it would be longer than [`BYTES_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let following = FIXED_BYTES + self.header.len() + self.payload.len();
        if following > BYTES_MAX {
            return Err(FrameError::Length { bytes: following as u64, first: String::new() });
        }
        let mut bytes = Vec::with_capacity(4 + following);
        bytes.extend_from_slice(&(following as u32).to_le_bytes());
        bytes.push(self.kind.code());
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&(self.header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.header);
        bytes.extend_from_slice(&self.payload);
        Ok(bytes)
    }

    /// Writes the frame in one piece.
    ///
    /// # Errors
    /// As [`Frame::encode`], and when the stream fails.
    pub fn write_to(&self, stream: &mut impl Write) -> Result<(), FrameError> {
        stream.write_all(&self.encode()?)?;
        Ok(stream.flush()?)
    }

    /// Reads the next frame; `None` when the stream ends between two frames.
    ///
    /// # Errors
    /// When the stream fails or ends inside a frame, or the bytes are no frame. Memory grows only with bytes that
    /// really arrive.
    pub fn read_from(stream: &mut impl Read) -> Result<Option<Self>, FrameError> {
        let mut length = [0; 4];
        let got = read_full(stream, &mut length)?;
        if got == 0 {
            return Ok(None);
        }
        if got < 4 {
            return Err(FrameError::Short { missing: 4 - got as u64 });
        }
        let following = u64::from(u32::from_le_bytes(length));
        if !(FIXED_BYTES as u64..=BYTES_MAX as u64).contains(&following) {
            let first = length.escape_ascii().to_string();
            return Err(FrameError::Length { bytes: following, first });
        }
        let mut body = Vec::new();
        stream.take(following).read_to_end(&mut body)?;
        if (body.len() as u64) < following {
            return Err(FrameError::Short { missing: following - body.len() as u64 });
        }
        Self::decode_body(&body).map(Some)
    }

    fn decode_body(body: &[u8]) -> Result<Self, FrameError> {
        let short = || FrameError::Short { missing: (FIXED_BYTES - body.len().min(FIXED_BYTES)) as u64 };
        let (code, rest) = body.split_first().ok_or_else(short)?;
        let (id, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (header_bytes, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let kind = Kind::from_code(*code).ok_or(FrameError::Kind { code: *code })?;
        let header_bytes = u32::from_le_bytes(*header_bytes);
        let (header, payload) = rest
            .split_at_checked(header_bytes as usize)
            .ok_or(FrameError::Header { header_bytes, room: rest.len() })?;
        Ok(Self { kind, id: u64::from_le_bytes(*id), header: header.to_vec(), payload: payload.to_vec() })
    }
}

/// Reads until `buffer` is full or the stream ends; how much there was.
fn read_full(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match stream.read(room) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
