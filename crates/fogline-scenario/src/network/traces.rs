//! The trace files that a network file names, and what they hold.

use crate::findings::Findings;
use crate::parse::{Tree, tree};
use crate::yaml::{Kind, Node};
use crate::{Place, Source, Spanned};
use link::Trace;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A trace file as the caller found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFile {
    /// The name in the network file.
    pub name: String,
    /// Its text, or why it cannot be had.
    pub source: Result<Source, String>,
}

/// The names of all trace files in a network file, each once, in order; nothing is reported about the rest of it.
pub fn traces_named(network: &Source) -> Vec<String> {
    let Tree::Node(root) = tree(network, &mut Findings::default()) else { return Vec::new() };
    let rules = items(&root, "networks").flat_map(|rule| items(rule, "changes"));
    let mut names: Vec<String> = Vec::new();
    for change in rules.chain(items(&root, "changes")) {
        let name = value(change, "trace").and_then(Node::text).map(str::to_owned);
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

fn value<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Kind::Map(pairs) = &node.kind else { return None };
    pairs.iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
}

fn items<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n Node> {
    let list = match value(node, key).map(|value| &value.kind) {
        Some(Kind::List(items)) => items.as_slice(),
        _ => &[],
    };
    list.iter()
}

/// Trace files, each parsed once.
pub(super) struct Traces<'f> {
    files: &'f [TraceFile],
    parsed: BTreeMap<String, Option<Trace>>,
}

impl<'f> Traces<'f> {
    pub(super) fn new(files: &'f [TraceFile]) -> Self {
        Self { files, parsed: BTreeMap::new() }
    }

    /// What the file `name` holds; reports what is wrong with it once, at its own line.
    pub(super) fn get(&mut self, name: &Spanned<String>, findings: &mut Findings) -> Option<Trace> {
        if let Some(known) = self.parsed.get(&name.value) {
            return known.clone();
        }
        let trace = self.parse(name, findings);
        self.parsed.insert(name.value.clone(), trace.clone());
        trace
    }

    fn parse(&self, name: &Spanned<String>, findings: &mut Findings) -> Option<Trace> {
        let found = self.files.iter().find(|file| file.name == name.value).map(|file| &file.source);
        let source = match found {
            Some(Ok(source)) => source,
            missing => {
                let why = match missing {
                    Some(Err(why)) => why,
                    _ => "it was not given",
                };
                let message = format!("the trace `{}` cannot be read: {why}", name.value);
                let hint = "a trace lies in the artifacts folder or in the scenario's folder".to_owned();
                findings.error(&name.place, message, hint);
                return None;
            }
        };
        match Trace::parse(&source.text, &source.name) {
            Ok(trace) => Some(trace),
            Err(error) => {
                let line = u32::try_from(error.line).unwrap_or(u32::MAX).max(1);
                let place = Place { file: Arc::from(source.name.as_str()), line, column: 1 };
                findings.error(&place, format!("not a trace: {}", error.reason), None);
                None
            }
        }
    }
}
