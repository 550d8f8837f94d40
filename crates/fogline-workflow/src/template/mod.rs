//! Jinja templates as Ansible's users know them.

mod filters;
mod python;
pub(crate) mod scope;
mod unknown;

use crate::suggest;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, Expression, UndefinedBehavior, Value};
use scope::Scope;
use std::sync::Arc;

/// Renders templates and evaluates conditions. Undefined variables are errors.
#[derive(Debug)]
pub(crate) struct Engine {
    environment: Environment<'static>,
}

/// Why a template could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    /// What is wrong, in one sentence.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) hint: Option<String>,
    /// Whether a variable, rather than a value, is to blame.
    pub(crate) undefined: bool,
    /// Line within the template, from 1.
    pub(crate) line: Option<usize>,
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl Engine {
    pub(crate) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Makes errors say which expression is undefined.
        environment.set_debug(true);
        // Ansible's own settings.
        let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build();
        environment.set_syntax(syntax.unwrap_or_default());
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(python::format);
        filters::add_to(&mut environment);
        Self { environment }
    }

    /// Renders `template`. A lone `{{ expression }}` yields its value, anything else a string.
    pub(crate) fn value(&self, template: &str, scope: &Arc<Scope>) -> Result<Value, TemplateError> {
        if !is_template(template) {
            return Ok(Value::from(template));
        }
        if let Some(expression) = lone_expression(template)
            && let Ok(compiled) = self.environment.compile_expression(expression)
        {
            let value = compiled.eval(scope.root()).map_err(|e| explain(&e, scope))?;
            return defined(value, expression, &compiled, scope);
        }
        self.environment.render_str(template, scope.root()).map(Value::from).map_err(|e| explain(&e, scope))
    }

    /// Renders `template` as text.
    pub(crate) fn text(&self, template: &str, scope: &Arc<Scope>) -> Result<String, TemplateError> {
        self.environment.render_str(template, scope.root()).map_err(|e| explain(&e, scope))
    }

    /// Renders every string within `value`.
    pub(crate) fn deep(
        &self,
        value: &serde_json::Value,
        scope: &Arc<Scope>,
    ) -> Result<serde_json::Value, TemplateError> {
        use serde_json::Value as Json;
        Ok(match value {
            Json::String(text) => to_json(&self.value(text, scope)?)?,
            Json::Array(items) => {
                Json::Array(items.iter().map(|item| self.deep(item, scope)).collect::<Result<_, _>>()?)
            }
            Json::Object(map) => {
                let pairs = map.iter().map(|(key, item)| Ok((key.clone(), self.deep(item, scope)?)));
                Json::Object(pairs.collect::<Result<_, TemplateError>>()?)
            }
            other => other.clone(),
        })
    }

    /// Evaluates an expression without braces, such as `when` has. Braces are forgiven.
    pub(crate) fn condition(&self, expression: &str, scope: &Arc<Scope>) -> Result<bool, TemplateError> {
        self.expression(expression, scope).map(|value| value.is_true())
    }

    /// The value of an expression without braces.
    pub(crate) fn expression(&self, expression: &str, scope: &Arc<Scope>) -> Result<Value, TemplateError> {
        if is_template(expression) {
            return self.value(expression.trim(), scope);
        }
        let compiled =
            self.environment.compile_expression(expression.trim()).map_err(|e| explain(&e, scope))?;
        let value = compiled.eval(scope.root()).map_err(|e| explain(&e, scope))?;
        defined(value, expression, &compiled, scope)
    }
}

/// `value`, unless the expression yields nothing because a variable in it is not there.
fn defined(
    value: Value,
    expression: &str,
    compiled: &Expression<'_, '_>,
    scope: &Arc<Scope>,
) -> Result<Value, TemplateError> {
    if !value.is_undefined() {
        return Ok(value);
    }
    let mut paths: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
    paths.sort();
    let missing = paths.iter().find(|path| scope.resolve(path).is_err());
    Err(undefined(missing.map_or(expression.trim(), String::as_str), scope))
}

/// Whether rendering can change `text` at all.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The expression in `{{ expression }}` when there is nothing around it.
fn lone_expression(template: &str) -> Option<&str> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    Some(inner.strip_suffix('-').unwrap_or(inner))
}

/// A template's value as plain data.
pub(crate) fn to_json(value: &Value) -> Result<serde_json::Value, TemplateError> {
    serde_json::to_value(value).map_err(|error| {
        let message = format!("the value of the template is no plain data: {error}");
        TemplateError { message, hint: None, undefined: false, line: None }
    })
}

fn explain(error: &Error, scope: &Arc<Scope>) -> TemplateError {
    if let Some(path) = undefined_path(error) {
        return TemplateError { line: error.line(), ..undefined(&path, scope) };
    }
    let mut message = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        message = format!("{message}: {next}");
        cause = next.source();
    }
    TemplateError { message, hint: None, undefined: false, line: error.line() }
}

/// The expression of which the engine says, here or in a cause, that it is undefined.
fn undefined_path(error: &Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        let text = at.to_string();
        if let Some((before, _)) = text.split_once("` is undefined")
            && let Some((_, path)) = before.rsplit_once('`')
        {
            return Some(path.to_owned());
        }
        cause = at.source();
    }
    None
}

/// Says that `path` is undefined, and what there is instead.
fn undefined(path: &str, scope: &Arc<Scope>) -> TemplateError {
    let message = format!("`{path}` is undefined");
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let hint = match scope.resolve(path) {
        Err(missing) if path.chars().all(plain) => Some(match missing.parent {
            None => instead(&missing.name, &scope.names(), "the variables here are"),
            Some((parent, value)) => {
                let keys = value.try_iter().into_iter().flatten();
                let keys: Vec<String> = keys.filter_map(|key| key.as_str().map(ToOwned::to_owned)).collect();
                match keys.as_slice() {
                    [] => format!("`{parent}` is a {}", value.kind()),
                    keys => instead(&missing.name, keys, &format!("`{parent}` has")),
                }
            }
        }),
        _ => None,
    };
    TemplateError { message, hint, undefined: true, line: None }
}

fn instead(word: &str, known: &[String], there_are: &str) -> String {
    let near = suggest::nearest(word, known.iter().map(String::as_str));
    // What Ansible brings along is seldom what somebody was looking for.
    let brought =
        |name: &&String| !name.starts_with("ansible_") && !matches!(name.as_str(), "groups" | "omit");
    let listed = suggest::listed(&known.iter().filter(brought).collect::<Vec<_>>());
    match near {
        Some(near) => format!("did you mean `{near}`? {there_are}: {listed}"),
        None => format!("{there_are}: {listed}"),
    }
}
