//! The group coordinator: many [`Group`]s, the threads that wait for them, and the committed offsets.

pub(crate) mod group;
pub(crate) mod member;
pub(crate) mod offsets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{self, Ticker};
use crate::config::Config;
use crate::groups::group::{Answer, Group, GroupRules, Phase, Refusal};
use crate::groups::member::{JoinAnswer, JoinAsk};
use crate::groups::offsets::OffsetStore;
use crate::sync::{lock, wait};

/// Longest time a thread waits without looking at its group again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Slot {
    group: Mutex<Group>,
    changed: Condvar,
}

/// A group as `ListGroups` and `DescribeGroups` tell it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Description {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) members: Vec<MemberDescription>,
}

/// A member of a described group.
#[derive(Debug, Clone)]
pub(crate) struct MemberDescription {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) metadata: Bytes,
    pub(crate) assignment: Bytes,
}

/// All consumer groups.
#[derive(Debug)]
pub(crate) struct Coordinator {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    offsets: Mutex<OffsetStore>,
    clock: Ticker,
    rules: GroupRules,
    groups_max: usize,
    stopping: AtomicBool,
}

impl Coordinator {
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        let initial_delay_ms = u64::try_from(config.group_initial_delay.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            slots: Mutex::new(HashMap::new()),
            offsets: Mutex::new(OffsetStore::open(&config.data_dir, &config.events, clock::wall_ms())?),
            clock: Ticker::start(),
            rules: GroupRules { initial_delay_ms, members_max: config.limits.group_members_max },
            groups_max: config.limits.groups_max,
            stopping: AtomicBool::new(false),
        })
    }

    pub(crate) fn offsets(&self) -> MutexGuard<'_, OffsetStore> {
        lock(&self.offsets)
    }

    fn slot(&self, id: &str) -> Option<Arc<Slot>> {
        lock(&self.slots).get(id).cloned()
    }

    /// The slot of a group, made if there is room for one more.
    fn slot_or_new(&self, id: &str) -> Option<Arc<Slot>> {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(id) {
            return Some(Arc::clone(slot));
        }
        if slots.len() >= self.groups_max {
            return None;
        }
        let slot = Arc::new(Slot { group: Mutex::new(Group::new(self.rules)), changed: Condvar::new() });
        slots.insert(id.to_owned(), Arc::clone(&slot));
        Some(slot)
    }

    /// Joins a group, waiting until the joining ends.
    pub(crate) fn join(&self, group: &str, ask: JoinAsk) -> Result<JoinAnswer, Refusal> {
        let Some(slot) = self.slot_or_new(group) else {
            return Err(Refusal::GroupMaxSizeReached);
        };
        let answer = lock(&slot.group).join(self.clock.now_ms(), ask);
        slot.changed.notify_all();
        self.settle(&slot, answer, Group::collect_join)
    }

    /// Brings or fetches the assignment, waiting until the leader has brought it.
    pub(crate) fn sync(
        &self,
        group: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
        assignments: Vec<(String, Bytes)>,
    ) -> Result<Bytes, Refusal> {
        let slot = self.slot(group).ok_or(Refusal::UnknownMemberId)?;
        let mut state = lock(&slot.group);
        state.check_member(member, instance, generation)?;
        let answer = state.sync(self.clock.now_ms(), member, generation, assignments);
        drop(state);
        slot.changed.notify_all();
        self.settle(&slot, answer, Group::collect_sync)
    }

    /// Waits for a ticket's answer. Bounded by the group's own deadlines and by [`stop`](Self::stop).
    fn settle<T>(
        &self,
        slot: &Slot,
        answer: Answer<T>,
        collect: impl Fn(&mut Group, u64) -> Option<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let ticket = match answer {
            Answer::Now(result) => return result,
            Answer::Later(ticket) => ticket,
        };
        let mut state = lock(&slot.group);
        loop {
            let now = self.clock.now_ms();
            if state.tick(now) {
                slot.changed.notify_all();
            }
            if let Some(result) = collect(&mut state, ticket) {
                return result;
            }
            if self.stopping.load(Ordering::Relaxed) {
                return Err(Refusal::RebalanceInProgress);
            }
            let left = state.next_deadline().map(|at| Duration::from_millis(at.saturating_sub(now)));
            state = wait(&slot.changed, state, left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN));
        }
    }

    /// A sign of life of a member.
    pub(crate) fn heartbeat(
        &self,
        group: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), Refusal> {
        let slot = self.slot(group).ok_or(Refusal::UnknownMemberId)?;
        lock(&slot.group).heartbeat(self.clock.now_ms(), member, instance, generation)
    }

    /// Lets a member go.
    pub(crate) fn leave(&self, group: &str, member: &str, instance: Option<&str>) -> Result<(), Refusal> {
        let slot = self.slot(group).ok_or(Refusal::UnknownMemberId)?;
        let left = lock(&slot.group).leave(self.clock.now_ms(), member, instance);
        slot.changed.notify_all();
        left
    }

    /// Whether a member may commit offsets; counts as a sign of life.
    pub(crate) fn may_commit(
        &self,
        group: &str,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), Refusal> {
        let Some(slot) = self.slot(group) else {
            return if generation < 0 { Ok(()) } else { Err(Refusal::IllegalGeneration) };
        };
        let mut state = lock(&slot.group);
        state.check_commit(member, instance, generation)?;
        state.touch(self.clock.now_ms(), member);
        Ok(())
    }

    /// Lets time pass in every group, and drops those that are empty. To be called several times a second.
    pub(crate) fn tick(&self) {
        let now = self.clock.now_ms();
        lock(&self.slots).retain(|_, slot| {
            let mut group = lock(&slot.group);
            if group.tick(now) {
                slot.changed.notify_all();
            }
            let idle = group.phase == Phase::Empty && group.pending.is_empty();
            drop(group);
            !(idle && Arc::strong_count(slot) == 1)
        });
    }

    /// Makes every waiting thread return.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for slot in lock(&self.slots).values() {
            drop(lock(&slot.group));
            slot.changed.notify_all();
        }
    }

    /// Ids of all groups: those with members, and those that have committed.
    pub(crate) fn list(&self) -> Vec<String> {
        let mut ids: Vec<String> = lock(&self.slots).keys().cloned().collect();
        ids.extend(self.offsets().groups());
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Describes a group; `Dead` if there is no such group.
    pub(crate) fn describe(&self, id: &str) -> Description {
        let Some(slot) = self.slot(id) else {
            let known = self.offsets().of_group(id).next().is_some();
            return Description { state: if known { "Empty" } else { "Dead" }, ..Description::default() };
        };
        let group = lock(&slot.group);
        let members = group.members.values().map(|member| MemberDescription {
            id: member.id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: member.subscription(&group.protocol).metadata,
            assignment: member.assignment.clone(),
        });
        Description {
            state: match group.phase {
                Phase::Empty => "Empty",
                Phase::Preparing => "PreparingRebalance",
                Phase::Completing => "CompletingRebalance",
                Phase::Stable => "Stable",
            },
            protocol_type: group.protocol_type.clone(),
            protocol: group.protocol.clone(),
            members: members.collect(),
        }
    }
}
