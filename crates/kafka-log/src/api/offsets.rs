//! `ListOffsets` and `OffsetForLeaderEpoch`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use crate::api::code;
use crate::node::{LEADER_EPOCH, Node};
use crate::topics::Topic;

/// Timestamps with a meaning of their own.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

pub(super) fn list(node: &Node, version: i16, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = node.topics.find(&asked.name);
        let partitions =
            asked.partitions.iter().map(|partition| list_one(topic.as_deref(), version, partition));
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(asked.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn list_one(
    topic: Option<&Topic>,
    version: i16,
    asked: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
    let Some(partition) = topic.and_then(|topic| topic.partition(asked.partition_index)) else {
        return answer.with_error_code(code(ResponseError::UnknownTopicOrPartition));
    };
    let log = partition.log();
    let found = match asked.timestamp {
        LATEST => Ok(Some((-1, log.end_offset()))),
        EARLIEST => Ok(Some((-1, log.start_offset()))),
        MAX_TIMESTAMP => log.newest_time(),
        time_ms => log.offset_for_time(time_ms),
    };
    drop(log);
    match found {
        Ok(Some((timestamp, offset))) => {
            let answer = answer.with_timestamp(timestamp).with_offset(offset);
            if version >= 4 { answer.with_leader_epoch(LEADER_EPOCH) } else { answer }
        }
        Ok(None) => answer.with_timestamp(-1).with_offset(-1),
        Err(_) => answer.with_error_code(code(ResponseError::KafkaStorageError)),
    }
}

/// Tells where an epoch ended. There is one epoch, so its end is the end of the log; a consumer that is ahead of it
/// learns that the log lost records in a crash.
pub(super) fn of_epoch(node: &Node, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|asked| {
        let topic = node.topics.find(&asked.topic);
        let partitions = asked.partitions.iter().map(|partition| {
            let answer = EpochEndOffset::default().with_partition(partition.partition);
            let Some(found) = topic.as_ref().and_then(|topic| topic.partition(partition.partition)) else {
                return answer.with_error_code(code(ResponseError::UnknownTopicOrPartition));
            };
            if partition.current_leader_epoch > LEADER_EPOCH {
                return answer.with_error_code(code(ResponseError::UnknownLeaderEpoch));
            }
            if partition.leader_epoch == LEADER_EPOCH {
                answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(found.log().end_offset())
            } else {
                answer.with_leader_epoch(-1).with_end_offset(-1)
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(asked.topic).with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
