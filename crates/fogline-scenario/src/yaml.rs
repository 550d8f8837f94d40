//! YAML text to a tree in which every key and value knows its place.
//!
//! The parser's events are used directly, because a loaded tree loses the places of duplicate keys. Plain scalars
//! are read as PyYAML (YAML 1.1) reads them, since that is what the format's other readers do: `yes` is true and
//! `0644` is octal; only sexagesimal numbers stay texts.

use crate::{Place, Spanned, findings::Findings};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Deepest nesting that is read; the formats need about eight levels.
const DEPTH_MAX: usize = 64;
/// Most nodes of one file, copies made by aliases included.
const NODES_MAX: usize = 200_000;

/// A YAML value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

/// What a YAML value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A scalar as written; `plain` ones may be numbers, booleans or null.
    Scalar { text: String, plain: bool },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in file order, keys unique.
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    /// The value as JSON, places dropped.
    pub(crate) fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, plain: true } => resolve(text),
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(pairs) => {
                let pairs = pairs.iter().map(|(key, node)| (key.value.clone(), node.value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// Whether it is null: nothing written, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if resolve(text).is_null())
    }

    /// The scalar as written, if it is one and not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages: ``the number `5` ``.
    pub(crate) fn described(&self) -> String {
        match (&self.kind, self.value()) {
            (Kind::List(_), _) => "a list".to_owned(),
            (Kind::Map(_), _) => "a map".to_owned(),
            (_, Value::Null) => "nothing".to_owned(),
            (Kind::Scalar { text, .. }, Value::Number(_)) => format!("the number `{text}`"),
            (Kind::Scalar { text, .. }, Value::Bool(_)) => format!("the boolean `{text}`"),
            (Kind::Scalar { text, .. }, _) => format!("the text `{}`", shortened(text)),
        }
    }

    /// The value as JSON with its place.
    pub(crate) fn spanned(&self) -> Spanned<Value> {
        Spanned { value: self.value(), place: self.place.clone() }
    }

    /// How many nodes it has and how deep they nest, itself included.
    fn extent(&self) -> (usize, usize) {
        let add = |(nodes, depth): (usize, usize), child: &Self| {
            let (more, deeper) = child.extent();
            (nodes + more, depth.max(deeper + 1))
        };
        match &self.kind {
            Kind::Scalar { .. } => (1, 1),
            Kind::List(items) => items.iter().fold((1, 1), add),
            Kind::Map(pairs) => pairs.iter().map(|(_, node)| node).fold((1, 1), add),
        }
    }
}

/// The first 60 characters of the first line, so that no message fills a screen.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(60).collect();
    if cut.len() < text.trim_end().len() { format!("{cut}...") } else { cut }
}

/// What a plain scalar means.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if let Some(integer) = integer(text) {
        return Value::Number(integer.into());
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
        && text.contains('.');
    let float = text.parse::<f64>().ok().filter(|_| numeric).and_then(Number::from_f64);
    float.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// Reads a decimal, hexadecimal (`0x`) or octal (`0o`, leading zero) whole number.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    i64::from_str_radix(digits, radix).ok().filter(|_| plain).and_then(|value| value.checked_mul(sign))
}

/// A collection that is still open.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<Spanned<String>>,
    /// Set while the value of an unusable key is skipped.
    skip: bool,
}

struct Builder<'f> {
    file: Arc<str>,
    findings: &'f mut Findings,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
    documents: usize,
    stopped: bool,
}

/// What a text holds.
pub(crate) enum Read {
    /// A value.
    Root(Node),
    /// Nothing, comments or null.
    Nothing,
    /// It is not YAML, or too much of it; reported.
    Refused,
}

/// Reads one document.
pub(crate) fn read(file: &Arc<str>, text: &str, findings: &mut Findings) -> Read {
    let mut builder = Builder {
        file: Arc::clone(file),
        findings,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        root: None,
        documents: 0,
        stopped: false,
    };
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => builder.take(event, span.start),
            Err(error) => {
                let place = within(text, builder.place(error.marker()));
                let message = format!("not valid YAML: {}", error.info());
                builder.findings.error(&place, message, syntax_hint(text, place.line));
                return Read::Refused;
            }
        }
        if builder.stopped {
            return Read::Refused;
        }
    }
    builder.root.filter(|root| !root.is_null()).map_or(Read::Nothing, Read::Root)
}

/// The parser may place an error at the end of a text beyond it; then the end itself is meant.
fn within(text: &str, place: Place) -> Place {
    // A lone carriage return ends a line too.
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let count = lines.split('\n').count();
    let last = lines.rsplit('\n').next().unwrap_or_default();
    let end = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    if place.line <= end(count) {
        return place;
    }
    Place { line: end(count), column: end(last.chars().count() + 1), ..place }
}

