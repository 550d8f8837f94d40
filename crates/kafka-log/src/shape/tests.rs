use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable};
use proptest::prelude::*;

use super::*;
use crate::wire::Request;

/// Reads a request with the codec; the error is its own.
fn decode_any(key: ApiKey, bytes: &mut Bytes, version: i16) -> Result<(), String> {
    macro_rules! read {
        ($($name:ident $request:ident),*) => {
            match key {
                $(ApiKey::$name => $request::decode(bytes, version).map(drop).map_err(|error| error.to_string()),)*
                other => Err(format!("{other:?} is not in this test")),
            }
        };
    }
    read!(
        Produce ProduceRequest, Fetch FetchRequest, ListOffsets ListOffsetsRequest, Metadata MetadataRequest,
        OffsetCommit OffsetCommitRequest, OffsetFetch OffsetFetchRequest, FindCoordinator FindCoordinatorRequest,
        JoinGroup JoinGroupRequest, Heartbeat HeartbeatRequest, LeaveGroup LeaveGroupRequest,
        SyncGroup SyncGroupRequest, DescribeGroups DescribeGroupsRequest, ListGroups ListGroupsRequest,
        ApiVersions ApiVersionsRequest, CreateTopics CreateTopicsRequest, DeleteTopics DeleteTopicsRequest,
        InitProducerId InitProducerIdRequest, OffsetForLeaderEpoch OffsetForLeaderEpochRequest,
        DescribeConfigs DescribeConfigsRequest, CreatePartitions CreatePartitionsRequest,
        DescribeCluster DescribeClusterRequest
    )
}

/// Writes random bytes in a request's shape, with few elements, so that the codec can judge the table.
struct Author<'a> {
    noise: &'a [u8],
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Author<'_> {
    fn noise(&mut self) -> u8 {
        let byte = self.noise.first().copied().unwrap_or(0);
        self.noise = self.noise.get(1..).unwrap_or_default();
        byte
    }

    fn size(&mut self, size: u8, wide: bool) {
        match (self.flexible, wide) {
            (true, _) => self.out.push(size + 1),
            (false, true) => self.out.extend_from_slice(&[0, 0, 0, size]),
            (false, false) => self.out.extend_from_slice(&[0, size]),
        }
    }

    fn fields(&mut self, fields: &[Field]) {
        for field in fields {
            if (field.from..=field.to).contains(&self.version) {
                self.kind(&field.kind);
            }
        }
        if self.flexible {
            // A tagged field that nobody knows.
            self.out.extend_from_slice(&[1, 90, 2, 1, 2]);
        }
    }

    fn kind(&mut self, kind: &Kind) {
        match kind {
            Fixed(count) => {
                for _ in 0..*count {
                    let byte = self.noise() % 2;
                    self.out.push(byte);
                }
            }
            Text | Blob => {
                let len = self.noise() % 4;
                self.size(len, matches!(kind, Blob));
                self.out.extend(std::iter::repeat_n(b'x', len.into()));
            }
            Structs(fields) => {
                let count = self.noise() % 3;
                self.size(count, true);
                (0..count).for_each(|_| self.fields(fields));
            }
            List(kind) => {
                let count = self.noise() % 3;
                self.size(count, true);
                (0..count).for_each(|_| self.kind(kind));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The table and the codec agree: what is written by the table is read by the codec to the last byte, for
    /// every request and version served.
    #[test]
    fn the_codec_reads_what_the_table_describes(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        for api in APIS {
            for version in api.min..=api.max {
                let flexible = version >= api.flexible;
                let mut author = Author { noise: &noise, version, flexible, out: Vec::new() };
                author.fields(api.fields);
                prop_assert_eq!(api.check(&author.out, version), Ok(()));
                let mut body = Bytes::from(author.out.clone());
                let decoded = decode_any(api.key, &mut body, version);
                prop_assert!(decoded.is_ok(), "{:?} {version}: {:?}", api.key, decoded.err());
                prop_assert_eq!(body.remaining(), 0, "{:?} {}", api.key, version);
            }
        }
    }

    /// Whatever passes the table costs the codec little, and nothing panics.
    #[test]
    fn random_bodies_are_refused_or_decoded(key in 0_usize..64, version in 0_i16..14, noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let api = &APIS[key % APIS.len()];
        let version = version.clamp(api.min, api.max);
        let header = RequestHeader::default().with_request_api_key(api.key as i16).with_request_api_version(version);
        let mut frame = BytesMut::new();
        header.encode(&mut frame, api.key.request_header_version(version)).unwrap();
        frame.extend_from_slice(&noise);
        if let Ok(request) = Request::parse(frame.freeze()) {
            let _ = decode_any(request.key, &mut Bytes::from(noise), version);
        }
    }
}

#[test]
fn announced_sizes_beyond_the_bytes_are_refused() {
    let metadata = Api::find(ApiKey::Metadata as i16).unwrap();
    assert!(metadata.check(&[0x7f, 0xff, 0xff, 0xff, 0, 0], 1).is_err());
    assert!(metadata.check(&[0xff, 0xff, 0xff, 0xff], 1).is_ok(), "null asks for all topics");
    assert!(metadata.check(&[0xff, 0xff, 0xff, 0xff, 0x0f], 9).is_err());
    let many = [0, 1, 0x86, 0xa1].iter().copied().chain(std::iter::repeat_n(0, 400_000)).collect::<Vec<u8>>();
    assert!(metadata.check(&many, 1).is_err(), "more elements than a request may have");
}
