//! What would run.

use crate::context::Context;
use crate::dry;
use fogline_journal::RunPhase;
use fogline_plan::Plan;
use serde::Serialize;

/// One task on one host for one item, rendered. What only the run will know is shown as `<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedCommand {
    /// The phase.
    pub phase: RunPhase,
    /// The workflow entry or service.
    pub entry: String,
    /// The host.
    pub host: String,
    /// The task's name, or the module's when it has none.
    pub task: String,
    /// The loop's item, as text.
    pub item: Option<String>,
    /// The module.
    pub module: String,
    /// Whether it goes on beside the workflow (`async` with `poll: 0`).
    pub job: bool,
    /// The command line, or what the module does, in one line.
    pub rendered: String,
}

/// Everything that `plan` would run, in order: entry by entry, task by task, host by host, item by item. Tasks that
/// `when` is sure to leave out, and tasks that cannot be rendered (see [`check`](crate::check())), are not in it.
pub fn commands(plan: &Plan, context: &Context) -> Vec<PlannedCommand> {
    dry::rehearse(plan, context).commands
}
