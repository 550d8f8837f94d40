//! Members of a group: how they come and go.

use bytes::Bytes;

use crate::groups::group::{Answer, Group, Phase, Refusal};

/// What a member asks when it joins.
#[derive(Debug, Clone)]
pub(crate) struct JoinAsk {
    /// Empty for a member that has no id yet.
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_ms: u64,
    pub(crate) rebalance_ms: u64,
    pub(crate) protocol_type: String,
    /// Name and subscription, preferred first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// The id to give if it has none.
    pub(crate) new_id: String,
    /// Whether it must come back with that id before it counts (since version 4 of the request).
    pub(crate) id_required: bool,
}

/// What a member is told when the joining ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JoinAnswer {
    pub(crate) generation: i32,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) member_id: String,
    /// Everybody's id, instance and subscription; for the leader only.
    pub(crate) members: Vec<Subscription>,
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) metadata: Bytes,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_ms: u64,
    pub(crate) rebalance_ms: u64,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    pub(crate) session_deadline: u64,
    /// Set while its join is not answered.
    pub(crate) join_ticket: Option<u64>,
    /// Set while its sync is not answered.
    pub(crate) sync_ticket: Option<u64>,
}

impl Member {
    /// Whether its connection is held for an answer; that is as good as a heartbeat.
    pub(crate) fn is_waiting(&self) -> bool {
        self.join_ticket.is_some() || self.sync_ticket.is_some()
    }

    /// Its subscription for `protocol`.
    pub(crate) fn subscription(&self, protocol: &str) -> Subscription {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        Subscription {
            member_id: self.id.clone(),
            instance: self.instance.clone(),
            metadata: found.map(|(_, metadata)| metadata.clone()).unwrap_or_default(),
        }
    }
}

impl Group {
    /// Takes a member in, or back in for the next generation.
    pub(crate) fn join(&mut self, now: u64, ask: JoinAsk) -> Answer<JoinAnswer> {
        if !self.accepts(&ask) {
            return Answer::Now(Err(Refusal::InconsistentGroupProtocol));
        }
        if ask.member_id.is_empty() {
            return self.join_first_time(now, ask);
        }
        if let Some(instance) = &ask.instance
            && self.member_of_instance(instance).is_some_and(|current| current != ask.member_id)
        {
            return Answer::Now(Err(Refusal::FencedInstanceId));
        }
        if self.pending.contains_key(&ask.member_id) {
            let id = ask.member_id.clone();
            return self.add(now, id, ask);
        }
        if !self.members.contains_key(&ask.member_id) {
            return Answer::Now(Err(Refusal::UnknownMemberId));
        }
        self.rejoin(now, ask)
    }

    fn join_first_time(&mut self, now: u64, ask: JoinAsk) -> Answer<JoinAnswer> {
        let replaced = ask.instance.as_deref().and_then(|instance| self.member_of_instance(instance));
        if let Some(old) = replaced.map(str::to_owned) {
            self.remove(now, &old);
        }
        if self.members.len() + self.pending.len() >= self.rules.members_max {
            return Answer::Now(Err(Refusal::GroupMaxSizeReached));
        }
        if ask.id_required && ask.instance.is_none() {
            self.pending.insert(ask.new_id, now + ask.session_ms);
            return Answer::Now(Err(Refusal::MemberIdRequired));
        }
        let id = ask.new_id.clone();
        self.add(now, id, ask)
    }

    /// Adds a new member and begins a rebalance, or takes part in the one that runs.
    fn add(&mut self, now: u64, id: String, ask: JoinAsk) -> Answer<JoinAnswer> {
        self.pending.remove(&id);
        if self.members.is_empty() {
            self.protocol_type.clone_from(&ask.protocol_type);
        }
        let ticket = self.ticket();
        let member = Member {
            id: id.clone(),
            instance: ask.instance,
            client_id: ask.client_id,
            client_host: ask.client_host,
            session_ms: ask.session_ms,
            rebalance_ms: ask.rebalance_ms,
            protocols: ask.protocols,
            assignment: Bytes::new(),
            session_deadline: now + ask.session_ms,
            join_ticket: Some(ticket),
            sync_ticket: None,
        };
        self.members.insert(id, member);
        if self.phase == Phase::Preparing {
            self.prolong_initial_wait(now);
        } else {
            self.prepare(now);
        }
        self.complete_if_all_joined(now);
        Answer::Later(ticket)
    }

    fn rejoin(&mut self, now: u64, ask: JoinAsk) -> Answer<JoinAnswer> {
        let id = ask.member_id;
        self.touch(now, &id);
        let unchanged = self.members.get(&id).is_some_and(|member| member.protocols == ask.protocols);
        let settled = match self.phase {
            Phase::Completing => unchanged,
            Phase::Stable => unchanged && id != self.leader,
            Phase::Preparing | Phase::Empty => false,
        };
        if settled {
            return Answer::Now(Ok(self.join_answer(&id)));
        }
        if self.phase != Phase::Preparing {
            self.prepare(now);
        }
        let ticket = self.ticket();
        let mut replaced = None;
        if let Some(member) = self.members.get_mut(&id) {
            member.protocols = ask.protocols;
            member.session_ms = ask.session_ms;
            member.rebalance_ms = ask.rebalance_ms;
            replaced = member.join_ticket.replace(ticket);
        }
        if let Some(old) = replaced {
            self.answer_join(old, Err(Refusal::RebalanceInProgress));
        }
        self.complete_if_all_joined(now);
        Answer::Later(ticket)
    }

    /// Lets a member go; the others rebalance.
    pub(crate) fn leave(&mut self, now: u64, id: &str, instance: Option<&str>) -> Result<(), Refusal> {
        let found = match instance {
            Some(instance) => self.member_of_instance(instance).map(str::to_owned),
            None => None,
        };
        if instance.is_some() && found.as_deref().is_some_and(|current| !id.is_empty() && current != id) {
            return Err(Refusal::FencedInstanceId);
        }
        let id = found.unwrap_or_else(|| id.to_owned());
        if self.pending.remove(&id).is_some() {
            self.complete_if_all_joined(now);
            return Ok(());
        }
        if !self.members.contains_key(&id) {
            return Err(Refusal::UnknownMemberId);
        }
        self.remove(now, &id);
        Ok(())
    }

    /// Removes a member, for whatever reason, and begins or goes on with a rebalance.
    pub(super) fn remove(&mut self, now: u64, id: &str) {
        self.answer_sync(id, Err(Refusal::UnknownMemberId));
        if let Some(ticket) = self.members.remove(id).and_then(|member| member.join_ticket) {
            self.answer_join(ticket, Err(Refusal::UnknownMemberId));
        }
        if matches!(self.phase, Phase::Stable | Phase::Completing) {
            self.prepare(now);
        }
        if self.members.is_empty() {
            self.initial_until = None;
        }
        self.complete_if_all_joined(now);
    }

    /// The member that bears an instance id (`group.instance.id`).
    pub(super) fn member_of_instance(&self, instance: &str) -> Option<&str> {
        let bears = |member: &&Member| member.instance.as_deref() == Some(instance);
        self.members.values().find(bears).map(|member| member.id.as_str())
    }
}
