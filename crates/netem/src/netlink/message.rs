//! Messages of route netlink, byte by byte.

use std::io;

/// Length of `struct nlmsghdr`.
pub(super) const HEADER_LEN: usize = 16;
/// Length of `struct ifinfomsg`.
pub(super) const IFINFO_LEN: usize = 16;

pub(super) const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLA_F_NESTED: u16 = 0x8000;

/// One netlink message under construction.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A request of a `RTM_*` kind.
    pub(super) fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
        Self { bytes }
    }

    /// A message about a link: `struct ifinfomsg` follows the header.
    pub(super) fn link(kind: u16, request: u16, index: u32, flags: u32, change: u32) -> Self {
        let mut message = Self::new(kind, request);
        message.append(&ifinfo(index, flags, change));
        message
    }

    /// Adds bytes as they are.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds an attribute.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        push_attribute(&mut self.bytes, kind, value);
    }

    /// Adds an attribute that consists of attributes.
    pub(super) fn nested(&mut self, kind: u16, attributes: &[u8]) {
        push_attribute(&mut self.bytes, kind | NLA_F_NESTED, attributes);
    }

    /// Asks for an acknowledgement also of success.
    pub(super) fn confirm(&mut self) {
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | NLM_F_ACK;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// The bytes to send, with length and sequence number.
    pub(super) fn seal(mut self, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

/// `struct ifinfomsg`.
pub(super) fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; IFINFO_LEN] {
    let mut bytes = [0; IFINFO_LEN];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

/// Adds an attribute to `bytes`, padded to four bytes.
pub(super) fn push_attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The value of the first attribute of a kind.
pub(super) fn attribute_of(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
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

/// What the kernel answers.
pub(super) struct Answer<'a> {
    /// Which request it answers.
    pub(super) sequence: u32,
    /// Success or refusal for an acknowledgement, `None` for data.
    pub(super) outcome: Option<io::Result<()>>,
    /// What follows the header.
    pub(super) payload: &'a [u8],
}

const NLMSG_ERROR: u16 = 2;

/// Takes the first answer off `bytes`.
pub(super) fn take_answer<'a>(bytes: &mut &'a [u8]) -> io::Result<Answer<'a>> {
    let cut_short = || io::Error::new(io::ErrorKind::InvalidData, "netlink answer cut short");
    let header = (u32_at(bytes, 0), u16_at(bytes, 4), u32_at(bytes, 8));
    let (Some(length), Some(kind), Some(sequence)) = header else { return Err(cut_short()) };
    let length = length as usize;
    let payload = bytes.get(HEADER_LEN..length).ok_or_else(cut_short)?;
    *bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    let outcome = (kind == NLMSG_ERROR).then(|| match u32_at(payload, 0).map(|code| code as i32) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(cut_short()),
    });
    Ok(Answer { sequence, outcome, payload })
}

pub(super) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(offset..offset + 8)?.try_into().ok()?))
}

pub(super) fn with_nul(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
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
    fn answers_are_taken_one_by_one() {
        let refusal = |sequence: u32, code: i32| {
            let mut message = Message::new(NLMSG_ERROR, 0);
            message.append(&code.to_ne_bytes());
            message.seal(sequence)
        };
        let bytes = [refusal(7, -libc::EPERM), refusal(8, 0), Message::new(16, 0).seal(9)].concat();
        let mut rest = bytes.as_slice();
        let first = take_answer(&mut rest).unwrap();
        let code = first.outcome.unwrap().unwrap_err().raw_os_error();
        assert_eq!((first.sequence, code), (7, Some(libc::EPERM)));
        assert!(take_answer(&mut rest).unwrap().outcome.unwrap().is_ok());
        let data = take_answer(&mut rest).unwrap();
        assert!(data.outcome.is_none() && data.sequence == 9 && data.payload.is_empty());
        assert!(take_answer(&mut rest).is_err(), "nothing is left");
        assert!(take_answer(&mut &bytes[..12]).is_err());
    }
}
