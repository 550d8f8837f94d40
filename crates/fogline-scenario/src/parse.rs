//! All texts to one scenario.

use crate::findings::Findings;
use crate::network::NetworkFile;
use crate::{Definition, Diagnostic, Place, Scenario, Source, Sources, TraceFile, WorkflowEntry};
use crate::{definitions, layers, network, workflow, yaml};
use std::sync::Arc;

/// Reads all texts and reports every problem of every file at once, sorted by file and place.
///
/// The scenario is present exactly when there is no error; warnings alone do not withhold it.
pub fn parse(sources: &Sources) -> (Option<Scenario>, Vec<Diagnostic>) {
    let mut findings = Findings::default();
    let layers = tree(&sources.layers, &mut findings);
    let layers = match layers {
        Tree::Node(root) => layers::read(&root, &mut findings),
        Tree::Empty(place) => {
            let hint = "it needs `environment` and `layers`".to_owned();
            findings.error(&place, "the layers file is empty", hint);
            None
        }
        Tree::Refused => None,
    };
    let network = sources.network.as_ref().map(|source| network(source, &sources.traces, &mut findings));
    let network = network.unwrap_or_default();
    let entries = sources.workflow.as_ref().map_or_else(Vec::new, |source| entries(source, &mut findings));
    let definitions = definitions(&sources.services, &mut findings);
    let complete = layers.filter(|_| !findings.any_error());
    let scenario = complete.map(|layers| Scenario {
        environment: layers.environment,
        monitoring: layers.monitoring,
        layers: layers.layers,
        rules: network.rules,
        changes: network.changes,
        bounds: network.bounds,
        entries,
        definitions,
    });
    (scenario, findings.sorted())
}

pub(crate) enum Tree {
    Node(yaml::Node),
    Empty(Place),
    Refused,
}

pub(crate) fn tree(source: &Source, findings: &mut Findings) -> Tree {
    let file: Arc<str> = Arc::from(source.name.as_str());
    match yaml::read(&file, &source.text, findings) {
        yaml::Read::Root(root) => Tree::Node(root),
        yaml::Read::Nothing => Tree::Empty(Place { file, line: 1, column: 1 }),
        yaml::Read::Refused => Tree::Refused,
    }
}

fn network(source: &Source, traces: &[TraceFile], findings: &mut Findings) -> NetworkFile {
    match tree(source, findings) {
        Tree::Node(root) => network::read(&root, traces, findings),
        Tree::Empty(_) | Tree::Refused => NetworkFile::default(),
    }
}

fn entries(source: &Source, findings: &mut Findings) -> Vec<WorkflowEntry> {
    match tree(source, findings) {
        Tree::Node(root) => workflow::read(&root, findings),
        Tree::Empty(_) | Tree::Refused => Vec::new(),
    }
}

fn definitions(sources: &[Source], findings: &mut Findings) -> Vec<Definition> {
    let mut all: Vec<Definition> = Vec::new();
    for source in sources {
        let root = match tree(source, findings) {
            Tree::Node(root) => root,
            Tree::Empty(place) => {
                findings.error(&place, "the service definition is empty", "remove the file".to_owned());
                continue;
            }
            Tree::Refused => continue,
        };
        let Some(definition) = definitions::read(&root, findings) else { continue };
        let name = &definition.service;
        if let Some(first) = all.iter().find(|other| other.service.value.eq_ignore_ascii_case(&name.value)) {
            let message =
                format!("service `{}` is already defined in {}", name.value, first.service.place.file);
            findings.error(&name.place, message, "keep one of the two files".to_owned());
        }
        all.push(definition);
    }
    all
}
