//! The schema against the parser: what is accepted here is accepted there.

use super::validator::violations;
use super::*;
use crate::findings::Findings;
use crate::{Severity, Source, Sources, TraceFile, parse, traces_named};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;

/// Folders of bad inputs whose fault no schema can see: a name, a value beside another one, another file, a key twice.
const SENSE: [&str; 10] = [
    "25-network-unknown-layer",
    "29-network-one-host",
    "79-network-queue-without-rate",
    "85-network-key-twice",
    "89-change-never-ends",
    "96-change-of-a-shared-rate",
    "98-trace-bad-csv",
    "99-trace-bad-deliveries",
    "102-network-delay-of-weeks",
    "06-yaml-two-documents",
];

fn schema() -> Value {
    serde_json::from_str(NETWORK).expect("JSON")
}

/// The document as a value; `None` when it is no YAML.
fn document(text: &str) -> Option<Value> {
    match crate::yaml::read(&"network.yaml".into(), text, &mut Findings::default()) {
        crate::yaml::Read::Root(root) => Some(root.value()),
        crate::yaml::Read::Nothing => Some(Value::Null),
        crate::yaml::Read::Refused => None,
    }
}

/// What the parser finds wrong with a network file whose traces are fine.
fn refusals(text: &str) -> Vec<String> {
    let network = Source::new("network.yaml", text);
    let trace = |name: String| {
        let text = if name.ends_with(".csv") { "time,rate\n0,1mbit\n" } else { "1\n2\n" };
        TraceFile { source: Ok(Source::new(name.clone(), text)), name }
    };
    let sources = Sources {
        layers: Source::new(
            "layers_services.yaml",
            "environment: {local: {}}\nlayers: [{name: l, services: [{name: x}]}]",
        ),
        traces: traces_named(&network).into_iter().map(trace).collect(),
        network: Some(network),
        workflow: None,
        services: Vec::new(),
    };
    let (_, findings) = parse(&sources);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(ToString::to_string).collect()
}

#[test]
fn every_way_of_writing_is_accepted_by_both() {
    let schema = schema();
    let mut whole = include_str!("accepted.yaml").split("---\n").collect::<Vec<_>>();
    whole.push(include_str!("../../../../scenarios/smart-surveillance/network.yaml"));
    let blocks = include_str!("../../../../docs/network.md").split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    let files = |text: &&str| ["networks:", "bounds:"].iter().any(|key| text.starts_with(key));
    let shown: Vec<&str> = blocks.filter(files).collect();
    assert!(shown.len() >= 3, "the guide shows files: {shown:?}");
    whole.extend(shown);
    assert!(whole.len() > 10);
    for text in whole {
        assert_eq!(refusals(text), Vec::<String>::new(), "{text}");
        let value = document(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(violations(&schema, &value), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn structural_faults_are_refused_by_both() {
    let schema = schema();
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fogline/tests/bad");
    let mut refused = 0;
    for folder in std::fs::read_dir(bad).expect("bad inputs").map(|entry| entry.expect("an entry").path()) {
        let Ok(text) = std::fs::read_to_string(folder.join("network.yaml")) else { continue };
        let Some(value) = document(&text) else { continue };
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let fits = violations(&schema, &value).is_empty();
        assert!(!refusals(&text).is_empty() || fits, "{name}: refused by the schema only");
        if !SENSE.contains(&name.as_str()) && name.contains("-network-") {
            assert!(!fits, "{name} is not refused by the schema");
            refused += 1;
        }
    }
    assert!(refused >= 20, "{refused}");
}

/// Keys of all levels, and values that are right for some of them.
const KEYS: [&str; 27] = [
    "src",
    "dst",
    "symmetric",
    "delay",
    "rate",
    "loss",
    "jitter",
    "reorder",
    "duplicate",
    "corrupt",
    "queue",
    "ecn",
    "loss_unit",
    "share",
    "congestion",
    "seed",
    "at",
    "for",
    "every",
    "cut",
    "trace",
    "hosts",
    "late",
    "drops",
    "p",
    "limit",
    "target",
];
const VALUES: [&str; 24] = [
    "fog",
    "5ms",
    "30s",
    ".5 S",
    "1gbit",
    "0mbit",
    "2%",
    "100.0%",
    "101%",
    "true",
    "false",
    "100",
    "0",
    "100 packets",
    "64kib",
    "codel",
    "host",
    "bbr",
    "skb",
    "{spread: 5ms, distribution: normal}",
    "{p: 1%, to_good: 5%}",
    "{limit: 5 , discipline: codel}",
    "lte.csv",
    "'x y'",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_parser_accepts_fits_the_schema(
        rule in prop::collection::btree_map(prop::sample::select(&KEYS[..16]), prop::sample::select(&VALUES), 0..4),
        change in prop::collection::btree_map(prop::sample::select(&KEYS), prop::sample::select(&VALUES), 0..3),
        own in prop::collection::btree_map(prop::sample::select(&KEYS), prop::sample::select(&VALUES), 0..4),
        (ends, times) in any::<(bool, bool)>(),
    ) {
        let pairs = |map: &std::collections::BTreeMap<&str, &str>, more: &[(&str, &str)]| {
            let mut map = map.clone();
            map.extend(more.iter().copied());
            map.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
        };
        let some = |on: bool, more: &'static [(&'static str, &'static str)]| if on { more } else { &[] };
        let rule = pairs(&rule, some(ends, &[("src", "fog"), ("dst", "edge")]));
        let change = pairs(&change, some(times, &[("at", "3s"), ("for", "1s")]));
        let own = pairs(&own, some(times, &[("at", "3s"), ("for", "1s")]));
        let text = format!("networks:\n  - {{{rule}, changes: [{{{change}}}]}}\n  - {{{rule}}}\nchanges: [{{{own}}}]\n");
        if refusals(&text).is_empty() {
            let value = document(&text).expect("YAML");
            prop_assert_eq!(violations(&schema(), &value), Vec::<String>::new(), "{}", text);
        }
    }
}
