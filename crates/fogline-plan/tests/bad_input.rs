//! What parsing and planning say about each folder of bad inputs that the command line's tests hold. Files that a
//! folder lacks are the shipped scenario's.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fogline_plan::{Options, plan};
use fogline_scenario::{Diagnostic, Severity, Source, Sources, TraceFile, parse, traces_named};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Folders of these numbers are wrong only once their templates are rendered.
const RENDERED: RangeInclusive<u32> = 60..=71;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// The folder's own file or, without one, the shipped one.
fn source(folder: &Path, name: &str, shipped: &str) -> Source {
    let own = folder.join(name);
    let path = if own.exists() { own } else { repository().join(shipped).join(name) };
    Source::new(name, std::fs::read_to_string(path).unwrap())
}

fn trace(folder: &Path, name: String) -> TraceFile {
    let text = std::fs::read_to_string(folder.join(&name)).map_err(|_| "there is no such file".to_owned());
    TraceFile { source: text.map(|text| Source::new(name.clone(), text)), name }
}

fn findings(folder: &Path) -> Vec<Diagnostic> {
    let scenario = "scenarios/smart-surveillance";
    let services = ["Default", "Flink", "Kafka", "Mosquitto"];
    let network = source(folder, "network.yaml", scenario);
    let sources = Sources {
        layers: source(folder, "layers_services.yaml", scenario),
        workflow: Some(source(folder, "workflow.yaml", scenario)),
        services: services.map(|name| source(folder, &format!("services/{name}.yaml"), ".")).into(),
        traces: traces_named(&network).into_iter().map(|name| trace(folder, name)).collect(),
        network: Some(network),
    };
    let (scenario, mut findings) = parse(&sources);
    let broken = findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(scenario.is_none(), broken, "a scenario exactly when there is no error");
    if let Some(scenario) = scenario {
        let (plan, more) = plan(&scenario, &Options::default());
        let broken = more.iter().any(|finding| finding.severity == Severity::Error);
        assert_eq!(plan.is_none(), broken, "a plan exactly when there is no error");
        findings.extend(more);
    }
    findings
}

fn folders() -> Vec<(u32, PathBuf)> {
    let bad = repository().join("crates/fogline/tests/bad");
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(bad).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let number = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split('-').next().unwrap().parse().unwrap()
    };
    folders.into_iter().map(|path| (number(&path), path)).collect()
}

#[test]
fn every_bad_input_is_explained() {
    let mut said = String::new();
    let mut count = 0;
    for (number, folder) in folders() {
        let findings = findings(&folder);
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        let name = folder.file_name().unwrap().to_str().unwrap();
        if RENDERED.contains(&number) {
            // The shipped network has rules that such short workflows do not use.
            let own = findings.iter().filter(|finding| folder.join(&*finding.place.file).exists());
            assert_eq!(own.count() + errors, 0, "{name} is fine until it is rendered: {findings:?}");
            continue;
        }
        count += 1;
        assert!(errors > 0, "{name} must be refused: {findings:?}");
        for finding in &findings {
            assert!(
                folder.join(&*finding.place.file).exists(),
                "{name}: the culprit is one of its own files: {finding}"
            );
        }
        said.push_str(&format!("## {name}\n"));
        findings.iter().for_each(|finding| said.push_str(&format!("{finding}\n")));
    }
    assert!(count >= 40, "{count} folders");
    insta::assert_snapshot!(said);
}
