//! A value that only the run will know.

use minijinja::value::{Object, ObjectRepr};
use minijinja::{Error, State, Value};
use std::fmt;
use std::sync::Arc;

/// Stands for a registered result in a dry run. It has every attribute, prints as `<name>` and is true.
#[derive(Debug)]
pub(super) struct Unknown {
    name: String,
}

impl Unknown {
    pub(super) fn named(name: &str) -> Value {
        Value::from_object(Self { name: name.to_owned() })
    }
}

impl Object for Unknown {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = match key.as_str() {
            Some(attribute) => format!("{}.{attribute}", self.name),
            None => format!("{}[{key}]", self.name),
        };
        Some(Self::named(&name))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn call_method(
        self: &Arc<Self>,
        _state: &mut State<'_, '_>,
        method: &str,
        _args: &[Value],
    ) -> Result<Value, Error> {
        Ok(Self::named(&format!("{}.{method}()", self.name)))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name)
    }
}
