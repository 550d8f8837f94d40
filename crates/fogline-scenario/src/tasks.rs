//! Tasks: one module, its arguments and the keywords around it.

use crate::catalogue::{MODULES, UNSUPPORTED};
use crate::fields::{Fields, boolean, identifier, text, whole};
use crate::findings::Findings;
use crate::modules::Module;
use crate::nearest::nearest;
use crate::yaml::{Kind, Node};
use crate::{Job, Spanned, Task, Until};
use serde_json::Value;
use std::collections::BTreeMap;

/// Keywords with an effect.
const KEYWORDS: [&str; 17] = [
    "name",
    "loop",
    "with_items",
    "when",
    "register",
    "failed_when",
    "changed_when",
    "ignore_errors",
    "until",
    "retries",
    "delay",
    "async",
    "poll",
    "environment",
    "vars",
    "args",
    "tags",
];
/// Keywords that are accepted without effect: everything runs as the host's root already.
const NO_EFFECT: [&str; 5] = ["become", "become_user", "become_method", "remote_user", "no_log"];
/// Keywords of Ansible that would change what a task does, so that they must not be passed over.
const UNSUPPORTED_KEYWORDS: [&str; 23] = [
    "delegate_to",
    "delegate_facts",
    "run_once",
    "loop_control",
    "with_dict",
    "with_fileglob",
    "with_indexed_items",
    "with_list",
    "with_nested",
    "with_sequence",
    "with_together",
    "notify",
    "listen",
    "local_action",
    "action",
    "connection",
    "throttle",
    "timeout",
    "check_mode",
    "diff",
    "module_defaults",
    "any_errors_fatal",
    "ignore_unreachable",
];
/// What Ansible takes when only a part is given.
const RETRIES: u32 = 3;
const RETRY_DELAY_S: f64 = 5.0;
const POLL_S: u64 = 15;
/// Longest job, 30 days.
const JOB_MAX_S: u64 = 2_592_000;

/// Reads one task.
pub(crate) fn task(node: &Node, findings: &mut Findings) -> Option<Task> {
    let fields = Fields::open(node, "a task", findings)?;
    let found = module(&fields, findings);
    let (job, until) = (job(&fields, findings), until(&fields, findings));
    let register = fields.get("register").and_then(|node| text(node, "`register`", findings));
    let register = register.filter(|name| identifier(name, "a variable", findings));
    let name = fields.get("name").and_then(|node| crate::fields::written(node, "`name`", findings));
    let loop_over = loop_over(&fields, findings);
    let mut conditions =
        |key: &str| fields.get(key).map_or_else(Vec::new, |node| conditions(node, key, findings));
    let (when, failed, changed) = (conditions("when"), conditions("failed_when"), conditions("changed_when"));
    let ignore_errors = fields.get("ignore_errors");
    let ignore_errors = ignore_errors.and_then(|node| boolean(node, "`ignore_errors`", findings));
    let environment = environment(&fields, findings);
    let vars = vars(&fields, findings).into_iter().collect();
    let (name_of_module, own) = found?;
    let mut given = name_of_module.1.own_arguments(own, findings)?;
    if let Some(args) = fields.get("args").and_then(|node| Fields::open(node, "`args`", findings)) {
        given.extend(args.pairs().iter().cloned());
    }
    let args = name_of_module.1.checked(given, &name_of_module.0.place, findings);
    Some(Task {
        place: node.place.clone(),
        name,
        module: name_of_module.0,
        args,
        loop_over,
        when,
        register: register.map(|name| name.value),
        failed_when: all_of(failed),
        changed_when: all_of(changed),
        ignore_errors: ignore_errors.unwrap_or(false),
        until,
        job,
        environment,
        vars,
    })
}

