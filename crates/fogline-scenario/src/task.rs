//! One task of a play, as written: templates are still templates.

use crate::{Place, Spanned};
use serde_json::Value;
use std::collections::BTreeMap;

/// A task in Ansible's shape: one module, its arguments, and the keywords around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Where the task begins.
    pub place: Place,
    /// `name:`, a template.
    pub name: Option<Spanned<String>>,
    /// The module's short name (`ansible.builtin.shell` and `shell` both read `shell`).
    pub module: Spanned<String>,
    /// The module's arguments in file order; a free-form argument (`shell: cmd`) has the key [`Task::FREE_FORM`].
    /// `args:` is merged in. Strings are templates.
    pub args: Vec<(String, Spanned<Value>)>,
    /// `loop:` or `with_items:`: a list, or one template that yields a list.
    pub loop_over: Option<Spanned<Value>>,
    /// `when:`: expressions (no braces) that must all hold.
    pub when: Vec<Spanned<String>>,
    /// `register:`: the variable that takes the result.
    pub register: Option<String>,
    /// `failed_when:`: an expression over the registered result.
    pub failed_when: Option<Spanned<String>>,
    /// `changed_when:`: an expression over the registered result.
    pub changed_when: Option<Spanned<String>>,
    /// `ignore_errors:`.
    pub ignore_errors: bool,
    /// `until:` with `retries:` and `delay:`.
    pub until: Option<Until>,
    /// `async:` with `poll:`; absent for an ordinary task.
    pub job: Option<Job>,
    /// `environment:`, values are templates.
    pub environment: BTreeMap<String, Spanned<String>>,
    /// `vars:` of the task, strings are templates.
    pub vars: BTreeMap<String, Spanned<Value>>,
}

impl Task {
    /// The key under which a free-form argument stands in [`Task::args`].
    pub const FREE_FORM: &'static str = "_raw";

    /// The argument `key`, if given.
    pub fn arg(&self, key: &str) -> Option<&Spanned<Value>> {
        self.args.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// Repeat a task until an expression over its registered result holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Until {
    /// The expression, without braces.
    pub condition: Spanned<String>,
    /// How many further tries.
    pub retries: u32,
    /// Seconds between two tries.
    pub delay_s: f64,
}

/// A task that runs beside the workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// `async:` seconds after which the job is ended.
    pub limit_s: u64,
    /// `poll:` seconds between two looks; 0 starts the job and goes on.
    pub poll_s: u64,
}
