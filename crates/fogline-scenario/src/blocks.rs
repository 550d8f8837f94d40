//! Lists of steps: tasks, and `block` with `rescue` and `always`. How deep blocks may stand within each other, the
//! YAML reader bounds.

use crate::fields::{Fields, boolean, list, written};
use crate::findings::Findings;
use crate::nearest::hint;
use crate::tasks::{conditions, environment, task, vars};
use crate::yaml::{Kind, Node};
use crate::{Block, Step};

/// Keys of a block.
const KEYS: [&str; 13] = [
    "block",
    "rescue",
    "always",
    "name",
    "when",
    "environment",
    "vars",
    "ignore_errors",
    "tags",
    "become",
    "become_user",
    "become_method",
    "remote_user",
];

/// Reads a list of steps; refused ones are reported and left out.
pub(crate) fn steps(node: &Node, what: &str, findings: &mut Findings) -> Vec<Step> {
    let items = if node.is_null() { &[][..] } else { list(node, what, findings) };
    let step = |item: &Node| match is_block(item) {
        true => block(item, findings).map(Step::Block),
        false => task(item, findings).map(|task| Step::Task(Box::new(task))),
    };
    items.iter().filter_map(step).collect()
}

fn is_block(node: &Node) -> bool {
    let Kind::Map(pairs) = &node.kind else { return false };
    pairs.iter().any(|(key, _)| ["block", "rescue", "always"].contains(&key.value.as_str()))
}

fn block(node: &Node, findings: &mut Findings) -> Option<Block> {
    let fields = Fields::open(node, "a block", findings)?;
    for (key, _) in fields.pairs().iter().filter(|(key, _)| !KEYS.contains(&key.value.as_str())) {
        let message = format!("unknown key `{}` in a block", key.value);
        findings.error(&key.place, message, hint(&key.value, &KEYS));
    }
    let tried = fields.required("block", "[{shell: hostname}]", findings);
    let mut part = |key: &str, node| steps(node, &format!("`{key}`"), findings);
    let mut block = Block {
        place: node.place.clone(),
        name: None,
        block: part("block", tried?),
        rescue: fields.get("rescue").map_or_else(Vec::new, |node| part("rescue", node)),
        always: fields.get("always").map_or_else(Vec::new, |node| part("always", node)),
    };
    block.name = fields.get("name").and_then(|node| written(node, "`name`", findings));
    inherit(&mut block, &fields, findings);
    Some(block)
}

/// Gives the block's keywords to its tasks; a task's own win, and all conditions must hold.
fn inherit(block: &mut Block, fields: &Fields<'_>, findings: &mut Findings) {
    let when = fields.get("when").map_or_else(Vec::new, |node| conditions(node, "when", findings));
    let (environment, vars) = (environment(fields, findings), vars(fields, findings));
    let ignore = fields.get("ignore_errors").and_then(|node| boolean(node, "`ignore_errors`", findings));
    for steps in [&mut block.block, &mut block.rescue, &mut block.always] {
        for step in steps {
            step.change_tasks(&mut |task| {
                task.when = when.iter().chain(&task.when).cloned().collect();
                for (name, value) in &environment {
                    task.environment.entry(name.clone()).or_insert_with(|| value.clone());
                }
                for (name, value) in &vars {
                    task.vars.entry(name.clone()).or_insert_with(|| value.clone());
                }
                task.ignore_errors |= ignore.unwrap_or(false);
            });
        }
    }
}
