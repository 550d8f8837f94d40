//! The requests, one file per subject.

mod commits;
mod describe;
mod fetch;
mod fetch_frame;
mod members;
mod metadata;
mod offsets;
mod produce;
mod topics;
mod versions;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

use crate::connection::Session;
use crate::groups::group::Refusal;
use crate::wire::{Reply, Request, Unanswerable, encode};

/// Answers a request; `None` if none is wanted. An error closes the connection.
pub(crate) fn answer(session: &Session, request: &Request) -> Result<Option<Reply>, String> {
    let node = &session.node;
    let reply = match request.key {
        ApiKey::Produce => return produce::produce(node, request),
        ApiKey::Fetch => fetch::fetch(session, request),
        ApiKey::ApiVersions => request.reply(&versions::versions(0)),
        ApiKey::Metadata => request.reply(&metadata::metadata(node, request.version, request.decode()?)),
        ApiKey::DescribeCluster => request.reply(&metadata::cluster(node)),
        ApiKey::InitProducerId => request.reply(&produce::init_producer(node, &request.decode()?)),
        ApiKey::ListOffsets => request.reply(&offsets::list(node, request.version, request.decode()?)),
        ApiKey::OffsetForLeaderEpoch => request.reply(&offsets::of_epoch(node, request.decode()?)),
        ApiKey::FindCoordinator => request.reply(&members::find(node, request.version, request.decode()?)),
        ApiKey::JoinGroup => request.reply(&members::join(session, request, request.decode()?)?),
        ApiKey::SyncGroup => request.reply(&members::sync(node, request.decode()?)),
        ApiKey::Heartbeat => request.reply(&members::heartbeat(node, &request.decode()?)),
        ApiKey::LeaveGroup => request.reply(&members::leave(node, request.version, request.decode()?)),
        ApiKey::OffsetCommit => request.reply(&commits::commit(node, request.decode()?)),
        ApiKey::OffsetFetch => request.reply(&commits::fetch(node, request.version, request.decode()?)),
        ApiKey::CreateTopics => request.reply(&topics::create(node, request.version, request.decode()?)),
        ApiKey::DeleteTopics => request.reply(&topics::delete(node, request.version, request.decode()?)),
        ApiKey::CreatePartitions => request.reply(&topics::grow(node, request.decode()?)),
        ApiKey::DescribeConfigs => request.reply(&describe::configs(node, request.decode()?)),
        ApiKey::DescribeGroups => request.reply(&describe::groups(node, request.version, request.decode()?)),
        ApiKey::ListGroups => {
            request.reply(&describe::list_groups(node, request.version, &request.decode()?))
        }
        key => Err(format!("{key:?} requests are not served")),
    };
    reply.map(Some)
}

/// Answers what is not a request we can serve.
pub(crate) fn answer_unanswerable(what: Unanswerable) -> Result<Option<Reply>, String> {
    match what {
        Unanswerable::Close(why) => Err(why),
        Unanswerable::ApiVersions { correlation } => {
            let versions = versions::versions(code(ResponseError::UnsupportedVersion));
            encode(correlation, &versions, 0).map(Some)
        }
    }
}

/// The number of an error.
fn code(error: ResponseError) -> i16 {
    error.code()
}

/// The error of a refused group member; 0 for none.
fn refusal_code(refusal: Result<(), Refusal>) -> i16 {
    let Err(refusal) = refusal else {
        return 0;
    };
    code(match refusal {
        Refusal::UnknownMemberId => ResponseError::UnknownMemberId,
        Refusal::IllegalGeneration => ResponseError::IllegalGeneration,
        Refusal::RebalanceInProgress => ResponseError::RebalanceInProgress,
        Refusal::InconsistentGroupProtocol => ResponseError::InconsistentGroupProtocol,
        Refusal::FencedInstanceId => ResponseError::FencedInstanceId,
        Refusal::GroupMaxSizeReached => ResponseError::GroupMaxSizeReached,
        Refusal::MemberIdRequired => ResponseError::MemberIdRequired,
    })
}
