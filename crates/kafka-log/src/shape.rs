//! The versions spoken, and the shape of each request.
//!
//! The codec reserves room for as many array elements as a request announces, so a few random bytes could ask for
//! more memory than there is. Every request is therefore walked over first: its announced sizes must lie within
//! its bytes and its elements within a bound. Shapes follow
//! <https://github.com/apache/kafka/tree/trunk/clients/src/main/resources/common/message>.

use std::fmt;

use kafka_protocol::messages::ApiKey;

/// Array elements and tagged fields in one request, nested ones included.
const ELEMENTS_MAX: usize = 100_000;

#[derive(Debug)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, nullable or not.
    Text,
    /// Bytes, nullable or not.
    Blob,
    /// An array of structures.
    Structs(&'static [Field]),
    /// An array of plain values.
    List(&'static Kind),
}

/// A field that exists from version `from` to version `to`.
#[derive(Debug)]
struct Field {
    from: i16,
    to: i16,
    kind: Kind,
}

const fn field(kind: Kind) -> Field {
    Field { from: 0, to: i16::MAX, kind }
}

const fn since(from: i16, kind: Kind) -> Field {
    Field { from, to: i16::MAX, kind }
}

const fn until(to: i16, kind: Kind) -> Field {
    Field { from: 0, to, kind }
}

/// A request that is served.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) min: i16,
    pub(crate) max: i16,
    /// First version with compact sizes and tagged fields.
    flexible: i16,
    fields: &'static [Field],
}

use Kind::{Blob, Fixed, List, Structs, Text};

const fn api(key: ApiKey, min: i16, max: i16, flexible: i16, fields: &'static [Field]) -> Api {
    Api { key, min, max, flexible, fields }
}

/// Every request served, with the versions of it.
///
/// Fetch ends at 12 and OffsetCommit and OffsetFetch at 8: later versions bring topic ids and the newer group
/// protocol, which no client needs as long as the server does not offer them.
pub(crate) static APIS: &[Api] = &[
    api(
        ApiKey::Produce,
        3,
        9,
        9,
        &[
            field(Text),
            field(Fixed(6)),
            field(Structs(&[field(Text), field(Structs(&[field(Fixed(4)), field(Blob)]))])),
        ],
    ),
    api(
        ApiKey::Fetch,
        4,
        12,
        12,
        &[
            field(Fixed(17)),
            since(7, Fixed(8)),
            field(Structs(&[
                field(Text),
                field(Structs(&[
                    field(Fixed(4)),
                    since(9, Fixed(4)),
                    field(Fixed(8)),
                    since(12, Fixed(4)),
                    since(5, Fixed(8)),
                    field(Fixed(4)),
                ])),
            ])),
            since(7, Structs(&[field(Text), field(List(&Fixed(4)))])),
            since(11, Text),
        ],
    ),
    api(
        ApiKey::ListOffsets,
        1,
        7,
        6,
        &[
            field(Fixed(4)),
            since(2, Fixed(1)),
            field(Structs(&[
                field(Text),
                field(Structs(&[field(Fixed(4)), since(4, Fixed(4)), field(Fixed(8))])),
            ])),
        ],
    ),
    api(
        ApiKey::Metadata,
        0,
        12,
        9,
        &[
            field(Structs(&[since(10, Fixed(16)), field(Text)])),
            since(4, Fixed(1)),
            Field { from: 8, to: 10, kind: Fixed(1) },
            since(8, Fixed(1)),
        ],
    ),
    api(
        ApiKey::OffsetCommit,
        2,
        8,
        8,
        &[
            field(Text),
            field(Fixed(4)),
            field(Text),
            since(7, Text),
            until(4, Fixed(8)),
            field(Structs(&[
                field(Text),
                field(Structs(&[field(Fixed(12)), since(6, Fixed(4)), field(Text)])),
            ])),
        ],
    ),
    api(
        ApiKey::OffsetFetch,
        1,
        8,
        6,
        &[
            until(7, Text),
            until(7, Structs(&[field(Text), field(List(&Fixed(4)))])),
            since(8, Structs(&[field(Text), field(Structs(&[field(Text), field(List(&Fixed(4)))]))])),
            since(7, Fixed(1)),
        ],
    ),
    api(ApiKey::FindCoordinator, 0, 4, 3, &[until(3, Text), since(1, Fixed(1)), since(4, List(&Text))]),
    api(
        ApiKey::JoinGroup,
        0,
        9,
        6,
        &[
            field(Text),
            field(Fixed(4)),
            since(1, Fixed(4)),
            field(Text),
            since(5, Text),
            field(Text),
            field(Structs(&[field(Text), field(Blob)])),
            since(8, Text),
        ],
    ),
    api(ApiKey::Heartbeat, 0, 4, 4, &[field(Text), field(Fixed(4)), field(Text), since(3, Text)]),
    api(
        ApiKey::LeaveGroup,
        0,
        5,
        4,
        &[field(Text), until(2, Text), since(3, Structs(&[field(Text), field(Text), since(5, Text)]))],
    ),
    api(
        ApiKey::SyncGroup,
        0,
        5,
        4,
        &[
            field(Text),
            field(Fixed(4)),
            field(Text),
            since(3, Text),
            since(5, Text),
            since(5, Text),
            field(Structs(&[field(Text), field(Blob)])),
        ],
    ),
    api(ApiKey::DescribeGroups, 0, 5, 5, &[field(List(&Text)), since(3, Fixed(1))]),
    api(ApiKey::ListGroups, 0, 5, 3, &[since(4, List(&Text)), since(5, List(&Text))]),
    api(ApiKey::ApiVersions, 0, 4, 3, &[since(3, Text), since(3, Text)]),
    api(
        ApiKey::CreateTopics,
        2,
        7,
        5,
        &[
            field(Structs(&[
                field(Text),
                field(Fixed(6)),
                field(Structs(&[field(Fixed(4)), field(List(&Fixed(4)))])),
                field(Structs(&[field(Text), field(Text)])),
            ])),
            field(Fixed(5)),
        ],
    ),
    api(
        ApiKey::DeleteTopics,
        1,
        6,
        4,
        &[since(6, Structs(&[field(Text), field(Fixed(16))])), until(5, List(&Text)), field(Fixed(4))],
    ),
    api(ApiKey::InitProducerId, 0, 4, 2, &[field(Text), field(Fixed(4)), since(3, Fixed(10))]),
    api(
        ApiKey::OffsetForLeaderEpoch,
        2,
        4,
        4,
        &[since(3, Fixed(4)), field(Structs(&[field(Text), field(Structs(&[field(Fixed(12))]))]))],
    ),
    api(
        ApiKey::DescribeConfigs,
        1,
        4,
        4,
        &[
            field(Structs(&[field(Fixed(1)), field(Text), field(List(&Text))])),
            field(Fixed(1)),
            since(3, Fixed(1)),
        ],
    ),
    api(
        ApiKey::CreatePartitions,
        0,
        3,
        2,
        &[
            field(Structs(&[field(Text), field(Fixed(4)), field(Structs(&[field(List(&Fixed(4)))]))])),
            field(Fixed(5)),
        ],
    ),
    api(ApiKey::DescribeCluster, 0, 1, 0, &[field(Fixed(1)), since(1, Fixed(1))]),
];

