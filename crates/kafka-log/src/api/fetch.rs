//! `Fetch`: which bytes of which segments, and waiting for more.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest};

use crate::api::code;
use crate::api::fetch_frame::{FetchedPartition, FetchedTopic, frame};
use crate::connection::Session;
use crate::event::Event;
use crate::log::ReadError;
use crate::node::{LEADER_EPOCH, Node};
use crate::topics::Topic;
use crate::wire::{Reply, Request};

/// Longest wait for records, whatever a client asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);

pub(super) fn fetch(session: &Session, request: &Request) -> Result<Reply, String> {
    let fetch: FetchRequest = request.decode()?;
    if fetch.session_id != 0 {
        // Sessions are never given out, so this one is of an earlier life of the server, or made up.
        return frame(request, code(ResponseError::FetchSessionIdNotFound), &[]);
    }
    let wait = Duration::from_millis(u64::try_from(fetch.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    let deadline = Instant::now() + wait;
    let min_bytes = u64::try_from(fetch.min_bytes).unwrap_or(0);
    let mut found = gather(&session.node, &fetch);
    let mut watching = false;
    loop {
        let enough = found.urgent || found.bytes >= min_bytes;
        if enough || Instant::now() >= deadline || session.node.stopping.load(Ordering::Relaxed) {
            return frame(request, 0, &found.topics);
        }
        if watching {
            session.waiter.wait_until(deadline);
        }
        // To watch before looking again leaves no gap in which records could come unseen.
        session.waiter.reset();
        watching = watch(session, &fetch);
        found = gather(&session.node, &fetch);
        found.urgent |= !watching;
    }
}

/// What a fetch found.
struct Found {
    topics: Vec<FetchedTopic>,
    bytes: u64,
    /// Whether the client should learn of something at once.
    urgent: bool,
}

fn gather(node: &Node, fetch: &FetchRequest) -> Found {
    let most = u64::try_from(fetch.max_bytes).unwrap_or(0).min(node.config.limits.fetch_bytes_max);
    let mut found = Found { topics: Vec::with_capacity(fetch.topics.len()), bytes: 0, urgent: false };
    for asked in &fetch.topics {
        let topic = node.topics.find(&asked.topic);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in &asked.partitions {
            let room = most.saturating_sub(found.bytes);
            let fetched = match &topic {
                Some(topic) => read(node, topic, partition, room, found.bytes == 0),
                None => refused(partition.partition, ResponseError::UnknownTopicOrPartition),
            };
            found.bytes += fetched.extent.as_ref().map_or(0, |extent| extent.len);
            found.urgent |= fetched.error_code != 0;
            partitions.push(fetched);
        }
        found.topics.push(FetchedTopic { name: asked.topic.to_string(), partitions });
    }
    found
}

fn refused(index: i32, error: ResponseError) -> FetchedPartition {
    FetchedPartition {
        index,
        error_code: code(error),
        high_watermark: -1,
        stable_offset: -1,
        start: -1,
        extent: None,
    }
}

fn read(node: &Node, topic: &Topic, asked: &FetchPartition, room: u64, first: bool) -> FetchedPartition {
    let index = asked.partition;
    let Some(partition) = topic.partition(index) else {
        return refused(index, ResponseError::UnknownTopicOrPartition);
    };
    if asked.current_leader_epoch > LEADER_EPOCH {
        return refused(index, ResponseError::UnknownLeaderEpoch);
    }
    let log = partition.log();
    let most = u64::try_from(asked.partition_max_bytes).unwrap_or(0).min(room);
    let result = log.read(asked.fetch_offset, most, first);
    let mut fetched = FetchedPartition {
        index,
        error_code: 0,
        high_watermark: log.end_offset(),
        stable_offset: log.stable_offset(),
        start: log.start_offset(),
        extent: None,
    };
    let failed_in = matches!(result, Err(ReadError::Storage(_))).then(|| log.dir().to_owned());
    drop(log);
    match result {
        Ok(extent) => fetched.extent = extent,
        Err(ReadError::OutOfRange) => fetched.error_code = code(ResponseError::OffsetOutOfRange),
        Err(ReadError::Storage(error)) => {
            let path = failed_in.unwrap_or_default();
            node.config.events.tell(&Event::ReadFailed { path, why: error.to_string() });
            fetched.error_code = code(ResponseError::KafkaStorageError);
        }
    }
    fetched
}

/// Asks all partitions to tell this connection of new records; false if one is gone.
fn watch(session: &Session, fetch: &FetchRequest) -> bool {
    for asked in &fetch.topics {
        let Some(topic) = session.node.topics.find(&asked.topic) else {
            return false;
        };
        for partition in &asked.partitions {
            match topic.partition(partition.partition) {
                Some(partition) => partition.watch(&session.waiter),
                None => return false,
            }
        }
    }
    true
}
