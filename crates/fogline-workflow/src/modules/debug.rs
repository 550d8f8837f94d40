//! `debug`: says something.

use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use crate::template::to_json;
use serde_json::Value;

pub(super) const MODULE: Module = Module { name: "debug", independent: false, parse };

enum Debug {
    Message(Value),
    Variable(String),
}

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    if args.value("msg").is_some() && args.value("var").is_some() {
        return Err(args.error("var", "debug takes either msg or var, not both"));
    }
    if args.value("var").is_some() {
        return Ok(Box::new(Debug::Variable(args.required_text("var")?)));
    }
    Ok(Box::new(Debug::Message(args.value("msg").cloned().unwrap_or_else(|| "Hello world!".into()))))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

impl Action for Debug {
    fn summary(&self) -> String {
        match self {
            Self::Message(value) => shown(value),
            Self::Variable(name) => format!("var {name}"),
        }
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        let (name, value) = match self {
            Self::Message(value) => (None, value.clone()),
            // Like Ansible: a variable that is not there is worth saying, not worth failing.
            Self::Variable(name) => match call.engine.expression(name, call.scope) {
                Ok(value) => (Some(name), to_json(&value).map_err(|e| Stop::Failed(e.to_string()))?),
                Err(error) if error.undefined => (Some(name), "VARIABLE IS NOT DEFINED!".into()),
                Err(error) => return Err(Stop::Failed(error.to_string())),
            },
        };
        let message = match name {
            Some(name) => format!("{name}: {}", shown(&value)),
            None => shown(&value),
        };
        let outcome = Outcome { message: Some(message), ..Outcome::default() };
        Ok(match name {
            Some(name) => outcome.field(name, value),
            None => outcome.field("msg", value),
        })
    }
}
