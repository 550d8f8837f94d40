//! A module's arguments: as written, rendered, and read with their types.

use crate::modules::Module;
use crate::template::scope::Scope;
use crate::template::{Engine, TemplateError};
use fogline_scenario::{Place, Task};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What is wrong with an argument, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArgError {
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// One rendered argument.
#[derive(Clone, Debug)]
struct Arg {
    name: String,
    value: Value,
    place: Place,
    /// False in a dry run when only the run will know the value.
    known: bool,
}

/// A module's rendered arguments.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    module: &'static str,
    place: Place,
    args: Vec<Arg>,
}

/// A template error at the argument it is in.
pub(crate) fn template_error(error: TemplateError, place: &Place, of: &str) -> ArgError {
    ArgError { place: place.clone(), message: format!("{of}: {}", error.message), hint: error.hint }
}

impl Args {
    /// Renders the arguments of `task`.
    pub(crate) fn render(
        task: &Task,
        module: &'static Module,
        engine: &Engine,
        scope: &Arc<Scope>,
    ) -> Result<Self, ArgError> {
        let mut args = Vec::new();
        for (name, argument) in &task.args {
            scope.take_touched();
            let of = if name == Task::FREE_FORM { module.name } else { name };
            let rendered = engine.deep(&argument.value, scope);
            let known = !scope.take_touched();
            let value = match rendered {
                Err(error) if known || error.undefined => {
                    return Err(template_error(error, &argument.place, of));
                }
                // The engine stumbled over a stand-in, not over the user's words.
                Err(_) => argument.value.clone(),
                Ok(value) => value,
            };
            args.push(Arg { name: name.clone(), value, place: argument.place.clone(), known });
        }
        Ok(Self { module: module.name, place: task.module.place.clone(), args })
    }

    fn find(&self, name: &str) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.name == name).filter(|arg| !arg.value.is_null())
    }

    /// All arguments by name.
    pub(crate) fn all(&self) -> Map<String, Value> {
        self.args.iter().map(|arg| (arg.name.clone(), arg.value.clone())).collect()
    }

    /// Whether every argument's value is known.
    pub(crate) fn known(&self) -> bool {
        self.args.iter().all(|arg| arg.known)
    }

    /// Whether the argument `name` is given and its value known.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.find(name).is_none_or(|arg| arg.known)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.find(name).map(|arg| &arg.value)
    }

    /// Where `name` stands, or the module when it is not given.
    pub(crate) fn place(&self, name: &str) -> &Place {
        self.find(name).map_or(&self.place, |arg| &arg.place)
    }

    /// An error about the argument `name`, or about the module when it is not given.
    pub(crate) fn error(&self, name: &str, message: impl Into<String>) -> ArgError {
        ArgError { place: self.place(name).clone(), message: message.into(), hint: None }
    }

    /// The argument as text; numbers and truth values as written.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ArgError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Bool(value)) => Ok(Some(value.to_string())),
            Some(Value::Number(value)) => Ok(Some(value.to_string())),
            Some(other) => Err(self.wrong(name, "a text", other)),
        }
    }

    /// The argument as text, which must be given and not be empty.
    pub(crate) fn required_text(&self, name: &str) -> Result<String, ArgError> {
        let shown = if name == Task::FREE_FORM { "a command" } else { name };
        match self.text(name)? {
            Some(text) if text.is_empty() => {
                Err(self.error(name, format!("{}: {shown} is empty", self.module)))
            }
            Some(text) => Ok(text),
            None => Err(self.error(name, format!("{} needs {shown}", self.module))),
        }
    }

    /// The argument as a truth value.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, ArgError> {
        let Some(arg) = self.find(name) else { return Ok(default) };
        let word = match &arg.value {
            Value::Bool(value) => return Ok(*value),
            Value::String(text) => text.to_ascii_lowercase(),
            other => other.to_string(),
        };
        match word.as_str() {
            "yes" | "true" | "on" | "1" | "y" | "t" => Ok(true),
            "no" | "false" | "off" | "0" | "n" | "f" => Ok(false),
            _ if !arg.known => Ok(default),
            _ => Err(self.wrong(name, "true or false", &arg.value)),
        }
    }

    /// The argument as a number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, ArgError> {
        let Some(arg) = self.find(name) else { return Ok(None) };
        let number = match &arg.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|n| n.is_finite() && (0.0..=1e9).contains(n)) {
            Some(number) => Ok(Some(number)),
            None if !arg.known => Ok(Some(0.0)),
            None => Err(self.wrong(name, "a number, not negative", &arg.value)),
        }
    }

    /// The argument as a list of texts; one text is a list of one.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, ArgError> {
        let plain = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            _ => None,
        };
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| plain(item).ok_or_else(|| self.wrong(name, "a list of texts", item)))
                .collect(),
            Some(value) => Ok(vec![plain(value).ok_or_else(|| self.wrong(name, "a list of texts", value))?]),
        }
    }

    fn wrong(&self, name: &str, expected: &str, got: &Value) -> ArgError {
        let mut shown = got.to_string();
        if let Some((end, _)) = shown.char_indices().nth(60) {
            shown.truncate(end);
            shown.push('…');
        }
        self.error(name, format!("{}: {name} must be {expected}, not {shown}", self.module))
    }
}
