//! `FindCoordinator`, `JoinGroup`, `SyncGroup`, `Heartbeat`, `LeaveGroup`.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};
use kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use kafka_protocol::messages::heartbeat_response::HeartbeatResponse;
use kafka_protocol::messages::join_group_request::JoinGroupRequest;
use kafka_protocol::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_protocol::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_protocol::messages::sync_group_request::SyncGroupRequest;
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::api::{code, refusal_code};
use crate::connection::Session;
use crate::groups::group::Refusal;
use crate::groups::member::{JoinAnswer, JoinAsk};
use crate::node::{NODE_ID, Node};
use crate::sys;
use crate::wire::{Request, text};

/// Bounds on a member's session timeout (Kafka's default least is 6 s; a laptop's experiments are shorter).
const SESSION_MS: std::ops::RangeInclusive<i32> = 1000..=30 * 60 * 1000;
/// Key type of transactional producers.
const TRANSACTION: i8 = 1;

pub(super) fn find(node: &Node, version: i16, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (error_code, error_message) = if request.key_type == TRANSACTION {
        let why = "this server has no transactions; use an idempotent producer";
        (code(ResponseError::TransactionalIdAuthorizationFailed), Some(text(why)))
    } else {
        (0, None)
    };
    let (node_id, host, port) = match error_code {
        0 => (NODE_ID, text(node.advertised.host.clone()), i32::from(node.advertised.port)),
        _ => (BrokerId(-1), StrBytes::new(), -1),
    };
    if version < 4 {
        return FindCoordinatorResponse::default()
            .with_error_code(error_code)
            .with_error_message(error_message)
            .with_node_id(node_id)
            .with_host(host)
            .with_port(port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(node_id)
            .with_host(host.clone())
            .with_port(port)
            .with_error_code(error_code)
            .with_error_message(error_message.clone())
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

pub(super) fn join(
    session: &Session,
    request: &Request,
    ask: JoinGroupRequest,
) -> Result<JoinGroupResponse, String> {
    let refused = |error: i16, member: StrBytes| {
        let answer = JoinGroupResponse::default().with_error_code(error).with_generation_id(-1);
        answer.with_member_id(member).with_protocol_name(Some(StrBytes::new()))
    };
    if ask.group_id.is_empty() {
        return Ok(refused(code(ResponseError::InvalidGroupId), ask.member_id));
    }
    if !SESSION_MS.contains(&ask.session_timeout_ms) {
        return Ok(refused(code(ResponseError::InvalidSessionTimeout), ask.member_id));
    }
    let unique = sys::random_16().map_err(|error| format!("no randomness for a member id: {error}"))?;
    let client = if request.client_id.is_empty() { "member" } else { request.client_id.as_str() };
    let new_id = format!("{client}-{}", Uuid::from_bytes(unique).simple());
    let session_ms = u64::try_from(ask.session_timeout_ms).unwrap_or(0);
    let known = JoinAsk {
        member_id: ask.member_id.to_string(),
        instance: ask.group_instance_id.map(|id| id.to_string()),
        client_id: request.client_id.clone(),
        client_host: format!("/{}", session.peer.ip()),
        session_ms,
        // Version 0 has no rebalance timeout; the session's takes its place.
        rebalance_ms: u64::try_from(ask.rebalance_timeout_ms).unwrap_or(session_ms),
        protocol_type: ask.protocol_type.to_string(),
        protocols: ask
            .protocols
            .into_iter()
            .map(|protocol| (protocol.name.to_string(), owned(&protocol.metadata)))
            .collect(),
        new_id: new_id.clone(),
        id_required: request.version >= 4,
    };
    Ok(match session.node.groups.join(&ask.group_id, known) {
        Ok(answer) => joined(request.version, answer),
        Err(Refusal::MemberIdRequired) => refused(refusal_code(Err(Refusal::MemberIdRequired)), text(new_id)),
        Err(refusal) => refused(refusal_code(Err(refusal)), ask.member_id),
    })
}

/// Bytes that outlive the request: a slice of it would hold its whole buffer.
fn owned(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn joined(version: i16, answer: JoinAnswer) -> JoinGroupResponse {
    let members = answer.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(text(member.member_id))
            .with_group_instance_id(member.instance.filter(|_| version >= 5).map(text))
            .with_metadata(member.metadata)
    });
    JoinGroupResponse::default()
        .with_generation_id(answer.generation)
        .with_protocol_type(if version >= 7 { Some(text(answer.protocol_type)) } else { None })
        .with_protocol_name(Some(text(answer.protocol)))
        .with_leader(text(answer.leader))
        .with_member_id(text(answer.member_id))
        .with_members(members.collect())
}

pub(super) fn sync(node: &Node, ask: SyncGroupRequest) -> SyncGroupResponse {
    let assignments = ask.assignments.iter().map(|one| (one.member_id.to_string(), owned(&one.assignment)));
    let instance = ask.group_instance_id.as_deref();
    let synced =
        node.groups.sync(&ask.group_id, &ask.member_id, instance, ask.generation_id, assignments.collect());
    match synced {
        Ok(assignment) => SyncGroupResponse::default()
            .with_assignment(assignment)
            .with_protocol_type(ask.protocol_type)
            .with_protocol_name(ask.protocol_name),
        Err(refusal) => SyncGroupResponse::default().with_error_code(refusal_code(Err(refusal))),
    }
}

pub(super) fn heartbeat(node: &Node, ask: &HeartbeatRequest) -> HeartbeatResponse {
    let instance = ask.group_instance_id.as_deref();
    let result = node.groups.heartbeat(&ask.group_id, &ask.member_id, instance, ask.generation_id);
    HeartbeatResponse::default().with_error_code(refusal_code(result))
}

pub(super) fn leave(node: &Node, version: i16, ask: LeaveGroupRequest) -> LeaveGroupResponse {
    if version < 3 {
        let left = node.groups.leave(&ask.group_id, &ask.member_id, None);
        return LeaveGroupResponse::default().with_error_code(refusal_code(left));
    }
    let members = ask.members.into_iter().map(|member: MemberIdentity| {
        let left = node.groups.leave(&ask.group_id, &member.member_id, member.group_instance_id.as_deref());
        MemberResponse::default()
            .with_member_id(member.member_id)
            .with_group_instance_id(member.group_instance_id)
            .with_error_code(refusal_code(left))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}
