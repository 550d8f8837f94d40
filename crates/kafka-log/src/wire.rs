//! Frames: from bytes to a request, from a response to bytes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

use crate::log::Extent;
use crate::shape::Api;

/// Bytes of the size that precedes every frame.
pub(crate) const SIZE_LEN: usize = 4;
/// The shortest request: key, version and correlation id.
const HEAD_LEN: usize = 8;

/// A request, its body not yet decoded.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation: i32,
    pub(crate) client_id: String,
    body: Bytes,
}

/// Why a frame is not a request that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswerable {
    /// A client asks for our versions in a version we do not know; it is told them in version 0.
    ApiVersions { correlation: i32 },
    /// The connection has to be closed.
    Close(String),
}

/// A response: bytes of memory and pieces of files, in order, size included.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) parts: Vec<Part>,
}

/// A piece of a response.
#[derive(Debug)]
pub(crate) enum Part {
    Bytes(Vec<u8>),
    File(Extent),
}

impl Request {
    /// Takes a frame apart and checks its shape.
    pub(crate) fn parse(frame: Bytes) -> Result<Self, Unanswerable> {
        let Some(&[k0, k1, v0, v1, c0, c1, c2, c3]) = frame.first_chunk::<HEAD_LEN>() else {
            let len = frame.len();
            return Err(Unanswerable::Close(format!("a request of {len} bytes is shorter than its header")));
        };
        let key = i16::from_be_bytes([k0, k1]);
        let version = i16::from_be_bytes([v0, v1]);
        let correlation = i32::from_be_bytes([c0, c1, c2, c3]);
        let api = Api::find(key)
            .ok_or_else(|| Unanswerable::Close(format!("requests of key {key} are not served")))?;
        if !(api.min..=api.max).contains(&version) {
            return Err(match api.key {
                ApiKey::ApiVersions => Unanswerable::ApiVersions { correlation },
                key => Unanswerable::Close(format!(
                    "{key:?} requests are served in versions {} to {}, not {version}",
                    api.min, api.max
                )),
            });
        }
        let mut body = frame;
        let header = RequestHeader::decode(&mut body, api.key.request_header_version(version))
            .map_err(|error| Unanswerable::Close(format!("bad request header: {error}")))?;
        api.check(&body, version).map_err(|misshapen| Unanswerable::Close(misshapen.to_string()))?;
        let client_id = header.client_id.map(|id| id.to_string()).unwrap_or_default();
        Ok(Self { key: api.key, version, correlation, client_id, body })
    }

    /// Decodes the body.
    pub(crate) fn decode<T: Decodable>(&self) -> Result<T, String> {
        let mut body = self.body.clone();
        T::decode(&mut body, self.version).map_err(|error| format!("bad {:?} request: {error}", self.key))
    }

    /// Encodes its response.
    pub(crate) fn reply<T: Encodable + HeaderVersion>(&self, response: &T) -> Result<Reply, String> {
        encode(self.correlation, response, self.version)
            .map_err(|error| format!("cannot encode the {:?} response: {error}", self.key))
    }
}

/// A whole frame with `response`.
pub(crate) fn encode<T: Encodable + HeaderVersion>(
    correlation: i32,
    response: &T,
    version: i16,
) -> Result<Reply, String> {
    let header = ResponseHeader::default().with_correlation_id(correlation);
    let mut out = BytesMut::zeroed(SIZE_LEN);
    header.encode(&mut out, T::header_version(version)).map_err(|error| error.to_string())?;
    response.encode(&mut out, version).map_err(|error| error.to_string())?;
    let size = i32::try_from(out.len() - SIZE_LEN).map_err(|error| error.to_string())?;
    out[..SIZE_LEN].copy_from_slice(&size.to_be_bytes());
    Ok(Reply { parts: vec![Part::Bytes(out.into())] })
}

/// Our string as the protocol's.
pub(crate) fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}
