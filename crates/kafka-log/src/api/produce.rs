//! `Produce` and `InitProducerId`.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ProducerId;
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_protocol::messages::init_producer_id_response::InitProducerIdResponse;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};

use crate::api::code;
use crate::batch::{self, BatchFault};
use crate::event::Event;
use crate::log::producers::SequenceFault;
use crate::log::{AppendError, Appended};
use crate::node::Node;
use crate::topics::Topic;
use crate::wire::{Reply, Request, text};

/// Why a partition's records are refused: Kafka's error and words for it.
type Refused = (ResponseError, String);

pub(super) fn produce(node: &Node, request: &Request) -> Result<Option<Reply>, String> {
    let produce: ProduceRequest = request.decode()?;
    let acks = produce.acks;
    let acks_fault = !(-1..=1).contains(&acks);
    let responses =
        produce.topic_data.into_iter().map(|topic| store_topic(node, topic, acks_fault)).collect();
    let response = ProduceResponse::default().with_responses(responses);
    if acks != 0 {
        return request.reply(&response).map(Some);
    }
    // Who wants no answer learns of a refusal by losing the connection, as with Apache Kafka.
    let refused = |partition: &&PartitionProduceResponse| partition.error_code != 0;
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.find(refused) {
        None => Ok(None),
        Some(bad) => {
            let why = bad.error_message.as_ref().map(ToString::to_string).unwrap_or_default();
            Err(format!("produce with acks=0 refused with error {}: {why}", bad.error_code))
        }
    }
}

fn store_topic(node: &Node, data: TopicProduceData, acks_fault: bool) -> TopicProduceResponse {
    let topic = node.topics.find(&data.name);
    let stored = data.partition_data.into_iter().map(|partition| {
        if acks_fault {
            let why = "acks must be 0, 1 or all".to_owned();
            return refuse(partition.index, (ResponseError::InvalidRequiredAcks, why));
        }
        match &topic {
            Some(topic) => store(node, topic, partition),
            None => {
                let why = format!("topic {} does not exist", data.name.as_str());
                refuse(partition.index, (ResponseError::UnknownTopicOrPartition, why))
            }
        }
    });
    let stored = stored.collect();
    TopicProduceResponse::default().with_name(data.name).with_partition_responses(stored)
}

fn store(node: &Node, topic: &Topic, data: PartitionProduceData) -> PartitionProduceResponse {
    match try_store(node, topic, data.index, data.records) {
        Ok((appended, start)) => PartitionProduceResponse::default()
            .with_index(data.index)
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.append_time_ms)
            .with_log_start_offset(start),
        Err(refused) => refuse(data.index, refused),
    }
}

fn refuse(index: i32, (error, why): Refused) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(index)
        .with_error_code(code(error))
        .with_base_offset(-1)
        .with_error_message(Some(text(why)))
}

fn try_store(
    node: &Node,
    topic: &Topic,
    index: i32,
    records: Option<Bytes>,
) -> Result<(Appended, i64), Refused> {
    let Some(partition) = topic.partition(index) else {
        let why = format!("topic {} has {} partitions", topic.name, topic.partitions.len());
        return Err((ResponseError::UnknownTopicOrPartition, why));
    };
    let records = records.unwrap_or_default();
    let most = topic.settings.message_bytes_max(&node.config);
    if records.len() > most {
        let why = format!("a batch of {} bytes exceeds max.message.bytes={most}", records.len());
        return Err((ResponseError::MessageTooLarge, why));
    }
    let header =
        batch::validate_produced(&records).map_err(|fault| (fault_error(&fault), fault.to_string()))?;
    if header.is_transactional() {
        let why = "this server has no transactions".to_owned();
        return Err((ResponseError::TransactionalIdAuthorizationFailed, why));
    }
    let policy = topic.policy(&node.config, node.topics.partitions_total());
    partition.append(&records, &header, topic.settings.append_time(), &policy).map_err(append_error)
}

fn fault_error(fault: &BatchFault) -> ResponseError {
    match fault {
        BatchFault::Short { .. } | BatchFault::Crc { .. } => ResponseError::CorruptMessage,
        BatchFault::Magic(_) => ResponseError::UnsupportedForMessageFormat,
        BatchFault::Trailing { .. } | BatchFault::Records { .. } | BatchFault::Control => {
            ResponseError::InvalidRecord
        }
    }
}

fn append_error(error: AppendError) -> Refused {
    match error {
        AppendError::Sequence(SequenceFault::OutOfOrder { expected, got }) => (
            ResponseError::OutOfOrderSequenceNumber,
            format!("sequence {got} where {expected} should follow"),
        ),
        AppendError::Sequence(SequenceFault::Fenced { current, got }) => {
            (ResponseError::InvalidProducerEpoch, format!("epoch {got} of a producer that is at {current}"))
        }
        AppendError::Sequence(SequenceFault::NoSequence) => {
            (ResponseError::InvalidRecord, "an idempotent batch needs an epoch and a sequence".to_owned())
        }
        AppendError::Closed => (ResponseError::UnknownTopicOrPartition, "the topic was deleted".to_owned()),
        AppendError::Storage(error) => (ResponseError::KafkaStorageError, format!("cannot write: {error}")),
    }
}

pub(super) fn init_producer(node: &Node, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    let refused =
        |error| InitProducerIdResponse::default().with_error_code(code(error)).with_producer_id((-1).into());
    if request.transactional_id.is_some() {
        return refused(ResponseError::TransactionalIdAuthorizationFailed);
    }
    // An idempotent producer that starts over gets a new id, as with Apache Kafka: nothing of the old one is known
    // in all partitions.
    match node.producer_ids.next() {
        Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => {
            let path = node.config.data_dir.clone();
            node.config.events.tell(&Event::StorageFailed { path, why: error.to_string() });
            refused(ResponseError::CoordinatorNotAvailable)
        }
    }
}