/// What is usually wrong on a line that the parser refuses.
fn syntax_hint(text: &str, line: u32) -> Option<String> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let near: Vec<&str> = text.lines().skip(index.saturating_sub(1)).take(2).collect();
    if near.iter().any(|line| line.trim_start_matches([' ', '-']).starts_with('\t') || line.starts_with('\t'))
    {
        return Some("indent with spaces, not tabs".to_owned());
    }
    let unquoted = |line: &&str| line.contains(": {{") || line.trim_start().starts_with("- {{");
    if near.iter().any(unquoted) {
        return Some("quote a value that begins with `{{`: key: \"{{ ... }}\"".to_owned());
    }
    None
}

impl Builder<'_> {
    fn place(&self, marker: &Marker) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place {
            file: Arc::clone(&self.file),
            line: number(marker.line()).max(1),
            column: number(marker.col()).saturating_add(1),
        }
    }

    fn stop(&mut self, place: &Place, message: String) {
        self.findings.error(place, message, None);
        self.stopped = true;
    }

    fn take(&mut self, event: Event<'_>, start: Marker) {
        let place = self.place(&start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.stop(&place, "a second YAML document: each file holds one".to_owned());
                }
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag, place),
            Event::SequenceStart(anchor, tag) => self.begin(Kind::List(Vec::new()), anchor, tag, place),
            Event::MappingStart(anchor, tag) => self.begin(Kind::Map(Vec::new()), anchor, tag, place),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(mut open) = self.open.pop() {
                    merge(&mut open.node);
                    self.insert(open.node, open.anchor);
                }
            }
            Event::Alias(anchor) => {
                let Some(mut node) = self.anchors.get(&anchor).cloned() else {
                    return self.stop(&place, "an alias inside the value that it names".to_owned());
                };
                let (nodes, depth) = node.extent();
                self.nodes += nodes;
                if self.open.len() + depth > DEPTH_MAX {
                    return self.stop(&place, format!("nested deeper than {DEPTH_MAX} levels"));
                }
                node.place = place;
                self.insert(node, 0);
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        place: Place,
    ) {
        let forced = tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        self.check_tag(tag, &place);
        let plain = style == ScalarStyle::Plain && !forced;
        self.insert(Node { place, kind: Kind::Scalar { text: text.into_owned(), plain } }, anchor);
    }

    fn begin(&mut self, kind: Kind, anchor: usize, tag: Option<Cow<'_, Tag>>, place: Place) {
        self.check_tag(tag, &place);
        if self.open.len() >= DEPTH_MAX {
            return self.stop(&place, format!("nested deeper than {DEPTH_MAX} levels"));
        }
        self.open.push(Open { node: Node { place, kind }, anchor, key: None, skip: false });
    }

    fn check_tag(&mut self, tag: Option<Cow<'_, Tag>>, place: &Place) {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            let hint = "remove the tag and write the value plainly".to_owned();
            self.findings.error(place, format!("the YAML tag `{tag}` is not supported"), hint);
        }
    }

    fn insert(&mut self, mut node: Node, anchor: usize) {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let place = node.place.clone();
            return self
                .stop(&place, format!("more than {NODES_MAX} values, those made by aliases included"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        let pairs = match &mut parent.node.kind {
            Kind::List(items) => return items.push(node),
            Kind::Map(pairs) => pairs,
            Kind::Scalar { .. } => return,
        };
        if parent.skip {
            parent.skip = false;
            return;
        }
        let Some(key) = parent.key.take() else {
            if pairs.is_empty() {
                // A block mapping has no bracket of its own: it stands where its first key stands.
                parent.node.place = parent.node.place.clone().min(node.place.clone());
            }
            return self.insert_key(node);
        };
        if node.is_null() {
            // Nothing was written, so there is no place but the key's.
            node.place = key.place.clone();
        }
        pairs.push((key, node));
    }

    fn insert_key(&mut self, node: Node) {
        let Some(parent) = self.open.last_mut() else { return };
        let Kind::Map(pairs) = &parent.node.kind else { return };
        let Kind::Scalar { text, .. } = node.kind else {
            self.findings.error(&node.place, "a key must be a text, not a list or a map", key_hint());
            parent.skip = true;
            return;
        };
        if let Some((first, _)) = pairs.iter().find(|(key, _)| key.value == text) {
            let message = format!("duplicate key `{text}`, first given on line {}", first.place.line);
            self.findings.error(&node.place, message, "keep one of the two".to_owned());
            parent.skip = true;
            return;
        }
        parent.key = Some(Spanned { value: text, place: node.place });
    }
}

fn key_hint() -> String {
    "quote a template that stands alone: \"{{ ... }}\"".to_owned()
}

/// `<<: *anchor`: adds the pairs of the merged map (or list of maps) that the map does not give itself.
fn merge(node: &mut Node) {
    let Kind::Map(pairs) = &mut node.kind else { return };
    let Some(index) = pairs.iter().position(|(key, _)| key.value == "<<") else { return };
    let (_, merged) = pairs.remove(index);
    let sources = match merged.kind {
        Kind::List(items) => items,
        _ => vec![merged],
    };
    for source in sources {
        let Kind::Map(source) = source.kind else { continue };
        for (key, value) in source {
            if !pairs.iter().any(|(known, _)| known.value == key.value) {
                pairs.push((key, value));
            }
        }
    }
}
