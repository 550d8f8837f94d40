//! The fetch response, written by hand: the codec would want the records in memory, and they stay in their files.

use kafka_protocol::messages::ApiKey;

use std::os::unix::fs::FileExt;

use crate::log::Extent;
use crate::wire::{Part, Reply, Request, SIZE_LEN};

/// Records up to this many bytes are copied: less work than two more system calls.
const COPY_BYTES: u64 = 2048;
/// First version with compact sizes and tagged fields.
const FLEXIBLE: i16 = 12;

/// One topic of a response.
#[derive(Debug)]
pub(super) struct FetchedTopic {
    pub(super) name: String,
    pub(super) partitions: Vec<FetchedPartition>,
}

/// One partition of a response.
#[derive(Debug)]
pub(super) struct FetchedPartition {
    pub(super) index: i32,
    pub(super) error_code: i16,
    pub(super) high_watermark: i64,
    pub(super) stable_offset: i64,
    pub(super) start: i64,
    pub(super) extent: Option<Extent>,
}

/// The response to `request`, records as pieces of files.
pub(super) fn frame(request: &Request, error_code: i16, topics: &[FetchedTopic]) -> Result<Reply, String> {
    let version = request.version;
    let mut writer = Writer { flexible: version >= FLEXIBLE, parts: Vec::new(), bytes: vec![0; SIZE_LEN] };
    writer.put(&request.correlation.to_be_bytes());
    if ApiKey::Fetch.response_header_version(version) >= 1 {
        writer.tags();
    }
    writer.put(&0_i32.to_be_bytes());
    if version >= 7 {
        writer.put(&error_code.to_be_bytes());
        writer.put(&0_i32.to_be_bytes());
    }
    writer.count(topics.len())?;
    for topic in topics {
        writer.text(&topic.name)?;
        writer.count(topic.partitions.len())?;
        for partition in &topic.partitions {
            writer.partition(version, partition)?;
        }
        writer.tags();
    }
    writer.tags();
    writer.finish()
}

struct Writer {
    flexible: bool,
    parts: Vec<Part>,
    bytes: Vec<u8>,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// No tagged fields.
    fn tags(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A count of elements or bytes.
    fn count(&mut self, count: usize) -> Result<(), String> {
        let plain = i32::try_from(count).map_err(|_| format!("a response of {count} elements or bytes"))?;
        if self.flexible {
            self.varint(count as u64 + 1);
        } else {
            self.put(&plain.to_be_bytes());
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let plain = i16::try_from(text.len()).map_err(|_| format!("a name of {} bytes", text.len()))?;
        if self.flexible {
            self.varint(text.len() as u64 + 1);
        } else {
            self.put(&plain.to_be_bytes());
        }
        self.put(text.as_bytes());
        Ok(())
    }

    fn partition(&mut self, version: i16, partition: &FetchedPartition) -> Result<(), String> {
        self.put(&partition.index.to_be_bytes());
        self.put(&partition.error_code.to_be_bytes());
        self.put(&partition.high_watermark.to_be_bytes());
        self.put(&partition.stable_offset.to_be_bytes());
        if version >= 5 {
            self.put(&partition.start.to_be_bytes());
        }
        // No transaction was ever aborted.
        self.count(0)?;
        if version >= 11 {
            self.put(&(-1_i32).to_be_bytes());
        }
        self.records(partition.extent.as_ref())?;
        self.tags();
        Ok(())
    }

    fn records(&mut self, extent: Option<&Extent>) -> Result<(), String> {
        let Some(extent) = extent else {
            return self.count(0);
        };
        let len = usize::try_from(extent.len).map_err(|error| error.to_string())?;
        self.count(len)?;
        if extent.len <= COPY_BYTES {
            let start = self.bytes.len();
            self.bytes.resize(start + len, 0);
            return extent
                .file
                .read_exact_at(&mut self.bytes[start..], extent.position)
                .map_err(|error| format!("cannot read a segment: {error}"));
        }
        let before = std::mem::take(&mut self.bytes);
        self.parts.push(Part::Bytes(before));
        self.parts.push(Part::File(extent.clone()));
        Ok(())
    }

    fn finish(mut self) -> Result<Reply, String> {
        if !self.bytes.is_empty() {
            self.parts.push(Part::Bytes(self.bytes));
        }
        let total: u64 = self.parts.iter().map(Part::len).sum();
        let size =
            i32::try_from(total - SIZE_LEN as u64).map_err(|_| format!("a response of {total} bytes"))?;
        if let Some(Part::Bytes(first)) = self.parts.first_mut() {
            first[..SIZE_LEN].copy_from_slice(&size.to_be_bytes());
        }
        Ok(Reply { parts: self.parts })
    }
}

impl Part {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(extent) => extent.len,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
    use kafka_protocol::messages::{FetchRequest, RequestHeader, TopicName};
    use kafka_protocol::protocol::Encodable;

    use super::*;
    use crate::wire::{encode, text};

    fn request(version: i16) -> Request {
        let header = RequestHeader::default()
            .with_request_api_key(ApiKey::Fetch as i16)
            .with_request_api_version(version)
            .with_correlation_id(77);
        let mut frame = BytesMut::new();
        header.encode(&mut frame, ApiKey::Fetch.request_header_version(version)).unwrap();
        FetchRequest::default().encode(&mut frame, version).unwrap();
        Request::parse(frame.freeze()).unwrap()
    }

    fn flatten(reply: &Reply) -> Vec<u8> {
        let mut all = Vec::new();
        for part in &reply.parts {
            match part {
                Part::Bytes(bytes) => all.extend_from_slice(bytes),
                Part::File(extent) => {
                    let mut piece = vec![0; usize::try_from(extent.len).unwrap()];
                    extent.file.read_exact_at(&mut piece, extent.position).unwrap();
                    all.extend(piece);
                }
            }
        }
        all
    }

    #[test]
    fn frames_are_those_of_the_codec() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        file.write_all(&content).unwrap();
        let file = Arc::new(file);
        let cases =
            [(0, None), (1, Some((10, 200))), (2, Some((500, 70_000))), (3, None), (4, Some((3, 5000)))];
        for version in 4..=12 {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for (index, range) in cases {
                let extent = range.map(|(position, len)| Extent { file: Arc::clone(&file), position, len });
                let records = range.map_or(Bytes::new(), |(at, len)| {
                    Bytes::copy_from_slice(&content[at as usize..(at + len) as usize])
                });
                let (error_code, high_watermark, stable_offset) = (index as i16, 9, 8);
                ours.push(FetchedPartition {
                    index,
                    error_code,
                    high_watermark,
                    stable_offset,
                    start: -1,
                    extent,
                });
                let data = PartitionData::default()
                    .with_partition_index(index)
                    .with_error_code(error_code)
                    .with_high_watermark(high_watermark)
                    .with_last_stable_offset(stable_offset)
                    .with_aborted_transactions(Some(Vec::new()))
                    .with_records(Some(records));
                theirs.push(data);
            }
            let topic = FetchableTopicResponse::default()
                .with_topic(TopicName(text("in-uni-data")))
                .with_partitions(theirs);
            let expected =
                encode(77, &FetchResponse::default().with_responses(vec![topic]), version).unwrap();
            let topics = [FetchedTopic { name: "in-uni-data".into(), partitions: ours }];
            let reply = frame(&request(version), 0, &topics).unwrap();
            assert_eq!(flatten(&reply), flatten(&expected), "version {version}");
        }
    }
}