type Named = (Spanned<String>, &'static Module);

/// The one key of a task that is a module, with its value; every other unknown key is reported.
fn module<'a>(fields: &Fields<'a>, findings: &mut Findings) -> Option<(Named, &'a Node)> {
    let mut found: Option<(Named, &'a Node)> = None;
    let mut refused = false;
    for (key, node) in fields.pairs() {
        let word = key.value.as_str();
        if KEYWORDS.contains(&word) || NO_EFFECT.contains(&word) {
            continue;
        }
        let Some(module) = Module::named(short(word)) else {
            refused = true;
            refuse(key, findings);
            continue;
        };
        if let Some(((first, _), _)) = &found {
            let message = format!("a task with two modules, `{}` and `{word}`", first.value);
            findings.error(&key.place, message, "write one task for each".to_owned());
            continue;
        }
        let name = Spanned { value: module.name.to_owned(), place: key.place.clone() };
        found = Some(((name, module), node));
    }
    if found.is_none() && !refused {
        let names: Vec<&str> = MODULES.iter().map(|module| module.name).collect();
        findings.error(fields.place(), "a task without a module", format!("one of: {}", names.join(", ")));
    }
    found
}

/// `ansible.builtin.shell` is `shell`.
fn short(word: &str) -> &str {
    let prefixes = ["ansible.builtin.", "ansible.legacy.", "ansible.posix."];
    prefixes.iter().find_map(|prefix| word.strip_prefix(prefix)).unwrap_or(word)
}

fn refuse(key: &Spanned<String>, findings: &mut Findings) {
    let word = key.value.as_str();
    let names: Vec<&str> = MODULES.iter().map(|module| module.name).collect();
    if UNSUPPORTED_KEYWORDS.contains(&word) {
        findings.error(&key.place, format!("the keyword `{word}` is not supported"), None);
    } else if UNSUPPORTED.contains(&short(word)) || word.contains('.') {
        let hint = format!("supported modules: {}", names.join(", "));
        findings.error(&key.place, format!("the module `{word}` is not supported"), hint);
    } else {
        let hint = match nearest(word, names.iter().copied().chain(KEYWORDS)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("supported modules: {}", names.join(", ")),
        };
        findings.error(&key.place, format!("unknown module or keyword `{word}`"), hint);
    }
}

/// `async:` and `poll:`.
fn job(fields: &Fields<'_>, findings: &mut Findings) -> Option<Job> {
    let poll = fields.get("poll").and_then(|node| whole(node, "`poll`", 0, JOB_MAX_S, findings));
    let limit = whole(fields.get("async")?, "`async`", 0, JOB_MAX_S, findings)?.value;
    (limit > 0).then(|| Job { limit_s: limit, poll_s: poll.map_or(POLL_S, |poll| poll.value) })
}

/// `until:`, `retries:` and `delay:`.
fn until(fields: &Fields<'_>, findings: &mut Findings) -> Option<Until> {
    let retries = fields.get("retries").and_then(|node| whole(node, "`retries`", 1, 1_000_000, findings));
    let delay = fields.get("delay").and_then(|node| {
        let value = node.text().and_then(|text| text.parse::<f64>().ok());
        let value = value.filter(|value| value.is_finite() && (0.0..=86_400.0).contains(value));
        if value.is_none() {
            let message = format!("`delay` must be seconds from 0 to 86400, found {}", node.described());
            findings.error(&node.place, message, None);
        }
        value
    });
    let Some(node) = fields.get("until") else {
        if let Some(retries) = retries {
            let hint = "add `until:` with the condition to wait for".to_owned();
            findings.error(&retries.place, "`retries` without `until`", hint);
        }
        return None;
    };
    let condition = all_of(conditions(node, "until", findings))?;
    let retries = retries.map_or(RETRIES, |retries| retries.value);
    Some(Until { condition, retries, delay_s: delay.unwrap_or(RETRY_DELAY_S) })
}

/// `loop:` or `with_items:`: a list or a template. `with_items` flattens one level, as Ansible does.
fn loop_over(fields: &Fields<'_>, findings: &mut Findings) -> Option<Spanned<Value>> {
    let (over, items) = (fields.get("loop"), fields.get("with_items"));
    if let (Some(_), Some(items)) = (over, items) {
        findings.error(&items.place, "a task with both `loop` and `with_items`", "keep one".to_owned());
    }
    let node = over.or(items)?;
    let value = match node.value() {
        Value::Array(list) if over.is_none() => {
            let flat = list.into_iter().flat_map(|item| match item {
                Value::Array(inner) => inner,
                single => vec![single],
            });
            Value::Array(flat.collect())
        }
        Value::String(text) if over.is_none() && !text.contains("{{") => {
            Value::Array(vec![Value::String(text)])
        }
        value => value,
    };
    let template = value.as_str().is_some_and(|text| text.contains("{{"));
    if !template && !value.is_array() {
        let message = format!("a loop goes over a list or a template, found {}", node.described());
        findings.error(&node.place, message, "for example `loop: \"{{ range(1, 41) | list }}\"`".to_owned());
        return None;
    }
    Some(Spanned { value, place: node.place.clone() })
}

/// One expression, a boolean, or a list of expressions. Braces around a whole expression are taken off.
pub(crate) fn conditions(node: &Node, key: &str, findings: &mut Findings) -> Vec<Spanned<String>> {
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut all = Vec::new();
    for item in items {
        let value = match item.value() {
            Value::Bool(value) => value.to_string(),
            Value::String(text) => {
                let text = text.trim();
                let inner = text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
                inner.filter(|inner| !inner.contains("{{")).unwrap_or(text).trim().to_owned()
            }
            _ => String::new(),
        };
        if value.is_empty() {
            let message = format!("`{key}` must be an expression, found {}", item.described());
            findings.error(&item.place, message, None);
        } else if value.contains("{{") {
            let message = format!("`{key}` holds a template");
            findings.error(&item.place, message, "write the bare expression, without braces".to_owned());
        } else {
            all.push(Spanned { value, place: item.place.clone() });
        }
    }
    all
}

/// One expression that holds when all do.
fn all_of(conditions: Vec<Spanned<String>>) -> Option<Spanned<String>> {
    let place = conditions.first()?.place.clone();
    let value = match conditions.as_slice() {
        [one] => one.value.clone(),
        many => many.iter().map(|c| format!("({})", c.value)).collect::<Vec<_>>().join(" and "),
    };
    Some(Spanned { value, place })
}

/// `environment:` of a task or a play.
pub(crate) fn environment(fields: &Fields<'_>, findings: &mut Findings) -> BTreeMap<String, Spanned<String>> {
    let Some(node) = fields.get("environment") else { return BTreeMap::new() };
    let Some(map) = Fields::open(node, "`environment`", findings) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for (key, node) in map.pairs() {
        if let Some(value) = crate::fields::written(node, &format!("variable `{}`", key.value), findings) {
            all.insert(key.value.clone(), value);
        }
    }
    all
}

/// `vars:` of a task or a play.
pub(crate) fn vars(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(String, Spanned<Value>)> {
    let Some(node) = fields.get("vars") else { return Vec::new() };
    let Some(map) = Fields::open(node, "`vars`", findings) else { return Vec::new() };
    let pairs = map.pairs().iter();
    pairs
        .filter(|(key, _)| identifier(key, "a variable", findings))
        .map(|(key, node)| (key.value.clone(), node.spanned()))
        .collect()
}
