//! `workflow_env.yaml`: named sets of variables, one of which a run may choose.

use crate::fields::{Fields, is_identifier};
use crate::findings::Findings;
use crate::parse::{Tree, tree};
use crate::{Diagnostic, Source, Spanned};
use serde_json::Value;

/// One named set of variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Its name.
    pub name: Spanned<String>,
    /// Its variables in file order, named as templates see them: `A` is `env_A`.
    pub variables: Vec<(String, Spanned<Value>)>,
}

/// Reads `{configuration: {key: text | number | boolean}}`; reports every problem at once.
pub fn configurations(source: &Source) -> (Vec<Configuration>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let mut all = Vec::new();
    if let Tree::Node(root) = tree(source, &mut findings)
        && let Some(fields) = Fields::open(&root, "the workflow_env file", &mut findings)
    {
        for (name, node) in fields.pairs() {
            if let Some(fields) = Fields::open(node, "a configuration", &mut findings) {
                all.push(Configuration { name: name.clone(), variables: variables(&fields, &mut findings) });
            }
        }
    }
    (all, findings.sorted())
}

fn variables(fields: &Fields<'_>, findings: &mut Findings) -> Vec<(String, Spanned<Value>)> {
    let mut all = Vec::new();
    for (key, node) in fields.pairs() {
        let name = format!("env_{}", key.value);
        let value = node.spanned();
        if !is_identifier(&name) {
            let message = format!("`{}` cannot be a variable", key.value);
            findings.error(&key.place, message, "use letters, digits and `_`".to_owned());
        } else if matches!(value.value, Value::Null | Value::Array(_) | Value::Object(_)) {
            let message =
                format!("`{}` must be a text, a number or a boolean, found {}", key.value, node.described());
            findings.error(&node.place, message, None);
        } else {
            all.push((name, value));
        }
    }
    all
}
