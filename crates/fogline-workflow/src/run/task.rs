//! One task on all hosts of its entry.

use super::error::{TaskFailure, WorkflowError};
use super::item::{Fatal, ItemResult, ItemRun, registered};
use super::jobs::WatchedJob;
use super::record::{self, Heading, short_tail};
use super::{Inner, PhaseOutcome, pool};
use crate::args::ArgError;
use crate::modules::{Module, Outcome};
use crate::play::{Failed, HostPlay, Items, item_layer, item_text, task_name};
use crate::template::scope::Scope;
use fogline_agent::Client;
use fogline_journal::{Event, RunPhase, TaskStarted};
use fogline_plan::HostId;
use fogline_scenario::Task;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Everything that the workers need to know of a task.
struct TaskRun {
    inner: Arc<Inner>,
    task: Task,
    module: &'static Module,
    entry: String,
    phase: RunPhase,
}

/// One host's share.
struct Share {
    host: HostId,
    host_name: String,
    client: Client,
    scope: Arc<Scope>,
    name: String,
}

/// An item's result with its place in the host's list.
type Numbered = (usize, usize, ItemResult);

/// Runs `task` on `hosts`, records it, keeps what it registers, and marks the hosts on
/// which it fails.
pub(super) fn run(
    inner: &Arc<Inner>,
    entry: &str,
    phase: RunPhase,
    task: &Task,
    hosts: &mut [&mut HostPlay],
    returned: &mut Vec<Value>,
    totals: &mut PhaseOutcome,
) -> Result<(), WorkflowError> {
    let module = match Module::named(&task.module) {
        Ok(module) => module,
        Err(error) => return Err(refused(entry, phase, task, hosts, error)),
    };
    let run = Arc::new(TaskRun {
        inner: Arc::clone(inner),
        task: task.clone(),
        module,
        entry: entry.to_owned(),
        phase,
    });
    let mut results: Vec<Vec<(usize, ItemResult)>> = hosts.iter().map(|_| Vec::new()).collect();
    let mut units = Vec::new();
    let mut shares = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        let scope = host.scope(&inner.engine, task);
        let name = task_name(task, &inner.engine, &scope);
        let client = inner.client(host.id)?.clone();
        let share = Arc::new(Share { host: host.id, host_name: host.name.clone(), client, scope, name });
        let items = run.items(&share);
        run.started(&share, items.as_ref().ok())?;
        match items {
            Err(result) => {
                run.ended(&share, &result)?;
                results[index].push((0, *result));
            }
            Ok(items) => units.extend(run.units(index, &share, items)),
        }
        shares.push(share);
    }
    // Items of different hosts side by side, rather than one host after the other.
    units.sort_by_key(|(order, _)| *order);
    let units = units.into_iter().map(|(_, unit)| unit).collect();
    for done in pool::run(units, &inner.cancel)? {
        for (host, item, result) in done? {
            results[host].push((item, result));
        }
    }
    let mut settled = Vec::new();
    for mut of_host in results {
        of_host.sort_by_key(|(item, _)| *item);
        settled.push(of_host.into_iter().map(|(_, result)| result).collect::<Vec<_>>());
    }
    run.settle(hosts, &shares, &settled, returned, totals);
    Ok(())
}

/// A unit with its order among all units of the task.
type Ordered = (usize, pool::Unit<Result<Vec<Numbered>, WorkflowError>>);

impl TaskRun {
    fn is_job(&self) -> bool {
        self.task.job.is_some_and(|job| job.poll_s == 0)
    }

    /// The items on one host; a loop that cannot be rendered is a failed result.
    fn items(&self, share: &Share) -> Result<Items, Box<ItemResult>> {
        Items::of(&self.task, &self.inner.engine, &share.scope).map_err(|error| {
            // As in Ansible, a loop that cannot be rendered does not matter when the task is left out anyway.
            let left_out = self
                .task
                .when
                .iter()
                .any(|when| self.inner.engine.condition(&when.value, &share.scope) == Ok(false));
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            let outcome = match left_out {
                true => Outcome::skipped("conditional result was False"),
                false => Outcome::failed(format!("{}{hint}", error.message)),
            };
            Box::new(ItemResult {
                item: None,
                outcome,
                place: error.place,
                job: None,
                elapsed: Duration::ZERO,
            })
        })
    }

    /// What can run at once: every item where items are independent, else all items of the host in a row.
    fn units(self: &Arc<Self>, host: usize, share: &Arc<Share>, items: Items) -> Vec<Ordered> {
        let items: Vec<(usize, Option<Value>)> = match items {
            Items::Each(items) => items.into_iter().map(Some).enumerate().collect(),
            Items::Once | Items::Unknown => vec![(0, None)],
        };
        let groups: Vec<Vec<(usize, Option<Value>)>> = if self.module.independent || self.is_job() {
            items.into_iter().map(|item| vec![item]).collect()
        } else {
            vec![items]
        };
        let unit = |(order, group): (usize, Vec<(usize, Option<Value>)>)| {
            let (run, share) = (Arc::clone(self), Arc::clone(share));
            let work = move || {
                let one = |(number, item)| Ok((host, number, run.one(&share, item)?));
                group.into_iter().map(one).collect()
            };
            (order, Box::new(work) as pool::Unit<_>)
        };
        groups.into_iter().enumerate().map(unit).collect()
    }

