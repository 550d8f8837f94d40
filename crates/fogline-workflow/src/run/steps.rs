//! Steps on the hosts of an entry: who does them, who has left.

use super::error::WorkflowError;
use super::{Inner, PhaseOutcome, task};
use crate::play::{Failed, HostPlay};
use fogline_journal::RunPhase;
use fogline_scenario::{Block, Step};
use serde_json::Value;
use std::sync::Arc;

/// The steps of one entry in one phase.
pub(super) struct Steps<'s> {
    pub(super) inner: &'s Arc<Inner>,
    pub(super) entry: &'s str,
    pub(super) phase: RunPhase,
    pub(super) returned: &'s mut Vec<Value>,
    pub(super) totals: &'s mut PhaseOutcome,
}

impl Steps<'_> {
    /// Runs `steps` on `hosts`.
    ///
    /// # Errors
    /// When a task fails on any host; and whatever ends the run.
    pub(super) fn run(&mut self, steps: &[Step], hosts: &mut [HostPlay]) -> Result<(), WorkflowError> {
        let mut all: Vec<&mut HostPlay> = hosts.iter_mut().collect();
        self.list(steps, &mut all, false)?;
        let mut failures = hosts.iter().filter_map(|host| host.failed.as_ref());
        let Some(first) = failures.next() else { return Ok(()) };
        let mut failure = first.failure.clone();
        failure.others += failures.map(|failed| failed.failure.others + 1).sum::<usize>();
        Err(WorkflowError::Task(Box::new(failure)))
    }

    /// Runs `steps` on the hosts that have not failed. Within a block that has a rescue or an always (`guarded`) the
    /// others go on when one fails; elsewhere the first task that fails is the last.
    fn list(
        &mut self,
        steps: &[Step],
        hosts: &mut [&mut HostPlay],
        guarded: bool,
    ) -> Result<(), WorkflowError> {
        for step in steps {
            self.inner.cancel.check()?;
            if !guarded && hosts.iter().any(|host| host.failed.is_some()) {
                break;
            }
            let mut able = chosen(hosts, |host| host.failed.is_none());
            if able.is_empty() {
                break;
            }
            match step {
                Step::Task(task) => {
                    let (inner, entry, phase) = (self.inner, self.entry, self.phase);
                    task::run(inner, entry, phase, task, &mut able, self.returned, self.totals)?;
                }
                Step::Block(block) => self.block(block, &mut able, guarded)?,
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        block: &Block,
        hosts: &mut [&mut HostPlay],
        guarded: bool,
    ) -> Result<(), WorkflowError> {
        let guards = guarded || !block.rescue.is_empty() || !block.always.is_empty();
        self.list(&block.block, hosts, guards)?;
        if !block.rescue.is_empty() {
            let mut left = chosen(hosts, |host| host.failed.is_some());
            for host in &mut left {
                if let Some(Failed { task, result, .. }) = host.failed.take() {
                    host.facts_mut().set("ansible_failed_task", &task);
                    host.facts_mut().set("ansible_failed_result", &result);
                }
            }
            self.totals.rescued += left.len();
            self.list(&block.rescue, &mut left, guards)?;
        }
        if !block.always.is_empty() {
            let before: Vec<Option<Failed>> = hosts.iter_mut().map(|host| host.failed.take()).collect();
            self.list(&block.always, hosts, guards)?;
            for (host, before) in hosts.iter_mut().zip(before) {
                // What failed first explains what failed afterwards.
                host.failed = before.or(host.failed.take());
            }
        }
        Ok(())
    }
}

fn chosen<'h>(hosts: &'h mut [&mut HostPlay], choose: impl Fn(&HostPlay) -> bool) -> Vec<&'h mut HostPlay> {
    hosts.iter_mut().map(|host| &mut **host).filter(|host| choose(host)).collect()
}
