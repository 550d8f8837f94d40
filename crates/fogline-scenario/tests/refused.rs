//! What is refused, all at once, and that nothing the user writes ends in a panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fogline_scenario::{Severity, Source, Sources, parse};
use proptest::prelude::*;

const LAYERS: &str = include_str!("../../../scenarios/smart-surveillance/layers_services.yaml");
const NETWORK: &str = include_str!("../../../scenarios/smart-surveillance/network.yaml");
const WORKFLOW: &str = include_str!("../../../scenarios/smart-surveillance/workflow.yaml");
const KAFKA: &str = include_str!("../../../services/Kafka.yaml");

fn sources(layers: &str, network: &str, workflow: &str, service: &str) -> Sources {
    Sources {
        layers: Source::new("layers_services.yaml", layers),
        network: Some(Source::new("network.yaml", network)),
        workflow: Some(Source::new("workflow.yaml", workflow)),
        services: vec![Source::new("services/Kafka.yaml", service)],
        traces: Vec::new(),
    }
}

fn said(sources: &Sources) -> String {
    let (_, findings) = parse(sources);
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn every_problem_of_every_file_is_reported_at_once() {
    let layers = "\
environment: {local: {}}
monitoring: {type: tig}
layers:
  - name: cloud
    services:
      - {name: Kafka, quantity: 0}
      - {quantity: x}
";
    let network = "networks:\n  - {src: cloud, dst: fog, delay: 5, rate: fast, loss: x2%y}\n";
    let workflow = "- hosts: 7\n  launch:\n    - shel: ls\n    - copy: [a]\n";
    let service = "service: Kafka\nengines: {}\nport: 1\n";
    insta::assert_snapshot!(said(&sources(layers, network, workflow, service)));
}

#[test]
fn other_samplers_are_named_in_warnings_and_do_not_stop_the_run() {
    let layers = "\
environment: {local: {}}
monitoring: {type: tpg, provider: g5k}
provenance: {provider: g5k}
kwollect: {metrics: [all]}
monitoring_iotlab: {profiles: []}
layers: [{name: l, services: [{name: x}]}]
";
    let (scenario, findings) = parse(&sources(layers, "", "", KAFKA));
    assert!(scenario.is_some());
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning));
    insta::assert_snapshot!(said(&sources(layers, "", "", KAFKA)));
}

#[test]
fn bombs_are_defused() {
    let of = |text: &str| said(&sources(text, "", "", KAFKA));
    // The parser looks ahead through brackets and gives up by itself.
    assert!(of(&"[".repeat(100_000)).contains("recursion limit exceeded"));
    let maps: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(of(&maps).contains("nested deeper than 64 levels"));
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(of(&laughs).contains("values, those made by aliases included"), "{}", of(&laughs));
    let mut tower = "a0: &a0 [x]\n".to_owned();
    for level in 1..1000 {
        tower.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(of(&tower).contains("nested deeper than 64 levels"));
}

#[test]
fn two_definitions_of_one_service_are_refused() {
    let mut sources = sources(LAYERS, NETWORK, WORKFLOW, KAFKA);
    sources
        .services
        .push(Source::new("services/other.yaml", KAFKA.replace("service: Kafka", "service: kafka")));
    assert!(said(&sources).contains("service `kafka` is already defined in services/Kafka.yaml"));
}

#[test]
fn an_error_at_the_very_end_is_placed_inside_the_file() {
    let network = format!("{}\u{a1}", NETWORK.trim_end_matches('\n').to_owned() + "\n");
    let (_, findings) = parse(&sources(LAYERS, &network, WORKFLOW, KAFKA));
    let lines = u32::try_from(network.matches('\n').count() + 1).unwrap();
    assert!(findings.iter().any(|finding| finding.message.contains("not valid YAML")));
    assert!(findings.iter().all(|finding| finding.place.line <= lines), "{findings:?}");
}

/// One slip: a character deleted, inserted or replaced.
fn slipped(text: &str, at: usize, what: Option<char>, replace: bool) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let at = at % (characters.len() + 1);
    if replace && at < characters.len() {
        characters.remove(at);
    }
    if let Some(character) = what {
        characters.insert(at, character);
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slips_are_reported_inside_the_file(
        which in 0..4_usize,
        slips in prop::collection::vec((any::<usize>(), prop::option::of(prop::char::any()), any::<bool>()), 1..4),
    ) {
        let mut texts = [LAYERS, NETWORK, WORKFLOW, KAFKA].map(str::to_owned);
        for (at, what, replace) in slips {
            texts[which] = slipped(&texts[which], at, what, replace);
        }
        let [layers, network, workflow, service] = &texts;
        let (scenario, findings) = parse(&sources(layers, network, workflow, service));
        let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
        prop_assert_eq!(scenario.is_none(), errors);
        // A lone carriage return is a line's end to YAML, and the end of the text is a place too.
        let ends = texts[which].matches(['\n', '\r']).count();
        for finding in findings {
            let line = usize::try_from(finding.place.line).unwrap();
            prop_assert!(line >= 1 && line <= ends + 1, "{}", finding);
        }
    }

    #[test]
    fn any_text_is_answered(text in "[ \\-:\\[\\]{}&*!|>'\"#%@,?a-c0\n\t\\\\<]{0,60}") {
        let (scenario, findings) = parse(&sources(&text, &text, &text, &text));
        let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
        prop_assert_eq!(scenario.is_none(), errors);
    }
}

#[test]
fn blocks_that_cannot_be_are_refused_by_name() {
    let workflow = "- hosts: cloud
  launch:
    - {rescue: [{shell: a}]}
    - {block: [{shel: b}], rescu: []}
    - {block: [{shell: c}], run_once: true}
";
    let told = said(&sources(LAYERS, "", workflow, KAFKA));
    let told: Vec<&str> = told.lines().filter(|line| line.contains("workflow.yaml:")).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].contains(":3:") && told[0].contains("a block needs `block`"), "{told:?}");
    assert!(told.iter().any(|line| line.contains("unknown module or keyword `shel`")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("unknown key `rescu` in a block")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("unknown key `run_once` in a block")), "{told:?}");
    let depths = 40;
    let nested = format!("{}[{{shell: x}}]{}", "[{block: ".repeat(depths), "}]".repeat(depths));
    let told = said(&sources(LAYERS, "", &format!("- hosts: cloud\n  launch: {nested}\n"), KAFKA));
    assert!(told.contains("nested deeper than 64 levels"), "{told}");
}