impl Api {
    /// The request with this key, if it is served.
    pub(crate) fn find(key: i16) -> Option<&'static Self> {
        APIS.iter().find(|api| api.key as i16 == key)
    }

    /// Checks that `body` has the shape of this request in `version`.
    pub(crate) fn check(&self, body: &[u8], version: i16) -> Result<(), Misshapen> {
        let flexible = version >= self.flexible;
        let mut walker = Walker { rest: body, version, flexible, elements: 0 };
        walker.fields(self.fields).ok_or(Misshapen {
            key: self.key,
            version,
            at: body.len() - walker.rest.len(),
        })
    }
}

/// A request whose bytes do not have its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misshapen {
    key: ApiKey,
    version: i16,
    at: usize,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of a {:?} request of version {} does not fit", self.at, self.key, self.version)
    }
}

struct Walker<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    elements: usize,
}

impl Walker<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    /// An unsigned varint of at most five bytes.
    fn varint(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        for index in 0..5 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A size or count; null counts as nothing.
    fn size(&mut self, wide: bool) -> Option<usize> {
        if self.flexible {
            return self.varint().map(|size| size.saturating_sub(1));
        }
        let signed = if wide {
            let (bytes, rest) = self.rest.split_first_chunk::<4>()?;
            self.rest = rest;
            i32::from_be_bytes(*bytes)
        } else {
            let (bytes, rest) = self.rest.split_first_chunk::<2>()?;
            self.rest = rest;
            i32::from(i16::from_be_bytes(*bytes))
        };
        if signed == -1 { Some(0) } else { usize::try_from(signed).ok() }
    }

    fn count(&mut self) -> Option<usize> {
        let count = self.size(true)?;
        self.admit(count)
    }

    fn admit(&mut self, count: usize) -> Option<usize> {
        self.elements = self.elements.checked_add(count).filter(|elements| *elements <= ELEMENTS_MAX)?;
        Some(count)
    }

    fn fields(&mut self, fields: &[Field]) -> Option<()> {
        for field in fields {
            if (field.from..=field.to).contains(&self.version) {
                self.kind(&field.kind)?;
            }
        }
        if self.flexible { self.tags() } else { Some(()) }
    }

    fn kind(&mut self, kind: &Kind) -> Option<()> {
        match kind {
            Fixed(count) => self.skip(*count),
            Text => self.size(false).and_then(|len| self.skip(len)),
            Blob => self.size(true).and_then(|len| self.skip(len)),
            Structs(fields) => (0..self.count()?).try_for_each(|_| self.fields(fields)),
            List(kind) => (0..self.count()?).try_for_each(|_| self.kind(kind)),
        }
    }

    fn tags(&mut self) -> Option<()> {
        let count = self.varint()?;
        for _ in 0..self.admit(count)? {
            self.varint()?;
            let len = self.varint()?;
            self.skip(len)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