    /// Runs and records one item.
    fn one(&self, share: &Share, item: Option<Value>) -> Result<ItemResult, WorkflowError> {
        let scope =
            item.as_ref().map_or_else(|| Arc::clone(&share.scope), |item| share.scope.with(item_layer(item)));
        let text = item.as_ref().map(item_text);
        let label =
            text.as_ref().map_or_else(|| share.name.clone(), |item| format!("{} ({item})", share.name));
        let run = ItemRun {
            inner: &self.inner,
            task: &self.task,
            module: self.module,
            client: &share.client,
            scope,
            label,
        };
        let result = run.run(item).map_err(|fatal| match fatal {
            Fatal::Lost(error) => WorkflowError::Agent(error),
            Fatal::Cancelled => WorkflowError::Cancelled(crate::Cancelled),
        })?;
        self.ended(share, &result)?;
        if let Some(id) = result.job {
            self.inner.watch(WatchedJob {
                host: share.host,
                host_name: share.host_name.clone(),
                id,
                entry: self.entry.clone(),
                task: share.name.clone(),
                item: text,
                place: self.task.place.clone(),
            })?;
        }
        Ok(result)
    }

    fn heading<'h>(&'h self, share: &'h Share) -> Heading<'h> {
        Heading {
            phase: self.phase,
            entry: &self.entry,
            host: &share.host_name,
            name: &share.name,
            task: &self.task,
        }
    }

    fn started(&self, share: &Share, items: Option<&Items>) -> Result<(), WorkflowError> {
        let items = match items {
            Some(Items::Each(items)) => Some(items.len()),
            _ => None,
        };
        self.inner.journal.emit(Event::TaskStarted(TaskStarted {
            phase: self.phase,
            entry: self.entry.clone(),
            host: share.host_name.clone(),
            task: share.name.clone(),
            module: self.module.name.to_owned(),
            items,
        }))?;
        Ok(())
    }

    fn ended(&self, share: &Share, result: &ItemResult) -> Result<(), WorkflowError> {
        let event = record::event(&self.heading(share), result);
        Ok(self.inner.journal.emit(Event::TaskEnded(Box::new(event)))?)
    }

    /// Keeps what was registered and set, counts, and marks the hosts that failed.
    fn settle(
        &self,
        hosts: &mut [&mut HostPlay],
        shares: &[Arc<Share>],
        results: &[Vec<ItemResult>],
        returned: &mut Vec<Value>,
        totals: &mut PhaseOutcome,
    ) {
        for ((host, share), results) in hosts.iter_mut().zip(shares).zip(results) {
            for result in results {
                returned.push(record::returned(&self.heading(share), result));
                totals.tasks += 1;
                totals.changed += usize::from(result.outcome.changed);
                totals.skipped += usize::from(result.outcome.skipped);
                totals.jobs += usize::from(result.job.is_some());
                for (name, value) in &result.outcome.facts {
                    host.facts_mut().set(name, value);
                }
                match (result.outcome.failed, self.task.ignore_errors) {
                    (true, true) => totals.failures_ignored += 1,
                    (true, false) => self.failed(host, share, result),
                    (false, _) => {}
                }
            }
            if let Some(name) = &self.task.register {
                host.facts_mut().set(name, &registered(results, self.task.loop_over.is_some()));
            }
            if let Some(failed) = &mut host.failed {
                failed.result = registered(results, self.task.loop_over.is_some());
            }
        }
    }

    /// Marks `host`, or counts one more failed item of it.
    fn failed(&self, host: &mut HostPlay, share: &Share, result: &ItemResult) {
        if let Some(failed) = &mut host.failed {
            failed.failure.others += 1;
            return;
        }
        let failure = TaskFailure {
            phase: self.phase,
            entry: self.entry.clone(),
            host: share.host_name.clone(),
            others: 0,
            task: share.name.clone(),
            module: self.module.name.to_owned(),
            item: result.item.as_ref().map(item_text),
            place: result.place.clone(),
            rc: result.outcome.rc,
            message: result.outcome.message.clone().unwrap_or_else(|| "failed".to_owned()),
            stdout_tail: short_tail(&result.outcome.stdout),
            stderr_tail: short_tail(&result.outcome.stderr),
        };
        let task = json!({ "name": share.name, "action": self.module.name });
        host.failed = Some(Failed { failure, task, result: Value::Null });
    }
}

/// The failure of a task whose module does not exist; `check` finds it before.
fn refused(
    entry: &str,
    phase: RunPhase,
    task: &Task,
    hosts: &[&mut HostPlay],
    error: ArgError,
) -> WorkflowError {
    WorkflowError::Task(Box::new(TaskFailure {
        phase,
        entry: entry.to_owned(),
        host: hosts.first().map(|host| host.name.clone()).unwrap_or_default(),
        others: hosts.len().saturating_sub(1),
        task: task.name.as_ref().unwrap_or(&task.module).value.clone(),
        module: task.module.value.clone(),
        item: None,
        place: error.place,
        rc: None,
        message: error.message,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
    }))
}
