//! Checking a module's arguments against what it takes.

use crate::Spanned;
use crate::catalogue::MODULES;
use crate::fields::as_boolean;
use crate::findings::Findings;
use crate::nearest::hint;
use crate::yaml::{Kind, Node, shortened};
use crate::{Place, Task};
use serde_json::Value;

/// What an argument takes. A text with a template in it passes everywhere but as a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Takes {
    Text,
    Whole,
    Number,
    Boolean,
    /// File mode: octal, symbolic or `preserve`.
    Mode,
    OneOf(&'static [&'static str]),
    /// A text or a list of texts.
    Texts,
    Anything,
}

/// One module.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    /// Whether it takes a free-form text.
    pub(crate) free_form: bool,
    pub(crate) arguments: &'static [(&'static str, Takes)],
    /// Other names of arguments: `(alias, name)`.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Of each group, at least one argument must be given.
    pub(crate) needs: &'static [&'static [&'static str]],
}

/// Arguments that Ansible extracts from a free-form text; here they must stand under `args:`.
const EXTRACTED: [&str; 5] = ["chdir=", "creates=", "removes=", "executable=", "stdin="];

impl Module {
    /// The supported module called `name`.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        MODULES.iter().find(|module| module.name == name)
    }

    /// Reads the module's own value: free-form text, `key=value` text or a map. `None` when it is neither (reported).
    pub(crate) fn own_arguments(
        &self,
        node: &Node,
        findings: &mut Findings,
    ) -> Option<Vec<(Spanned<String>, Node)>> {
        match &node.kind {
            Kind::Map(pairs) => Some(pairs.clone()),
            _ if node.is_null() => Some(Vec::new()),
            Kind::Scalar { text, .. } if self.free_form => {
                if let Some(word) =
                    text.split_whitespace().find_map(|w| EXTRACTED.iter().find(|e| w.starts_with(**e)))
                {
                    let name = word.trim_end_matches('=');
                    let message = format!("`{word}` inside the command of `{}`", self.name);
                    findings.error(&node.place, message, format!("write it under `args:` as `{name}: ...`"));
                }
                let key = Spanned { value: Task::FREE_FORM.to_owned(), place: node.place.clone() };
                Some(vec![(key, node.clone())])
            }
            Kind::Scalar { text, .. } => self.pairs(text, &node.place, findings),
            Kind::List(_) => {
                let message = format!("the arguments of `{}` must be a map, found a list", self.name);
                findings.error(&node.place, message, None);
                None
            }
        }
    }

    /// `key=value key="a value"`.
    fn pairs(
        &self,
        text: &str,
        place: &Place,
        findings: &mut Findings,
    ) -> Option<Vec<(Spanned<String>, Node)>> {
        let mut all = Vec::new();
        for word in words(text) {
            let Some((key, value)) = word.split_once('=').filter(|(key, _)| !key.contains("{{")) else {
                let message = format!("`{}` takes no free text, found `{}`", self.name, shortened(text));
                findings.error(place, message, "write the arguments as a map, one per line".to_owned());
                return None;
            };
            let value = Kind::Scalar { text: value.to_owned(), plain: true };
            let key = Spanned { value: key.to_owned(), place: place.clone() };
            all.push((key, Node { place: place.clone(), kind: value }));
        }
        Some(all)
    }

    /// Checks names and types, resolves aliases and reports what is missing.
    pub(crate) fn checked(
        &self,
        given: Vec<(Spanned<String>, Node)>,
        place: &Place,
        findings: &mut Findings,
    ) -> Vec<(String, Spanned<Value>)> {
        let mut all: Vec<(String, Spanned<Value>)> = Vec::new();
        let mut slipped = false;
        for (key, node) in given {
            let alias = self.aliases.iter().find(|(alias, _)| *alias == key.value);
            let name = alias.map_or(key.value.as_str(), |(_, name)| name);
            if all.iter().any(|(known, _)| known == name) {
                let message = format!("argument `{}` of `{}` is given twice", key.value, self.name);
                findings.error(&key.place, message, None);
                continue;
            }
            let Some(takes) = self.takes(name) else {
                slipped = true;
                let known: Vec<&str> = self.arguments.iter().map(|(name, _)| shown(name)).collect();
                let message = format!("`{}` has no argument `{}`", self.name, key.value);
                findings.error(&key.place, message, hint(&key.value, &known));
                continue;
            };
            let value = self.argument(&key.value, &node, takes, findings);
            all.push((name.to_owned(), Spanned { value, place: node.place }));
        }
        for group in self.needs.iter().filter(|_| !slipped) {
            if !all.iter().any(|(name, _)| group.contains(&name.as_str())) {
                let names: Vec<String> = group.iter().map(|name| format!("`{}`", shown(name))).collect();
                findings.error(place, format!("`{}` needs {}", self.name, names.join(" or ")), None);
            }
        }
        if self.name == "set_fact" && all.is_empty() {
            findings.error(place, "`set_fact` sets nothing", "give it at least one variable".to_owned());
        }
        all
    }

    fn takes(&self, name: &str) -> Option<Takes> {
        if self.name == "set_fact" {
            return Some(Anything);
        }
        self.arguments.iter().find(|(known, _)| *known == name).map(|(_, takes)| *takes)
    }

    fn argument(&self, key: &str, node: &Node, takes: Takes, findings: &mut Findings) -> Value {
        let value = node.value();
        let template = value.as_str().is_some_and(|text| text.contains("{{") || text.contains("{%"));
        let typed = if template && !matches!(takes, Texts) { Ok(value) } else { takes.read(node) };
        typed.unwrap_or_else(|expected| {
            let what = if key == Task::FREE_FORM { "the command".to_owned() } else { format!("`{key}`") };
            let message = format!("{what} of `{}` must be {expected}, found {}", self.name, node.described());
            findings.error(&node.place, message, None);
            Value::Null
        })
    }
}

