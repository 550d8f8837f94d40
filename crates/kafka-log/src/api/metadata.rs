//! `Metadata` and `DescribeCluster`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::describe_cluster_response::{DescribeClusterBroker, DescribeClusterResponse};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};

use crate::api::code;
use crate::node::{LEADER_EPOCH, NODE_ID, Node};
use crate::topics::settings::TopicSettings;
use crate::topics::{Topic, TopicError, check_name};
use crate::wire::text;

pub(super) fn metadata(node: &Node, version: i16, request: MetadataRequest) -> MetadataResponse {
    let asked = match request.topics {
        // Version 0 has no null: an empty list asks for everything.
        Some(topics) if version == 0 && topics.is_empty() => None,
        asked => asked,
    };
    let create = request.allow_auto_topic_creation && node.config.auto_create_topics;
    let topics = match asked {
        None => node.topics.list().iter().map(|topic| describe(topic)).collect(),
        Some(asked) => asked.into_iter().map(|topic| look_up(node, topic, create)).collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(NODE_ID)
        .with_host(text(node.advertised.host.clone()))
        .with_port(i32::from(node.advertised.port));
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(node.cluster_id.clone())))
        .with_controller_id(NODE_ID)
        .with_topics(topics)
}

fn look_up(node: &Node, asked: MetadataRequestTopic, create: bool) -> MetadataResponseTopic {
    let Some(name) = asked.name else {
        return match node.topics.find_id(asked.topic_id) {
            Some(topic) => describe(&topic),
            None => MetadataResponseTopic::default()
                .with_topic_id(asked.topic_id)
                .with_error_code(code(ResponseError::UnknownTopicId)),
        };
    };
    if let Some(topic) = node.topics.find(&name) {
        return describe(&topic);
    }
    let error = match check_name(&name) {
        Err(_) => ResponseError::InvalidTopicException,
        Ok(()) if create => match node.topics.create(&name, -1, TopicSettings::default()) {
            Ok(topic) => return describe(&topic),
            // Another connection was faster; the client asks again.
            Err(TopicError::Exists) => ResponseError::LeaderNotAvailable,
            Err(_) => ResponseError::UnknownTopicOrPartition,
        },
        Ok(()) => ResponseError::UnknownTopicOrPartition,
    };
    MetadataResponseTopic::default().with_name(Some(name)).with_error_code(code(error))
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0_i32..).zip(&topic.partitions).map(|(index, _)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE_ID)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![NODE_ID])
            .with_isr_nodes(vec![NODE_ID])
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(topic.name.clone()))))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

pub(super) fn cluster(node: &Node) -> DescribeClusterResponse {
    let broker = DescribeClusterBroker::default()
        .with_broker_id(NODE_ID)
        .with_host(text(node.advertised.host.clone()))
        .with_port(i32::from(node.advertised.port));
    DescribeClusterResponse::default()
        .with_cluster_id(text(node.cluster_id.clone()))
        .with_controller_id(NODE_ID)
        .with_brokers(vec![broker])
}
