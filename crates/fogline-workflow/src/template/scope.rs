//! The variables that one template sees.

use super::unknown::Unknown;
use super::{Engine, is_template};
use fogline_plan::Variables;
use minijinja::value::{Enumerator, Object, Serde};
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

thread_local! {
    /// Variables whose templates this thread is rendering, outermost first.
    static RENDERING: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A variable as stored.
#[derive(Clone, Debug)]
enum Stored {
    /// Ready.
    Value(Value),
    /// Has templates in it, rendered whenever it is looked up, as Ansible does.
    Template(Json),
    /// Known only in the run.
    Unknown,
}

/// Variables by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    variables: BTreeMap<String, Stored>,
}

impl Layer {
    /// Variables as written by the user: strings in them may be templates.
    pub(crate) fn written(variables: &Variables) -> Self {
        let stored =
            |value: &Json| if has_template(value) { Stored::Template(value.clone()) } else { ready(value) };
        Self { variables: variables.iter().map(|(name, value)| (name.clone(), stored(value))).collect() }
    }

    /// Variables that are data, whatever their strings look like.
    pub(crate) fn data(variables: &Variables) -> Self {
        Self { variables: variables.iter().map(|(name, value)| (name.clone(), ready(value))).collect() }
    }

    pub(crate) fn set(&mut self, name: &str, value: &Json) {
        self.variables.insert(name.to_owned(), ready(value));
    }

    pub(crate) fn set_unknown(&mut self, name: &str) {
        self.variables.insert(name.to_owned(), Stored::Unknown);
    }
}

fn ready(value: &Json) -> Stored {
    Stored::Value(Value::from(Serde(value)))
}

fn has_template(value: &Json) -> bool {
    match value {
        Json::String(text) => is_template(text),
        Json::Array(items) => items.iter().any(has_template),
        Json::Object(map) => map.values().any(has_template),
        _ => false,
    }
}

/// The first part of a path that is not there, and where it was looked for.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) name: String,
    /// Path and value of what has no such part; absent when the variable itself is missing.
    pub(super) parent: Option<(String, Value)>,
}

/// The variables that one template sees, in layers; the first layer that has a name wins.
#[derive(Debug)]
pub(crate) struct Scope {
    engine: Arc<Engine>,
    layers: Vec<Arc<Layer>>,
    /// Whether a value was looked up that only the run will know.
    touched: AtomicBool,
    /// Variables that have been rendered, each with whether it touches an unknown value. Errors are kept, too: the
    /// engine looks variables up again to describe an error.
    rendered: Mutex<BTreeMap<String, (Value, bool)>>,
}

impl Scope {
    pub(crate) fn new(engine: &Arc<Engine>, layers: Vec<Arc<Layer>>) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::clone(engine),
            layers,
            touched: AtomicBool::new(false),
            rendered: Mutex::default(),
        })
    }

    /// The same scope with a layer on top, which wins.
    pub(crate) fn with(&self, top: Layer) -> Arc<Self> {
        let mut layers = vec![Arc::new(top)];
        layers.extend(self.layers.iter().cloned());
        Self::new(&self.engine, layers)
    }

    pub(crate) fn root(self: &Arc<Self>) -> Value {
        Value::from_dyn_object(Arc::clone(self))
    }

    /// All names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.layers.iter().flat_map(|layer| layer.variables.keys()).collect();
        names.into_iter().cloned().collect()
    }

    /// Whether an unknown value has been looked up since the last call.
    pub(crate) fn take_touched(&self) -> bool {
        self.touched.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn lookup(self: &Arc<Self>, name: &str) -> Option<Value> {
        let stored = self.layers.iter().find_map(|layer| layer.variables.get(name))?;
        Some(match stored {
            Stored::Value(value) => value.clone(),
            Stored::Unknown => {
                self.touched.store(true, Ordering::Relaxed);
                Unknown::named(name)
            }
            Stored::Template(written) => self.rendered(name, written),
        })
    }

    /// Follows a path such as `kafka.url`.
    pub(super) fn resolve(self: &Arc<Self>, path: &str) -> Result<Value, Missing> {
        let mut parts = path.split('.');
        let root = parts.next().unwrap_or_default();
        let mut at = self.lookup(root).ok_or_else(|| Missing { name: root.to_owned(), parent: None })?;
        let mut walked = root.to_owned();
        for part in parts {
            let next = at.get_attr(part).ok().filter(|value| !value.is_undefined());
            at = next.ok_or_else(|| Missing { name: part.to_owned(), parent: Some((walked.clone(), at)) })?;
            walked = format!("{walked}.{part}");
        }
        Ok(at)
    }

    /// The value of a variable that has templates in it, rendered once.
    fn rendered(self: &Arc<Self>, name: &str, written: &Json) -> Value {
        let known = self.rendered.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let (value, touches) = known.unwrap_or_else(|| {
            let touched_before = self.take_touched();
            let value = self.render(name, written);
            let touches = self.touched.fetch_or(touched_before, Ordering::Relaxed);
            let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
            rendered.insert(name.to_owned(), (value.clone(), touches));
            (value, touches)
        });
        self.touched.fetch_or(touches, Ordering::Relaxed);
        value
    }

    fn render(self: &Arc<Self>, name: &str, written: &Json) -> Value {
        let circle = RENDERING.with_borrow(|names| names.iter().any(|outer| outer == name));
        if circle {
            let message = format!("the variable `{name}` refers to itself");
            return Error::new(ErrorKind::InvalidOperation, message).into();
        }
        RENDERING.with_borrow_mut(|names| names.push(name.to_owned()));
        let rendered = match written {
            // Not through JSON, so that a value that only the run knows stays what it is.
            Json::String(text) => self.engine.value(text, self),
            other => self.engine.deep(other, self).map(|value| Value::from(Serde(value))),
        };
        RENDERING.with_borrow_mut(Vec::pop);
        rendered.unwrap_or_else(|error| {
            let within = format!("in the variable `{name}`: {}", error.message);
            Error::new(ErrorKind::InvalidOperation, within).into()
        })
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.lookup(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.lookup(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.names().into_iter().map(Value::from).collect())
    }
}
