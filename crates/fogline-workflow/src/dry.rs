//! A rehearsal: every task rendered on every host, nothing started.

use crate::args::{ArgError, Args, template_error};
use crate::commands::PlannedCommand;
use crate::context::Context;
use crate::modules::{Module, Rehearsal};
use crate::play::{HostPlay, Items, host_plays, item_layer, item_text, task_name};
use crate::template::Engine;
use crate::template::scope::{Layer, Scope};
use fogline_journal::RunPhase;
use fogline_plan::{Entry, Phase, Plan};
use fogline_scenario::{Spanned, Step, Task};
use std::sync::Arc;

/// Items of one loop on one host whose problems are told.
const ITEM_PROBLEMS_MAX: usize = 4;

/// What a rehearsal found.
#[derive(Debug, Default)]
pub(crate) struct Rehearsed {
    /// What cannot work, and on which host.
    pub(crate) problems: Vec<(String, ArgError)>,
    /// What would run.
    pub(crate) commands: Vec<PlannedCommand>,
}

/// All plays of a plan in their order.
pub(crate) fn plays(plan: &Plan) -> impl Iterator<Item = (RunPhase, &Entry, &[Step])> {
    fn of(
        entries: &[Entry],
        phase: Phase,
        as_phase: RunPhase,
    ) -> impl Iterator<Item = (RunPhase, &Entry, &[Step])> {
        entries.iter().filter_map(move |entry| Some((as_phase, entry, entry.phases.get(&phase)?.as_slice())))
    }
    let phases = [Phase::Prepare, Phase::Launch, Phase::Finalize];
    let workflow = phases.into_iter().flat_map(|phase| of(&plan.entries, phase, phase.into()));
    let collections = of(&plan.collections, Phase::Finalize, RunPhase::Collect);
    of(&plan.deployments, Phase::Launch, RunPhase::Services).chain(workflow).chain(collections)
}

/// Rehearses all plays of `plan`.
pub(crate) fn rehearse(plan: &Plan, context: &Context) -> Rehearsed {
    let engine = Arc::new(Engine::new());
    let mut found = Rehearsed::default();
    for (phase, entry, tasks) in plays(plan) {
        let mut hosts = host_plays(entry, &plan.hosts, context, phase);
        steps(tasks, &mut hosts, &mut found, &|task| OneTask {
            engine: &engine,
            context,
            phase,
            entry,
            task,
        });
    }
    found
}

/// Rehearses steps, as if every block were left and rescued.
fn steps<'p>(
    steps_of: &'p [Step],
    hosts: &mut [HostPlay],
    found: &mut Rehearsed,
    rehearsal: &dyn Fn(&'p Task) -> OneTask<'p>,
) {
    for step in steps_of {
        match step {
            Step::Task(task) => {
                for host in &mut *hosts {
                    if let Err(problem) = rehearsal(task).on(host, found) {
                        found.problems.push((host.name.clone(), problem));
                    }
                }
            }
            Step::Block(block) => {
                steps(&block.block, hosts, found, rehearsal);
                if !block.rescue.is_empty() {
                    for host in &mut *hosts {
                        host.facts_mut().set_unknown("ansible_failed_task");
                        host.facts_mut().set_unknown("ansible_failed_result");
                    }
                }
                steps(&block.rescue, hosts, found, rehearsal);
                steps(&block.always, hosts, found, rehearsal);
            }
        }
    }
}

/// Whether a condition holds, as far as it can be known now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    OnlyTheRunKnows,
}

struct OneTask<'p> {
    engine: &'p Arc<Engine>,
    context: &'p Context,
    phase: RunPhase,
    entry: &'p Entry,
    task: &'p Task,
}

