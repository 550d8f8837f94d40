//! One consumer group: the state machine of Kafka's classic protocol, without threads and without a clock.
//!
//! Time is given in milliseconds of a monotonic clock. A join or sync that cannot be answered yet gets a ticket;
//! its answer is collected with [`Group::collect_join`] or [`Group::collect_sync`] after a change.
//! Phases and answers follow `GroupCoordinator` and `GroupMetadata` of Apache Kafka.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::groups::member::{JoinAnswer, JoinAsk, Member};

/// Why a member's request is refused; names are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownMemberId,
    IllegalGeneration,
    RebalanceInProgress,
    InconsistentGroupProtocol,
    FencedInstanceId,
    GroupMaxSizeReached,
    /// The member should join again with the id that is given to it.
    MemberIdRequired,
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    /// Members are joining.
    Preparing,
    /// The leader is to send the assignment.
    Completing,
    Stable,
}

/// An answer that is there, or a ticket for one that is not.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Now(Result<T, Refusal>),
    Later(u64),
}

/// How long the members of an empty group wait for more, and how many may join.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupRules {
    pub(crate) initial_delay_ms: u64,
    pub(crate) members_max: usize,
}

/// The state of a group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(super) rules: GroupRules,
    pub(super) phase: Phase,
    pub(super) generation: i32,
    pub(super) protocol_type: String,
    pub(super) protocol: String,
    pub(super) leader: String,
    pub(super) members: BTreeMap<String, Member>,
    /// Ids handed out and not used yet, with the time at which they lapse.
    pub(super) pending: HashMap<String, u64>,
    /// When joining, or waiting for the leader's assignment, goes on without those who are missing.
    pub(super) deadline: Option<u64>,
    /// While the first members of an empty group are awaited: the latest time that may last.
    pub(super) initial_until: Option<u64>,
    joined: HashMap<u64, Result<JoinAnswer, Refusal>>,
    synced: HashMap<u64, Result<Bytes, Refusal>>,
    next_ticket: u64,
}

impl Group {
    pub(crate) fn new(rules: GroupRules) -> Self {
        Self {
            rules,
            phase: Phase::Empty,
            generation: 0,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: String::new(),
            members: BTreeMap::new(),
            pending: HashMap::new(),
            deadline: None,
            initial_until: None,
            joined: HashMap::new(),
            synced: HashMap::new(),
            next_ticket: 0,
        }
    }

    pub(super) fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// The answer to a join, if it is there.
    pub(crate) fn collect_join(&mut self, ticket: u64) -> Option<Result<JoinAnswer, Refusal>> {
        self.joined.remove(&ticket)
    }

    /// The assignment of a member that synced, if it is there.
    pub(crate) fn collect_sync(&mut self, ticket: u64) -> Option<Result<Bytes, Refusal>> {
        self.synced.remove(&ticket)
    }

    pub(super) fn answer_join(&mut self, ticket: u64, answer: Result<JoinAnswer, Refusal>) {
        self.joined.insert(ticket, answer);
    }

