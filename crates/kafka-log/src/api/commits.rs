//! `OffsetCommit` and `OffsetFetch`.

use std::io;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequest;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};

use crate::api::{code, refusal_code};
use crate::clock;
use crate::event::Event;
use crate::groups::offsets::{Committed, METADATA_LEN_MAX};
use crate::node::Node;
use crate::wire::text;

pub(super) fn commit(node: &Node, ask: OffsetCommitRequest) -> OffsetCommitResponse {
    let instance = ask.group_instance_id.as_deref();
    let may =
        node.groups.may_commit(&ask.group_id, &ask.member_id, instance, ask.generation_id_or_member_epoch);
    let refused = refusal_code(may);
    let mut room = node.config.limits.offsets_max.saturating_sub(node.groups.offsets().len());
    let mut commits = Vec::new();
    let mut topics = Vec::with_capacity(ask.topics.len());
    for topic in ask.topics {
        let known = node.topics.find(&topic.name);
        let mut answers = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
            let exists = known.as_ref().is_some_and(|topic| topic.partition(index).is_some());
            let fresh = node.groups.offsets().get(&ask.group_id, &topic.name, index).is_none();
            let error_code = match () {
                () if refused != 0 => refused,
                () if !exists => code(ResponseError::UnknownTopicOrPartition),
                () if metadata.len() > METADATA_LEN_MAX => code(ResponseError::OffsetMetadataTooLarge),
                () if fresh && room == 0 => code(ResponseError::InvalidCommitOffsetSize),
                () => 0,
            };
            if error_code == 0 {
                room -= usize::from(fresh);
                let committed = Committed {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: metadata.to_owned(),
                    commit_ms: clock::wall_ms(),
                };
                commits.push((topic.name.to_string(), index, committed));
            }
            answers.push(
                OffsetCommitResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(error_code),
            );
        }
        topics.push(OffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(answers));
    }
    let stored = node.groups.offsets().commit(&ask.group_id, commits);
    if let Err(error) = stored {
        not_stored(node, &error, &mut topics);
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// Nothing was stored: every commit that would have been accepted is refused.
fn not_stored(node: &Node, error: &io::Error, topics: &mut [OffsetCommitResponseTopic]) {
    node.config
        .events
        .tell(&Event::StorageFailed { path: node.config.data_dir.clone(), why: error.to_string() });
    for partition in topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if partition.error_code == 0 {
            partition.error_code = code(ResponseError::CoordinatorNotAvailable);
        }
    }
}

/// What is answered for one partition: offset, leader epoch, metadata.
type Answer = (i32, i64, i32, String);

/// What a group committed for the partitions asked for, or for all.
fn lookup(
    node: &Node,
    group: &str,
    asked: Option<Vec<(TopicName, Vec<i32>)>>,
) -> Vec<(TopicName, Vec<Answer>)> {
    let offsets = node.groups.offsets();
    let told = |index: i32, committed: Option<&Committed>| match committed {
        Some(found) => (index, found.offset, found.leader_epoch, found.metadata.clone()),
        None => (index, -1, -1, String::new()),
    };
    if let Some(asked) = asked {
        let topics = asked.into_iter().map(|(topic, indexes)| {
            let found =
                indexes.into_iter().map(|index| told(index, offsets.get(group, &topic, index))).collect();
            (topic, found)
        });
        return topics.collect();
    }
    let mut topics: Vec<(TopicName, Vec<Answer>)> = Vec::new();
    for (topic, index, committed) in offsets.of_group(group) {
        let answer = told(index, Some(committed));
        match topics.last_mut() {
            Some((last, answers)) if last.as_str() == topic => answers.push(answer),
            _ => topics.push((TopicName(text(topic)), vec![answer])),
        }
    }
    topics
}

pub(super) fn fetch(node: &Node, version: i16, ask: OffsetFetchRequest) -> OffsetFetchResponse {
    if version < 8 {
        let asked = ask
            .topics
            .map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
        let found = lookup(node, &ask.group_id, asked);
        return OffsetFetchResponse::default().with_topics(found.into_iter().map(one_group_topic).collect());
    }
    let groups = ask.groups.into_iter().map(|group| {
        let asked = group
            .topics
            .map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
        let found = lookup(node, &group.group_id, asked);
        let topics = found.into_iter().map(many_groups_topic).collect();
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_topics(topics)
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

fn one_group_topic((name, answers): (TopicName, Vec<Answer>)) -> OffsetFetchResponseTopic {
    let partitions = answers.into_iter().map(|(index, offset, epoch, metadata)| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text(metadata)))
    });
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

fn many_groups_topic((name, answers): (TopicName, Vec<Answer>)) -> OffsetFetchResponseTopics {
    let partitions = answers.into_iter().map(|(index, offset, epoch, metadata)| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text(metadata)))
    });
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
}
