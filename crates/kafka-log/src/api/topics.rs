//! `CreateTopics`, `DeleteTopics`, `CreatePartitions`.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsRequest;
use kafka_protocol::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};

use crate::api::code;
use crate::event::Event;
use crate::node::Node;
use crate::topics::settings::TopicSettings;
use crate::topics::{Topic, TopicError};
use crate::wire::text;

/// Kafka's error for ours, and words for it.
fn explain(node: &Node, error: TopicError) -> (i16, String) {
    let (error, why) = match error {
        TopicError::Exists => (ResponseError::TopicAlreadyExists, "the topic exists already".to_owned()),
        TopicError::Unknown => (ResponseError::UnknownTopicOrPartition, "there is no such topic".to_owned()),
        TopicError::InvalidName(why) => (ResponseError::InvalidTopicException, why),
        TopicError::InvalidPartitions(why) => (ResponseError::InvalidPartitions, why),
        TopicError::InvalidSettings(why) => (ResponseError::InvalidConfig, why),
        TopicError::TooMany(why) => (ResponseError::PolicyViolation, why),
        TopicError::Storage(error) => {
            let (path, why) = (node.config.data_dir.clone(), error.to_string());
            node.config.events.tell(&Event::StorageFailed { path, why: why.clone() });
            (ResponseError::KafkaStorageError, why)
        }
    };
    (code(error), why)
}

pub(super) fn create(node: &Node, version: i16, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let dry_run = request.validate_only;
    let results = request.topics.into_iter().map(|asked| {
        let name = asked.name.clone();
        match create_one(node, asked, dry_run) {
            Ok((topic, partitions)) => created(node, version, name, topic.as_deref(), partitions),
            Err((error_code, why)) => CreatableTopicResult::default()
                .with_name(name)
                .with_error_code(error_code)
                .with_error_message(Some(text(why))),
        }
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

type Created = (Option<std::sync::Arc<Topic>>, usize);

fn create_one(node: &Node, asked: CreatableTopic, dry_run: bool) -> Result<Created, (i16, String)> {
    if !matches!(asked.replication_factor, -1 | 1) {
        let why = format!("replication factor {}; there is one broker, give 1", asked.replication_factor);
        return Err((code(ResponseError::InvalidReplicationFactor), why));
    }
    let mut settings = TopicSettings::default();
    for config in &asked.configs {
        let value = config.value.as_deref().unwrap_or_default();
        settings.set(&config.name, value).map_err(|why| (code(ResponseError::InvalidConfig), why))?;
    }
    let count = match i32::try_from(asked.assignments.len()) {
        Ok(assigned) if assigned > 0 => assigned,
        _ => asked.num_partitions,
    };
    if dry_run {
        if node.topics.find(&asked.name).is_some() {
            return Err(explain(node, TopicError::Exists));
        }
        let checked =
            node.topics.check_new(&asked.name, count, &settings).map_err(|error| explain(node, error))?;
        return Ok((None, checked));
    }
    let topic = node.topics.create(&asked.name, count, settings).map_err(|error| explain(node, error))?;
    let partitions = topic.partitions.len();
    Ok((Some(topic), partitions))
}

fn created(
    node: &Node,
    version: i16,
    name: TopicName,
    topic: Option<&Topic>,
    partitions: usize,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default()
        .with_name(name)
        .with_num_partitions(i32::try_from(partitions).unwrap_or(-1))
        .with_replication_factor(1);
    let Some(topic) = topic.filter(|_| version >= 5) else {
        return result;
    };
    let configs = topic.settings.listing(&node.config).into_iter().map(|(name, value, of_topic)| {
        CreatableTopicConfigs::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
            .with_config_source(super::describe::source(of_topic))
    });
    result.with_topic_id(topic.id).with_configs(Some(configs.collect()))
}

pub(super) fn delete(node: &Node, version: i16, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let by_name =
        request.topic_names.into_iter().map(|name| DeletableTopicResult::default().with_name(Some(name)));
    let by_either = request.topics.into_iter().map(|topic| {
        let known = node.topics.find_id(topic.topic_id).map(|known| TopicName(text(known.name.clone())));
        DeletableTopicResult::default().with_name(topic.name.or(known)).with_topic_id(topic.topic_id)
    });
    let results = by_name.chain(by_either).map(|result| delete_one(node, version, result));
    DeleteTopicsResponse::default().with_responses(results.collect())
}

fn delete_one(node: &Node, version: i16, result: DeletableTopicResult) -> DeletableTopicResult {
    let Some(name) = result.name.clone() else {
        return result.with_error_code(code(ResponseError::UnknownTopicId));
    };
    let id = node.topics.find(&name).map(|topic| topic.id).unwrap_or_default();
    let deleted = node
        .topics
        .delete(&name)
        .and_then(|()| node.groups.offsets().forget_topic(&name).map_err(TopicError::Storage));
    match deleted {
        Ok(()) if version >= 6 => result.with_topic_id(id),
        Ok(()) => result,
        Err(error) => {
            let (error_code, why) = explain(node, error);
            let why = if version >= 5 { Some(text(why)) } else { None };
            result.with_error_code(error_code).with_error_message(why)
        }
    }
}

pub(super) fn grow(node: &Node, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let dry_run = request.validate_only;
    let results = request.topics.into_iter().map(|asked| {
        let grown = node.topics.grow(&asked.name, asked.count, dry_run);
        let result = CreatePartitionsTopicResult::default().with_name(asked.name);
        match grown {
            Ok(()) => result,
            Err(error) => {
                let (error_code, why) = explain(node, error);
                result.with_error_code(error_code).with_error_message(Some(text(why)))
            }
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}