    /// Begins a rebalance: members are to join again.
    pub(super) fn prepare(&mut self, now: u64) {
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.answer_sync(&id, Err(Refusal::RebalanceInProgress));
        }
        let fresh = self.phase == Phase::Empty;
        let longest = self.members.values().map(|member| member.rebalance_ms).max().unwrap_or(0);
        self.initial_until = fresh.then_some(now + longest);
        let wait = if fresh { self.rules.initial_delay_ms.min(longest) } else { longest };
        self.deadline = Some(now + wait);
        self.phase = Phase::Preparing;
    }

    /// A new member prolongs the wait for the first members.
    pub(super) fn prolong_initial_wait(&mut self, now: u64) {
        if let (Some(latest), Some(deadline)) = (self.initial_until, self.deadline) {
            self.deadline = Some((now + self.rules.initial_delay_ms).min(latest).max(deadline));
        }
    }

    /// Completes the rebalance if everybody is there.
    pub(super) fn complete_if_all_joined(&mut self, now: u64) {
        let all = self.members.values().all(|member| member.join_ticket.is_some()) && self.pending.is_empty();
        if self.phase == Phase::Preparing && all && self.initial_until.is_none() {
            self.complete_join(now);
        }
    }

    /// Ends the joining: who is there makes up the next generation.
    fn complete_join(&mut self, now: u64) {
        self.members.retain(|_, member| member.join_ticket.is_some());
        self.deadline = None;
        self.initial_until = None;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.phase = Phase::Empty;
            self.protocol.clear();
            self.leader.clear();
            return;
        }
        self.phase = Phase::Completing;
        let longest = self.members.values().map(|member| member.rebalance_ms).max().unwrap_or(0);
        self.deadline = Some(now + longest);
        self.protocol = self.elect_protocol();
        if !self.members.contains_key(&self.leader) {
            let earliest = self.members.values().min_by_key(|member| member.join_ticket);
            self.leader = earliest.map(|member| member.id.clone()).unwrap_or_default();
        }
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let answer = self.join_answer(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = Bytes::new();
                member.session_deadline = now + member.session_ms;
                if let Some(ticket) = member.join_ticket.take() {
                    self.answer_join(ticket, Ok(answer));
                }
            }
        }
    }

    /// What a member of the present generation is told; the leader also gets everybody's subscription.
    pub(super) fn join_answer(&self, id: &str) -> JoinAnswer {
        let everybody = || self.members.values().map(|member| member.subscription(&self.protocol)).collect();
        JoinAnswer {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member_id: id.to_owned(),
            members: if id == self.leader { everybody() } else { Vec::new() },
        }
    }

    /// The protocol that most members prefer among those that all know.
    fn elect_protocol(&self) -> String {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| self.all_know(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    fn all_know(&self, protocol: &str) -> bool {
        self.members.values().all(|member| member.protocols.iter().any(|(name, _)| name == protocol))
    }

    /// Whether a member with these protocols can be in the group.
    pub(super) fn accepts(&self, ask: &JoinAsk) -> bool {
        if self.members.values().all(|member| member.id == ask.member_id) {
            return !ask.protocols.is_empty() && !ask.protocol_type.is_empty();
        }
        let others = || self.members.values().filter(|member| member.id != ask.member_id);
        let known_to_others =
            |name: &str| others().all(|other| other.protocols.iter().any(|(own, _)| own == name));
        self.protocol_type == ask.protocol_type && ask.protocols.iter().any(|(name, _)| known_to_others(name))
    }

    /// Takes a member's wish for its assignment; the leader brings everybody's.
    pub(crate) fn sync(
        &mut self,
        now: u64,
        id: &str,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
    ) -> Answer<Bytes> {
        if let Err(refusal) = self.check_member(id, None, generation) {
            return Answer::Now(Err(refusal));
        }
        self.touch(now, id);
        match self.phase {
            Phase::Empty => Answer::Now(Err(Refusal::UnknownMemberId)),
            Phase::Preparing => Answer::Now(Err(Refusal::RebalanceInProgress)),
            Phase::Stable => Answer::Now(Ok(self.assignment(id))),
            Phase::Completing => {
                let ticket = self.ticket();
                self.answer_sync(id, Err(Refusal::RebalanceInProgress));
                if let Some(member) = self.members.get_mut(id) {
                    member.sync_ticket = Some(ticket);
                }
                if id == self.leader {
                    self.assign(now, assignments);
                }
                Answer::Later(ticket)
            }
        }
    }

    /// Hands out the leader's assignment.
    fn assign(&mut self, now: u64, assignments: Vec<(String, Bytes)>) {
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.phase = Phase::Stable;
        self.deadline = None;
        for id in self.members.keys().cloned().collect::<Vec<_>>() {
            let assignment = self.assignment(&id);
            if self.answer_sync(&id, Ok(assignment)) {
                self.touch(now, &id);
            }
        }
    }

    fn assignment(&self, id: &str) -> Bytes {
        self.members.get(id).map(|member| member.assignment.clone()).unwrap_or_default()
    }

    /// Answers a member's open sync, if it has one.
    pub(super) fn answer_sync(&mut self, id: &str, answer: Result<Bytes, Refusal>) -> bool {
        let Some(ticket) = self.members.get_mut(id).and_then(|member| member.sync_ticket.take()) else {
            return false;
        };
        self.synced.insert(ticket, answer);
        true
    }

    /// Whether `id` is a member of the present generation.
    pub(crate) fn check_member(
        &self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), Refusal> {
        if let Some(instance) = instance
            && self.member_of_instance(instance).is_some_and(|current| current != id)
        {
            return Err(Refusal::FencedInstanceId);
        }
        if !self.members.contains_key(id) {
            return Err(Refusal::UnknownMemberId);
        }
        if generation != self.generation { Err(Refusal::IllegalGeneration) } else { Ok(()) }
    }

    /// Whether offsets may be committed by `id`, or by nobody in particular (a negative generation).
    pub(crate) fn check_commit(
        &self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), Refusal> {
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        self.check_member(id, instance, generation)?;
        if self.phase == Phase::Completing { Err(Refusal::RebalanceInProgress) } else { Ok(()) }
    }

    /// A sign of life; tells the member whether it has to join again.
    pub(crate) fn heartbeat(
        &mut self,
        now: u64,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), Refusal> {
        self.check_member(id, instance, generation)?;
        self.touch(now, id);
        if self.phase == Phase::Preparing { Err(Refusal::RebalanceInProgress) } else { Ok(()) }
    }

    /// Moves a member's session on.
    pub(crate) fn touch(&mut self, now: u64, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            member.session_deadline = now + member.session_ms;
        }
    }

    /// Lets time pass: sessions end, rebalances complete. Returns whether something changed.
    pub(crate) fn tick(&mut self, now: u64) -> bool {
        let pending = self.pending.len();
        self.pending.retain(|_, lapses| *lapses > now);
        let mut changed = pending != self.pending.len();
        let ended = |member: &&Member| !member.is_waiting() && member.session_deadline <= now;
        let ended: Vec<String> =
            self.members.values().filter(ended).map(|member| member.id.clone()).collect();
        for id in ended {
            self.remove(now, &id);
            changed = true;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.end_phase(now);
            changed = true;
        } else if changed {
            self.complete_if_all_joined(now);
        }
        changed
    }

    /// The time for the present phase is over: it goes on without those who did not answer.
    fn end_phase(&mut self, now: u64) {
        self.deadline = None;
        match self.phase {
            Phase::Preparing => self.complete_join(now),
            Phase::Completing => {
                let silent = self.members.values().filter(|member| member.sync_ticket.is_none());
                for id in silent.map(|member| member.id.clone()).collect::<Vec<_>>() {
                    self.remove(now, &id);
                }
            }
            Phase::Empty | Phase::Stable => {}
        }
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let sessions =
            self.members.values().filter(|member| !member.is_waiting()).map(|m| m.session_deadline);
        sessions.chain(self.deadline).chain(self.pending.values().copied()).min()
    }
}