impl OneTask<'_> {
    fn on(&self, host: &mut HostPlay, found: &mut Rehearsed) -> Result<(), ArgError> {
        let scope = host.scope(self.engine, self.task);
        let done = self.all_items(host, &scope, found);
        if let Some(name) = &self.task.register {
            host.facts_mut().set_unknown(name);
        }
        done
    }

    fn all_items(
        &self,
        host: &mut HostPlay,
        scope: &Arc<Scope>,
        found: &mut Rehearsed,
    ) -> Result<(), ArgError> {
        let module = Module::named(&self.task.module)?;
        let items = match Items::of(self.task, self.engine, scope) {
            // As in Ansible, a loop that cannot be rendered does not matter when the task is left out anyway.
            Err(_) if self.when(scope) == Ok(Holds::No) => return Ok(()),
            items => items?,
        };
        match items {
            Items::Once => self.item(host, module, scope, None, found),
            Items::Unknown => {
                let mut unknown = Layer::default();
                unknown.set_unknown("item");
                self.item(host, module, &scope.with(unknown), Some("<item>".to_owned()), found)
            }
            Items::Each(items) => {
                let mut problems = 0;
                for item in &items {
                    let scope = scope.with(item_layer(item));
                    if let Err(problem) = self.item(host, module, &scope, Some(item_text(item)), found) {
                        found.problems.push((host.name.clone(), problem));
                        problems += 1;
                        if problems == ITEM_PROBLEMS_MAX {
                            break;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn item(
        &self,
        host: &mut HostPlay,
        module: &'static Module,
        scope: &Arc<Scope>,
        item: Option<String>,
        found: &mut Rehearsed,
    ) -> Result<(), ArgError> {
        let when = self.when(scope)?;
        if when == Holds::No {
            return Ok(());
        }
        for (name, value) in &self.task.environment {
            self.text(value, &format!("environment {name}"), scope)?;
        }
        let args = Args::render(self.task, module, self.engine, scope)?;
        let action = (module.parse)(&args)?;
        action.dry(&Rehearsal { engine: self.engine, scope, context: self.context })?;
        if self.task.job.is_some_and(|job| job.poll_s == 0) && action.process().is_none() {
            let message = format!("async with poll: 0 goes with shell and command, not with {}", module.name);
            let hint = Some("leave out async, or give it a poll of 1 or more".to_owned());
            return Err(ArgError { place: self.task.module.place.clone(), message, hint });
        }
        self.afterwards(scope)?;
        if module.name == "set_fact" {
            let certain = when == Holds::Yes && item.is_none() && args.known();
            for (name, value) in args.all() {
                if certain {
                    host.facts_mut().set(&name, &value)
                } else {
                    host.facts_mut().set_unknown(&name)
                }
            }
        }
        found.commands.push(PlannedCommand {
            phase: self.phase,
            entry: self.entry.label.clone(),
            host: host.name.clone(),
            task: task_name(self.task, self.engine, scope),
            item,
            module: module.name.to_owned(),
            job: self.task.job.is_some_and(|job| job.poll_s == 0),
            rendered: action.summary(),
        });
        Ok(())
    }

    /// Conditions over the result, which is unknown; their other variables are not.
    fn afterwards(&self, scope: &Arc<Scope>) -> Result<(), ArgError> {
        let mut result = Layer::default();
        if let Some(name) = &self.task.register {
            result.set_unknown(name);
        }
        let scope = scope.with(result);
        let until = self.task.until.as_ref().map(|until| ("until", &until.condition));
        let failed = self.task.failed_when.as_ref().map(|condition| ("failed_when", condition));
        let changed = self.task.changed_when.as_ref().map(|condition| ("changed_when", condition));
        for (keyword, condition) in [until, failed, changed].into_iter().flatten() {
            self.holds(condition, keyword, &scope)?;
        }
        Ok(())
    }

    fn when(&self, scope: &Arc<Scope>) -> Result<Holds, ArgError> {
        let mut all = Holds::Yes;
        for condition in &self.task.when {
            match self.holds(condition, "when", scope)? {
                Holds::No => return Ok(Holds::No),
                Holds::OnlyTheRunKnows => all = Holds::OnlyTheRunKnows,
                Holds::Yes => {}
            }
        }
        Ok(all)
    }

    fn holds(
        &self,
        condition: &Spanned<String>,
        keyword: &str,
        scope: &Arc<Scope>,
    ) -> Result<Holds, ArgError> {
        scope.take_touched();
        let value = self.engine.condition(&condition.value, scope);
        let known = !scope.take_touched();
        match value {
            Err(error) if known || error.undefined => Err(template_error(error, &condition.place, keyword)),
            Ok(true) if known => Ok(Holds::Yes),
            Ok(false) if known => Ok(Holds::No),
            _ => Ok(Holds::OnlyTheRunKnows),
        }
    }

    fn text(&self, text: &Spanned<String>, of: &str, scope: &Arc<Scope>) -> Result<(), ArgError> {
        scope.take_touched();
        match self.engine.text(&text.value, scope) {
            Err(error) if error.undefined || !scope.take_touched() => {
                Err(template_error(error, &text.place, of))
            }
            _ => Ok(()),
        }
    }
}
