//! One entry in one phase: its hosts with their variables, and the items of its loops.

use crate::args::{ArgError, template_error};
use crate::context::Context;
use crate::run::error::TaskFailure;
use crate::template::Engine;
use crate::template::scope::{Layer, Scope};
use fogline_journal::RunPhase;
use fogline_plan::{Entry, Host, HostId, Variables};
use fogline_scenario::{Step, Task};
use serde_json::{Value, json};
use std::sync::Arc;

/// Items of one loop before it is refused.
const ITEMS_MAX: usize = 100_000;

/// One host of a play.
#[derive(Clone, Debug)]
pub(crate) struct HostPlay {
    pub(crate) id: HostId,
    pub(crate) name: String,
    extra: Arc<Layer>,
    written: Arc<Layer>,
    magic: Arc<Layer>,
    /// What tasks of this play have registered or set.
    facts: Arc<Layer>,
    /// Why it does no further tasks of the block or play that it is in.
    pub(crate) failed: Option<Failed>,
}

/// What failed on a host.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) failure: TaskFailure,
    /// `ansible_failed_task`.
    pub(crate) task: Value,
    /// `ansible_failed_result`.
    pub(crate) result: Value,
}

/// The hosts of `entry`; ones that the plan does not have are left out.
pub(crate) fn host_plays(entry: &Entry, hosts: &[Host], context: &Context, phase: RunPhase) -> Vec<HostPlay> {
    let members = || entry.hosts.iter().filter_map(|member| Some((member, hosts.get(member.host.0)?)));
    let names: Vec<&str> = members().map(|(_, host)| host.name.as_str()).collect();
    let extra = Arc::new(Layer::data(&context.extra_vars(phase)));
    members()
        .map(|(member, host)| HostPlay {
            id: member.host,
            name: host.name.clone(),
            extra: Arc::clone(&extra),
            written: Arc::new(Layer::written(&member.variables)),
            magic: Arc::new(Layer::data(&magic(host, &names))),
            facts: Arc::default(),
            failed: None,
        })
        .collect()
}

/// Variables that Ansible gives to every host.
fn magic(host: &Host, play_hosts: &[&str]) -> Variables {
    let pairs = [
        ("inventory_hostname", json!(host.name)),
        ("inventory_hostname_short", json!(host.name)),
        ("ansible_hostname", json!(host.name)),
        ("ansible_host", json!(host.address.to_string())),
        ("play_hosts", json!(play_hosts)),
        ("ansible_play_hosts", json!(play_hosts)),
        ("groups", json!({ "all": play_hosts })),
        ("omit", Value::Null),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl HostPlay {
    /// What a template of `task` sees on this host.
    pub(crate) fn scope(&self, engine: &Arc<Engine>, task: &Task) -> Arc<Scope> {
        let vars = task.vars.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect();
        let layers = vec![
            Arc::clone(&self.extra),
            Arc::clone(&self.facts),
            Arc::new(Layer::written(&vars)),
            Arc::clone(&self.written),
            Arc::clone(&self.magic),
        ];
        Scope::new(engine, layers)
    }

    pub(crate) fn facts_mut(&mut self) -> &mut Layer {
        Arc::make_mut(&mut self.facts)
    }
}

/// The items that a task runs over on one host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Items {
    /// No loop.
    Once,
    /// A loop over these.
    Each(Vec<Value>),
    /// A loop over what only the run will know.
    Unknown,
}

impl Items {
    pub(crate) fn of(task: &Task, engine: &Engine, scope: &Arc<Scope>) -> Result<Self, ArgError> {
        let Some(written) = &task.loop_over else { return Ok(Self::Once) };
        scope.take_touched();
        let rendered = engine.deep(&written.value, scope);
        let known = !scope.take_touched();
        match rendered {
            Ok(Value::Array(items)) if items.len() <= ITEMS_MAX => Ok(Self::Each(items)),
            Err(error) if known || error.undefined => Err(template_error(error, &written.place, "loop")),
            _ if !known => Ok(Self::Unknown),
            Ok(other) => {
                let what = match &other {
                    Value::Array(items) => format!("{} items, which is more than {ITEMS_MAX}", items.len()),
                    other => format!("{other}, which is no list"),
                };
                let hint = "a loop needs a list: [a, b], or one template that yields one, such as \
                            \"{{ range(1, 41) | list }}\"";
                let message = format!("loop: this yields {what}");
                Err(ArgError { place: written.place.clone(), message, hint: Some(hint.to_owned()) })
            }
            Err(_) => Ok(Self::Unknown),
        }
    }
}

/// An item as people read it.
pub(crate) fn item_text(item: &Value) -> String {
    item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned)
}

/// The layer that a loop puts on top.
pub(crate) fn item_layer(item: &Value) -> Layer {
    let mut layer = Layer::default();
    layer.set("item", item);
    layer.set("ansible_loop_var", &json!("item"));
    layer
}

/// The task's name on a host, or the module's when it has none. A name never fails: what cannot be rendered is shown
/// as written.
pub(crate) fn task_name(task: &Task, engine: &Engine, scope: &Arc<Scope>) -> String {
    match &task.name {
        Some(name) => engine.text(&name.value, scope).unwrap_or_else(|_| name.value.clone()),
        None => task.module.value.clone(),
    }
}

/// The step as the user wrote it, for the record.
pub(crate) fn step_as_written(step: &Step) -> Value {
    let block = match step {
        Step::Task(task) => return as_written(task),
        Step::Block(block) => block,
    };
    let mut map = serde_json::Map::new();
    if let Some(name) = &block.name {
        map.insert("name".into(), json!(name.value));
    }
    for (key, steps) in [("block", &block.block), ("rescue", &block.rescue), ("always", &block.always)] {
        if !steps.is_empty() {
            map.insert(key.into(), steps.iter().map(step_as_written).collect());
        }
    }
    Value::Object(map)
}

fn as_written(task: &Task) -> Value {
    let mut map = serde_json::Map::new();
    if let Some(name) = &task.name {
        map.insert("name".into(), json!(name.value));
    }
    let free = task.arg(Task::FREE_FORM).filter(|_| task.args.len() == 1);
    let args = task.args.iter().map(|(key, value)| (key.clone(), value.value.clone()));
    let argument = free.map_or_else(|| Value::Object(args.collect()), |raw| raw.value.clone());
    map.insert(task.module.value.clone(), argument);
    if let Some(items) = &task.loop_over {
        map.insert("loop".into(), items.value.clone());
    }
    if !task.when.is_empty() {
        map.insert("when".into(), task.when.iter().map(|when| json!(when.value)).collect());
    }
    if let Some(register) = &task.register {
        map.insert("register".into(), json!(register));
    }
    if let Some(job) = &task.job {
        map.insert("async".into(), json!(job.limit_s));
        map.insert("poll".into(), json!(job.poll_s));
    }
    Value::Object(map)
}
