//! The modules: one file each.

mod assert;
mod command;
mod copy;
mod debug;
mod fail;
mod fetch;
mod file;
mod mode;
mod pause;
mod process;
mod set_fact;
mod shell;
mod stat;
mod template;
mod wait_for;

use crate::args::{ArgError, Args};
use crate::cancel::{Cancel, Cancelled};
use crate::context::Context;
use crate::suggest;
use crate::template::Engine;
use crate::template::scope::Scope;
use fogline_agent::{AgentError, Client};
use fogline_scenario::Spanned;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use process::Process;

static MODULES: [&Module; 14] = [
    &assert::MODULE,
    &command::MODULE,
    &copy::MODULE,
    &debug::MODULE,
    &fail::MODULE,
    &fetch::MODULE,
    &file::MODULE,
    &pause::MODULE,
    &set_fact::MODULE,
    &shell::MODULE,
    &stat::MODULE,
    &template::MODULE,
    &wait_for::MODULE,
    &wait_for::CONNECTION,
];

/// The names of all modules, sorted.
pub fn module_names() -> Vec<&'static str> {
    MODULES.iter().map(|module| module.name).collect()
}

/// What a task can do. Names and kinds of arguments as written are the scenario parser's to check; here values are,
/// once they are rendered.
#[derive(Debug)]
pub(crate) struct Module {
    /// Short name.
    pub(crate) name: &'static str,
    /// Whether the items of a loop do not depend on each other, so that several may run at once.
    pub(crate) independent: bool,
    /// Reads the arguments.
    pub(crate) parse: fn(&Args) -> Result<Box<dyn Action>, ArgError>,
}

impl Module {
    /// The module of that name.
    pub(crate) fn named(name: &Spanned<String>) -> Result<&'static Self, ArgError> {
        let short = name.value.strip_prefix("ansible.builtin.").unwrap_or(&name.value);
        MODULES.iter().find(|module| module.name == short).copied().ok_or_else(|| {
            let names = module_names();
            let near = suggest::nearest(short, names.iter().copied());
            let known = format!("the modules are: {}", suggest::listed(&names));
            ArgError {
                place: name.place.clone(),
                message: format!("there is no module {}", name.value),
                hint: Some(near.map_or(known.clone(), |near| format!("did you mean {near}? {known}"))),
            }
        })
    }
}

/// A module with its arguments read.
pub(crate) trait Action: Send {
    /// One line that says what it will do.
    fn summary(&self) -> String;

    /// Its command, when it is nothing but a command and so can be a job.
    fn process(&self) -> Option<&Process> {
        None
    }

    /// What can be found out before anything is started.
    fn dry(&self, _rehearsal: &Rehearsal<'_>) -> Result<(), ArgError> {
        Ok(())
    }

    /// Does it.
    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop>;
}

/// What a dry run has.
pub(crate) struct Rehearsal<'c> {
    pub(crate) engine: &'c Engine,
    pub(crate) scope: &'c Arc<Scope>,
    pub(crate) context: &'c Context,
}

/// What a module is run with.
pub(crate) struct Call<'c> {
    pub(crate) client: &'c Client,
    pub(crate) context: &'c Context,
    pub(crate) engine: &'c Engine,
    pub(crate) scope: &'c Arc<Scope>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) cancel: &'c Cancel,
}

/// Why a module did not come to an outcome.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The task has failed.
    Failed(String),
    /// The host cannot be reached.
    Lost(AgentError),
    /// The run is stopped from outside.
    Cancelled,
}

impl From<AgentError> for Stop {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Lost { .. } | AgentError::Deadline { .. } => Self::Lost(error),
            // The host's name is said elsewhere.
            AgentError::Refused { failure, .. } | AgentError::Local { failure } => {
                Self::Failed(failure.to_string())
            }
        }
    }
}

impl From<Cancelled> for Stop {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

/// What a module did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) changed: bool,
    pub(crate) failed: bool,
    pub(crate) skipped: bool,
    pub(crate) rc: Option<i32>,
    pub(crate) message: Option<String>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Further fields of the registered result.
    pub(crate) fields: Map<String, Value>,
    /// Variables that later tasks of the play see.
    pub(crate) facts: Map<String, Value>,
}

impl Outcome {
    pub(crate) fn changed(changed: bool) -> Self {
        Self { changed, ..Self::default() }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { failed: true, message: Some(message.into()), ..Self::default() }
    }

    pub(crate) fn skipped(message: impl Into<String>) -> Self {
        Self { skipped: true, message: Some(message.into()), ..Self::default() }
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// The result as `register` keeps it.
    pub(crate) fn registered(&self) -> Map<String, Value> {
        let mut result = Map::new();
        result.insert("changed".into(), json!(self.changed));
        result.insert("failed".into(), json!(self.failed));
        if self.skipped {
            result.insert("skipped".into(), json!(true));
        }
        if let Some(rc) = self.rc {
            result.insert("rc".into(), json!(rc));
            for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
                result.insert(name.into(), json!(text));
                result.insert(format!("{name}_lines"), text.lines().collect::<Vec<_>>().into());
            }
        }
        if let Some(message) = &self.message {
            result.insert("msg".into(), json!(message));
        }
        result.extend(self.fields.clone());
        result
    }
}
