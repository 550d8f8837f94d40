//! `{{ env.X }}` and `{{ _self.x }}` in a definition's extras.
//!
//! Only dotted paths are looked up: extras are constants of an instance, and whatever needs an expression belongs
//! into a task, which the workflow renders.

use crate::Variables;
use serde_json::Value;

/// Replaces every reference in `value`; one that stands alone keeps the type of what it names.
///
/// The error names the reference that cannot be looked up.
pub(crate) fn substitute(value: &Value, variables: &Variables) -> Result<Value, String> {
    match value {
        Value::String(text) => in_text(text, variables),
        Value::Array(items) => {
            items.iter().map(|item| substitute(item, variables)).collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Object(pairs) => {
            let pairs = pairs.iter().map(|(key, item)| Ok((key.clone(), substitute(item, variables)?)));
            pairs.collect::<Result<_, String>>().map(Value::Object)
        }
        other => Ok(other.clone()),
    }
}

fn in_text(text: &str, variables: &Variables) -> Result<Value, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((path, after)) = after.split_once("}}") else {
            return Err(format!("`{text}` has `{{{{` without `}}}}`"));
        };
        let found = look_up(path.trim(), variables).ok_or_else(|| {
            format!("`{}` is no variable of the service; `env.NAME` and `_self.name` are", path.trim())
        })?;
        if before.is_empty() && done.is_empty() && after.is_empty() {
            return Ok(found.clone());
        }
        done.push_str(before);
        match found {
            Value::String(text) => done.push_str(text),
            other => done.push_str(&other.to_string()),
        }
        rest = after;
    }
    done.push_str(rest);
    Ok(Value::String(done))
}

fn look_up<'a>(path: &str, variables: &'a Variables) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = variables.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_are_replaced_and_strangers_are_named() {
        let Value::Object(variables) = json!({"env": {"N": 2, "P": "x"}, "_self": {"url": "10.99.0.1:1"}})
        else {
            panic!("a map");
        };
        let of = |text: &str| substitute(&Value::from(text), &variables);
        assert_eq!(of("{{ env.N }}"), Ok(json!(2)));
        assert_eq!(of("{{env.N}}/{{ env.P }}"), Ok(json!("2/x")));
        assert_eq!(of("tcp://{{ _self.url }}"), Ok(json!("tcp://10.99.0.1:1")));
        assert_eq!(of("plain"), Ok(json!("plain")));
        assert!(of("{{ env.M }}").unwrap_err().contains("`env.M`"));
        assert!(of("{{ env.N | int }}").unwrap_err().contains("`env.N | int`"));
        assert!(of("{{ env.N").unwrap_err().contains("without"));
    }
}
