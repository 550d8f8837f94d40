//! Ansible's filters and tests that the template engine does not bring.

use super::python;
use minijinja::value::{Rest, Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("range", range);
    environment.add_filter("basename", |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned());
    environment.add_filter("dirname", dirname);
    environment.add_filter("bool", truth);
    environment.add_filter("string", |value: Value| python::printed(&value));
    environment.add_filter("to_json", |value: Value| serde_json::to_string(&value).map_err(no_data));
    environment
        .add_filter("to_nice_json", |value: Value| serde_json::to_string_pretty(&value).map_err(no_data));
    environment.add_filter("from_json", from_json);
    environment.add_filter("quote", quote);
    environment.add_filter("flatten", flatten);
    environment.add_filter("mandatory", mandatory);
    environment
        .add_filter("ternary", |test: Value, yes: Value, no: Value| if test.is_true() { yes } else { no });
    // Tests over registered results.
    environment.add_test("failed", |result: Value| flag(&result, "failed"));
    environment.add_test("succeeded", |result: Value| flag(&result, "failed").map(|failed| !failed));
    environment.add_test("success", |result: Value| flag(&result, "failed").map(|failed| !failed));
    environment.add_test("changed", |result: Value| flag(&result, "changed"));
    environment.add_test("skipped", |result: Value| flag(&result, "skipped"));
}

/// `range([from,] to[, step])`. The engine's own takes an undefined end for one that is not given.
fn range(bounds: Rest<Value>) -> Result<Value, Error> {
    if bounds.iter().any(Value::is_undefined) {
        return Err(Error::new(ErrorKind::UndefinedError, "a bound of range() is undefined"));
    }
    let bound = |index: usize| bounds.get(index).map(|bound| isize::try_from(bound.clone())).transpose();
    let from = bound(0)?.ok_or_else(|| Error::new(ErrorKind::MissingArgument, "range() needs a bound"))?;
    minijinja::functions::range(from, bound(1)?, bound(2)?)
}

fn dirname(path: &str) -> String {
    match path.rsplit_once('/') {
        None => String::new(),
        Some((parent, _)) if parent.trim_matches('/').is_empty() => "/".to_owned(),
        Some((parent, _)) => parent.trim_end_matches('/').to_owned(),
    }
}

/// Truth as Ansible reads it from text: `yes`, `on`, `true`, `1`, `y`, `t`; everything else is false.
fn truth(value: Value) -> bool {
    match value.as_str() {
        Some(text) => matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "true" | "1" | "y" | "t"),
        None if value.is_number() => value == Value::from(1),
        None => value.kind() == ValueKind::Bool && value.is_true(),
    }
}

fn from_json(text: &str) -> Result<Value, Error> {
    let parsed: serde_json::Value = serde_json::from_str(text).map_err(|e| {
        Error::new(ErrorKind::InvalidOperation, format!("from_json: the text is no JSON: {e}"))
    })?;
    Ok(Value::from(Serde(parsed)))
}

fn quote(value: Value) -> Result<String, Error> {
    let text = python::printed(&value);
    let quoted = shlex::try_quote(&text)
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, format!("quote: {e}")))?;
    Ok(quoted.into_owned())
}

fn flatten(value: Value) -> Result<Value, Error> {
    let mut flat = Vec::new();
    flatten_into(&mut flat, &value)?;
    Ok(Value::from(flat))
}

fn flatten_into(flat: &mut Vec<Value>, value: &Value) -> Result<(), Error> {
    for item in value.try_iter()? {
        if matches!(item.kind(), ValueKind::Seq) { flatten_into(flat, &item)? } else { flat.push(item) }
    }
    Ok(())
}

fn mandatory(value: Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "a mandatory variable is undefined"));
    }
    Ok(value)
}

fn flag(result: &Value, name: &str) -> Result<bool, Error> {
    let value = result.get_attr(name)?;
    Ok(!value.is_undefined() && value.is_true())
}

fn no_data(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::BadSerialization, error.to_string())
}
