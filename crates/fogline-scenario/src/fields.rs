//! Reading typed values out of YAML nodes, every refusal with its place.

use crate::findings::Findings;
use crate::nearest::hint;
use crate::yaml::{Kind, Node};
use crate::{Place, Spanned};
use std::fmt::Display;
use std::str::FromStr;
use units::ParseError;

/// The keys of one map.
pub(crate) struct Fields<'a> {
    what: &'static str,
    place: &'a Place,
    pairs: &'a [(Spanned<String>, Node)],
}

impl<'a> Fields<'a> {
    /// Takes `node` for a map with any keys; reports when it is none. `what` names it in messages.
    pub(crate) fn open(node: &'a Node, what: &'static str, findings: &mut Findings) -> Option<Self> {
        match &node.kind {
            Kind::Map(pairs) => Some(Self { what, place: &node.place, pairs }),
            _ => {
                findings.error(
                    &node.place,
                    format!("{what} must be a map, found {}", node.described()),
                    None,
                );
                None
            }
        }
    }

    /// Takes `node` for a map with the keys `known`; reports every other key.
    pub(crate) fn closed(
        node: &'a Node,
        what: &'static str,
        known: &[&str],
        findings: &mut Findings,
    ) -> Option<Self> {
        let fields = Self::open(node, what, findings)?;
        for (key, _) in fields.pairs.iter().filter(|(key, _)| !known.contains(&key.value.as_str())) {
            let message = format!("unknown key `{}` in {what}", key.value);
            findings.error(&key.place, message, hint(&key.value, known));
        }
        Some(fields)
    }

    /// Where the map begins.
    pub(crate) fn place(&self) -> &'a Place {
        self.place
    }

    /// All pairs in file order.
    pub(crate) fn pairs(&self) -> &'a [(Spanned<String>, Node)] {
        self.pairs
    }

    /// The value of `key`; a null counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.pairs.iter().find(|(name, _)| name.value == key).map(|(_, node)| node).filter(|n| !n.is_null())
    }

    /// The value of `key`; reports when it is absent or null.
    pub(crate) fn required(&self, key: &str, example: &str, findings: &mut Findings) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let named = self.pairs.iter().find(|(name, _)| name.value == key);
            let place = named.map_or(self.place, |(name, _)| &name.place);
            let message = format!("{} needs `{key}`", self.what);
            findings.error(place, message, format!("for example `{key}: {example}`"));
        }
        found
    }
}

fn refuse(node: &Node, what: &str, expected: &str, findings: &mut Findings) {
    findings.error(&node.place, format!("{what} must be {expected}, found {}", node.described()), None);
}

/// A text; a number or boolean where a text is meant is refused, since quotes change its meaning.
pub(crate) fn text(node: &Node, what: &str, findings: &mut Findings) -> Option<Spanned<String>> {
    match node.value() {
        serde_json::Value::String(value) if !value.trim().is_empty() => {
            Some(Spanned { value, place: node.place.clone() })
        }
        _ => {
            refuse(node, what, "a text", findings);
            None
        }
    }
}

/// A scalar of any type, as written.
pub(crate) fn written(node: &Node, what: &str, findings: &mut Findings) -> Option<Spanned<String>> {
    match node.text() {
        Some(text) => Some(Spanned { value: text.to_owned(), place: node.place.clone() }),
        None => {
            refuse(node, what, "a text", findings);
            None
        }
    }
}

/// A scalar that `T` parses, such as a delay; the parser's own words say what would be right.
pub(crate) fn measured<T: FromStr<Err = ParseError>>(
    node: &Node,
    what: &str,
    findings: &mut Findings,
) -> Option<Spanned<T>> {
    let text = written(node, what, findings)?;
    match text.value.parse() {
        Ok(value) => Some(Spanned { value, place: text.place }),
        Err(ParseError { what, text: refused, expected }) => {
            let message = format!("`{refused}` is not a {what}");
            findings.error(&text.place, message, format!("expected {expected}"));
            None
        }
    }
}

/// A whole number from `least` to `most`; `"3"` in quotes is one too.
pub(crate) fn whole<T>(
    node: &Node,
    what: &str,
    least: T,
    most: T,
    findings: &mut Findings,
) -> Option<Spanned<T>>
where
    T: TryFrom<i64> + PartialOrd + Copy + Display,
{
    let number = match node.value() {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let value = number.and_then(|number| T::try_from(number).ok()).filter(|v| *v >= least && *v <= most);
    if value.is_none() {
        refuse(node, what, &format!("a whole number from {least} to {most}"), findings);
    }
    value.map(|value| Spanned { value, place: node.place.clone() })
}

/// A boolean as YAML 1.1 has it.
pub(crate) fn boolean(node: &Node, what: &str, findings: &mut Findings) -> Option<bool> {
    let value = as_boolean(node);
    if value.is_none() {
        refuse(node, what, "true or false", findings);
    }
    value
}

/// A boolean, also one in quotes, as Ansible takes it.
pub(crate) fn as_boolean(node: &Node) -> Option<bool> {
    match node.value() {
        serde_json::Value::Bool(value) => Some(value),
        serde_json::Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        },
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The items of a list.
pub(crate) fn list<'a>(node: &'a Node, what: &str, findings: &mut Findings) -> &'a [Node] {
    match &node.kind {
        Kind::List(items) => items,
        _ => {
            let message = format!("{what} must be a list, found {}", node.described());
            findings.error(&node.place, message, "begin each item with `- `".to_owned());
            &[]
        }
    }
}

/// One of `choices`, written in any case.
pub(crate) fn choice(
    node: &Node,
    what: &str,
    choices: &[&'static str],
    findings: &mut Findings,
) -> Option<Spanned<&'static str>> {
    let text = written(node, what, findings)?;
    let found = choices.iter().copied().find(|choice| choice.eq_ignore_ascii_case(&text.value));
    if found.is_none() {
        let message = format!("`{}` is not a {what}", crate::yaml::shortened(&text.value));
        findings.error(&text.place, message, hint(&text.value, choices));
    }
    found.map(|value| Spanned { value, place: text.place })
}

/// Whether `text` can name a variable.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A variable's name; reports anything else.
pub(crate) fn identifier(text: &Spanned<String>, what: &str, findings: &mut Findings) -> bool {
    let fine = is_identifier(&text.value);
    if !fine {
        let hint = "use letters, digits and `_`, not beginning with a digit".to_owned();
        findings.error(&text.place, format!("`{}` cannot be {what}", text.value), hint);
    }
    fine
}