/// How an argument is called by the user.
fn shown(name: &'static str) -> &'static str {
    if name == Task::FREE_FORM { "cmd" } else { name }
}

use Takes::{Anything, Boolean, Mode, Number, OneOf, Text, Texts, Whole};

impl Takes {
    /// The value in its type, or what was expected.
    fn read(self, node: &Node) -> Result<Value, String> {
        let value = node.value();
        let text = node.text().unwrap_or_default();
        match self {
            Anything => Ok(value),
            Text => match node.text() {
                Some(text) => Ok(Value::String(text.to_owned())),
                None => Err("a text".to_owned()),
            },
            Texts => match &value {
                Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
                    Ok(value)
                }
                Value::String(_) | Value::Bool(_) => Ok(value),
                _ => Err("a text or a list of texts".to_owned()),
            },
            Whole => text.trim().parse::<u64>().map(Value::from).map_err(|_| "a whole number".to_owned()),
            Number => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => {
                    Ok(text.trim().parse::<u64>().map_or_else(|_| Value::from(number), Value::from))
                }
                _ => Err("a number of zero or more".to_owned()),
            },
            Boolean => as_boolean(node).map(Value::Bool).ok_or_else(|| "true or false".to_owned()),
            Mode => {
                let mode = octal(text).or_else(|| symbolic(text));
                mode.map(Value::String).ok_or_else(|| "a mode such as \"0644\" or u+x".to_owned())
            }
            OneOf(choices) => {
                let found = choices.iter().find(|choice| **choice == text);
                found.map(|choice| Value::from(*choice)).ok_or_else(|| choices.join(" | "))
            }
        }
    }
}

/// `u+x`, `go-w`, `u=rw,g=r`, or `preserve`.
fn symbolic(text: &str) -> Option<String> {
    let clauses = text.contains(['+', '-', '=']) && text.chars().all(|c| "ugoa+-=rwxXst,".contains(c));
    (clauses || text == "preserve").then(|| text.to_owned())
}

/// `0644`, `644` or `0o644`, as written with four digits.
fn octal(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let fine = (3..=5).contains(&digits.len()) && digits.chars().all(|c| c.is_digit(8));
    (fine && (digits.starts_with('0') || digits.len() == 3)).then(|| format!("{digits:0>4}"))
}

/// Splits at blanks outside quotes and templates; quotes are removed.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut braces) = (None, 0_i32);
    for c in text.chars() {
        match c {
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        match quote {
            Some(open) if c == open => quote = None,
            None if (c == '"' || c == '\'') && braces <= 0 => quote = Some(c),
            None if c.is_whitespace() && braces <= 0 => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_quotes_and_templates_together() {
        let text = "src={{ a b }}/x dest='/opt/a b'  mode=0644";
        assert_eq!(words(text), ["src={{ a b }}/x", "dest=/opt/a b", "mode=0644"]);
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(octal("0644").as_deref(), Some("0644"));
        assert_eq!(octal("755").as_deref(), Some("0755"));
        assert_eq!(octal("0o755").as_deref(), Some("0755"));
        for bad in ["0999", "rwx", "64", "", "0x1"] {
            assert_eq!(octal(bad).or_else(|| symbolic(bad)), None, "{bad}");
        }
        assert_eq!(symbolic("u=rw,g+r").as_deref(), Some("u=rw,g+r"));
    }
}
