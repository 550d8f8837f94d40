//! `DescribeConfigs`, `DescribeGroups`, `ListGroups`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
};
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_groups_response::{ListGroupsResponse, ListedGroup};

use crate::api::code;
use crate::config::Config;
use crate::node::Node;
use crate::wire::text;

/// Resource types of `DescribeConfigs`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a value comes from: the topic, or the server's start.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_STATIC: i8 = 4;

/// Kafka's number for where a topic's value comes from.
pub(super) fn source(of_topic: bool) -> i8 {
    if of_topic { SOURCE_TOPIC } else { SOURCE_STATIC }
}

pub(super) fn configs(node: &Node, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| describe_resource(node, resource));
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe_resource(node: &Node, asked: DescribeConfigsResource) -> DescribeConfigsResult {
    let result = DescribeConfigsResult::default()
        .with_resource_type(asked.resource_type)
        .with_resource_name(asked.resource_name.clone());
    let listing = match asked.resource_type {
        TOPIC => match node.topics.find(&asked.resource_name) {
            Some(topic) => topic.settings.listing(&node.config),
            None => return result.with_error_code(code(ResponseError::UnknownTopicOrPartition)),
        },
        BROKER => server_listing(&node.config),
        other => {
            let why = format!("resource type {other}; only topics (2) and brokers (4) have settings here");
            return result
                .with_error_code(code(ResponseError::InvalidRequest))
                .with_error_message(Some(text(why)));
        }
    };
    let wanted = |name: &str| match &asked.configuration_keys {
        Some(keys) => keys.iter().any(|key| key.as_str() == name),
        None => true,
    };
    let told = listing.into_iter().filter(|(name, ..)| wanted(name)).map(|(name, value, of_topic)| {
        DescribeConfigsResourceResult::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_read_only(true)
            .with_config_source(source(of_topic))
    });
    result.with_configs(told.collect())
}

fn server_listing(config: &Config) -> Vec<(&'static str, String, bool)> {
    let age = config.retention.map_or(-1, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    vec![
        ("auto.create.topics.enable", config.auto_create_topics.to_string(), false),
        ("group.initial.rebalance.delay.ms", config.group_initial_delay.as_millis().to_string(), false),
        ("log.retention.bytes", config.retention_bytes.to_string(), false),
        ("log.retention.ms", age.to_string(), false),
        ("log.segment.bytes", config.segment_bytes.to_string(), false),
        ("max.connections", config.limits.connections_max.to_string(), false),
        ("message.max.bytes", config.message_bytes_max.to_string(), false),
        ("num.partitions", config.partitions_default.to_string(), false),
        ("socket.request.max.bytes", config.limits.request_bytes_max.to_string(), false),
    ]
}

pub(super) fn groups(node: &Node, version: i16, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|id| describe_group(node, version, id));
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn describe_group(node: &Node, version: i16, id: GroupId) -> DescribedGroup {
    let group = node.groups.describe(&id);
    let members = group.members.into_iter().map(|member| {
        DescribedGroupMember::default()
            .with_member_id(text(member.id))
            .with_group_instance_id(member.instance.filter(|_| version >= 4).map(text))
            .with_client_id(text(member.client_id))
            .with_client_host(text(member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    DescribedGroup::default()
        .with_group_id(id)
        .with_group_state(text(group.state))
        .with_protocol_type(text(group.protocol_type))
        .with_protocol_data(text(group.protocol))
        .with_members(members.collect())
}

pub(super) fn list_groups(node: &Node, version: i16, request: &ListGroupsRequest) -> ListGroupsResponse {
    let of_type = request.types_filter.is_empty()
        || request.types_filter.iter().any(|kind| kind.eq_ignore_ascii_case("classic"));
    let groups = node.groups.list().into_iter().filter(|_| of_type).filter_map(|id| {
        let group = node.groups.describe(&id);
        let filter = &request.states_filter;
        if !filter.is_empty() && !filter.iter().any(|state| state.eq_ignore_ascii_case(group.state)) {
            return None;
        }
        let listed = ListedGroup::default()
            .with_group_id(GroupId(text(id)))
            .with_protocol_type(text(group.protocol_type));
        let listed = if version >= 4 { listed.with_group_state(text(group.state)) } else { listed };
        Some(if version >= 5 { listed.with_group_type(text("classic")) } else { listed })
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}
