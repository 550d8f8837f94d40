//! The network file expanded: rules, sharing, changes over time, bounds, and what `check` warns of.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fogline_plan::{Options, Plan, plan};
use fogline_scenario::{Diagnostic, Source, Sources, TraceFile, parse, traces_named};
use link::Congestion;
use proptest::prelude::*;
use units::Delay;

/// Two clouds, two fogs, three edges.
const LAYERS: &str = "
environment: {local: {}}
layers:
  - {name: cloud, services: [{name: Store, quantity: 2}]}
  - {name: fog, services: [{name: Gateway, repeat: 1}]}
  - {name: edge, services: [{name: Camera, repeat: 2}]}
";
const CSV: &str = "time,rate,delay,loss\n0,12mbit,40ms,1%\n5,3mbit,80ms,\n";
const DELIVERIES: &str = "0\n2\n4\n6\n";

fn sources(network: &str, workflow: &str) -> Sources {
    let network = Source::new("network.yaml", network);
    let trace = |name: String| {
        let text = if name.ends_with(".csv") { CSV } else { DELIVERIES };
        TraceFile { source: Ok(Source::new(name.clone(), text)), name }
    };
    Sources {
        layers: Source::new("layers_services.yaml", LAYERS),
        traces: traces_named(&network).into_iter().map(trace).collect(),
        network: Some(network),
        workflow: Some(Source::new("workflow.yaml", workflow)),
        services: Vec::new(),
    }
}

fn planned(network: &str, workflow: &str) -> (Option<Plan>, Vec<Diagnostic>) {
    let (scenario, mut findings) = parse(&sources(network, workflow));
    let Some(scenario) = scenario else { panic!("{findings:?}") };
    let (plan, more) = plan(&scenario, &Options::default());
    findings.extend(more);
    (plan, findings)
}

fn fine(network: &str) -> Plan {
    let (plan, findings) = planned(network, "");
    assert_eq!(findings, []);
    plan.unwrap()
}

/// What is said about a network and a workflow that can run.
fn said(network: &str, workflow: &str) -> String {
    let (plan, findings) = planned(network, workflow);
    assert!(plan.is_some(), "{findings:?}");
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn links(plan: &Plan) -> String {
    let line = |link: &fogline_plan::Link| {
        let name = |host| plan.host(host).name.as_str();
        let sharing = link.bottleneck.map_or_else(String::new, |number| format!(" at bottleneck {number}"));
        let control = link.congestion.map_or_else(String::new, |control| format!(" {control}"));
        let seed = link.seed.map_or_else(String::new, |seed| format!(" seed {seed}"));
        format!(
            "{} -> {}: {}{sharing}{control}{seed}\n",
            name(link.source),
            name(link.destination),
            link.profile
        )
    };
    plan.links.iter().map(line).collect()
}

fn changes(plan: &Plan) -> String {
    let line = |planned: &fogline_plan::PlannedChange| {
        let change = &planned.change;
        format!("{} | {} | {} | {:?}\n", planned.label, change.schedule, change.action, change.links)
    };
    plan.changes.iter().map(line).collect()
}

#[test]
fn every_key_of_a_rule_reaches_its_links() {
    let plan = fine(
        "
networks:
  - src: cloud
    dst: fog
    delay: 10ms
    jitter: {spread: 2ms, distribution: normal, correlation: 25%, reorder: true}
    rate: 100mbit
    loss: {p: 1%, r: 25%, 1-h: 80%}
    loss_unit: skb
    reorder: 1%
    duplicate: 2%
    corrupt: 0.1%
    queue: {limit: 200 packets, discipline: codel, target: 10ms}
    ecn: true
    congestion: bbr
    seed: 7
",
    );
    insta::assert_snapshot!(links(&plan));
    assert_eq!(plan.rules[0].links, [0, 1, 2, 3]);
    assert_eq!((plan.rules[0].congestion, plan.rules[0].seed), (Some(Congestion::Bbr), Some(7)));
}

#[test]
fn hosts_and_groups_share_bottlenecks() {
    let network = |share: &str| {
        format!(
            "networks:\n  - {{src: fog, dst: edge, rate: 10mbit, share: {share}, symmetric: true}}\n  - {{src: cloud, dst: fog, rate: 1gbit, share: {share}}}\n"
        )
    };
    let bottlenecks = |share| -> Vec<Option<usize>> {
        fine(&network(share)).links.iter().map(|link| link.bottleneck).collect()
    };
    assert_eq!(bottlenecks("pair"), [None; 16]);
    insta::assert_snapshot!("shared_by_host", links(&fine(&network("host"))));
    let group = bottlenecks("group");
    assert_eq!(group[..12], [Some(0); 12], "both directions of the cell");
    assert_eq!(group[12..], [Some(1); 4]);
}

const CHANGES: &str = "
networks:
  - src: fog
    dst: edge
    delay: 50ms
    rate: 150mbit
    symmetric: true
    changes:
      - {at: 30s, for: 20s, every: 60s, loss: 20%, delay: 100ms}
      - {at: 10s, trace: lte.csv}
changes:
  - {at: 5s, for: 5s, hosts: fog.gateway.1, cut: true}
  - {at: 40s, src: fog, dst: edge.camera.1, rate: 1mbit, queue: 20ms}
  - {at: 50s, src: cloud, dst: edge, symmetric: true, loss: 100%}
  - {at: 60s, src: edge, dst: fog, trace: cell.trace}
";

#[test]
fn changes_name_links_and_make_those_that_are_missing() {
    let plan = fine(CHANGES);
    insta::assert_snapshot!(changes(&plan));
    // 12 of the rule; the first gateway to and from cloud and the other gateway; cloud to and from edge.
    assert_eq!(plan.links.len(), 12 + 6 + 12);
    assert_eq!(plan.rules.iter().map(|rule| rule.links.len()).sum::<usize>(), 12);
    let plain = plan.links[12..].iter().all(|link| link.profile == fogline_plan::Profile::default());
    assert!(plain, "{}", links(&plan));
    let cut = &plan.changes[2].change.links;
    let gateway = plan.select("fog.gateway.1").unwrap()[0];
    assert_eq!(cut.len(), 2 * (plan.hosts.len() - 1));
    assert!(
        cut.iter().all(|link| [plan.links[*link].source, plan.links[*link].destination].contains(&gateway))
    );
    assert_eq!(format!("{plan:?}"), format!("{:?}", fine(CHANGES)), "the same files, the same plan");
}

#[test]
fn bounds_are_those_of_the_file() {
    let plan = fine("bounds: {late: 2ms, drops: 0.1%}\n");
    assert_eq!((plan.bounds.late, plan.bounds.drops), ("2ms".parse().ok(), "0.1%".parse().unwrap()));
    assert_eq!(fine("networks:\n").bounds, link::Bounds::default());
}

#[test]
fn changes_that_the_run_is_too_short_for_are_named() {
    let plan = fine(CHANGES);
    let late = |seconds: u64| plan.changes_after(Delay::from_millis(seconds * 1000));
    assert_eq!(late(61), []);
    let said: Vec<String> = late(45).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_change_for_some_of_those_who_share_a_rate_is_refused() {
    let network = |change: &str| {
        format!(
            "networks:\n  - {{src: fog, dst: edge, delay: 5ms, rate: 10mbit, share: host, symmetric: true}}\nchanges:\n  - {{at: 1s, {change}}}\n"
        )
    };
    for whole in
        ["src: fog.gateway.1, dst: edge, rate: 1mbit", "src: fog.gateway.1, dst: edge.camera.1, loss: 5%"]
    {
        fine(&network(whole));
    }
    for part in [
        "src: fog, dst: edge.camera.1, rate: 1mbit",
        "src: edge.camera.2, dst: fog.gateway.1, trace: a.trace",
    ] {
        let (plan, findings) = planned(&network(part), "");
        assert!(plan.is_none());
        assert!(findings[0].message.contains("links that share one"), "{findings:?}");
    }
}

const CAMERAS: &str = "
- hosts: edge
  depends_on: [{service_selector: fog.*, prefix: gateway, sends: 2mbit}]
  launch: [{shell: hostname}]
";

#[test]
fn rules_for_replies_only_and_for_nobody_are_named() {
    insta::assert_snapshot!(said(
        "networks: [{src: fog, dst: edge, delay: 5ms}, {src: cloud, dst: fog, delay: 5ms}]",
        CAMERAS
    ));
    // Either direction of the flows' rule, or no flow at all, leaves nothing to say.
    for (network, workflow) in [
        ("networks: [{src: fog, dst: edge, delay: 5ms, symmetric: true}]", CAMERAS),
        ("networks: [{src: edge, dst: fog, delay: 5ms}]", CAMERAS),
        ("networks: [{src: fog, dst: edge, delay: 5ms}, {src: edge, dst: fog, delay: 5ms}]", CAMERAS),
        ("networks: [{src: fog, dst: edge, delay: 5ms}]", "- {hosts: edge, launch: [{shell: hostname}]}"),
    ] {
        assert_eq!(said(network, workflow), "", "{network}");
    }
}

#[test]
fn a_rule_of_which_nothing_is_left_is_named() {
    insta::assert_snapshot!(said(
        "
networks:
  - {src: fog.gateway.1, dst: edge, delay: 1ms, changes: [{at: 1s, loss: 1%}]}
  - {src: fog, dst: edge, delay: 5ms}
",
        ""
    ));
}

#[test]
fn a_queue_below_delay_x_rate_is_named_with_one_that_would_do() {
    insta::assert_snapshot!(said(
        "networks: [{src: fog, dst: edge, delay: 50ms, rate: 1gbit, symmetric: true}, {src: cloud, dst: fog, delay: 20ms, rate: 100mbit, queue: 50}]",
        ""
    ));
    for rest in ["delay: 50ms, queue: 100ms", "delay: 50ms, queue: 12500kb", "delay: 5ms", "queue: 1"] {
        assert_eq!(
            said(&format!("networks: [{{src: fog, dst: edge, rate: 1gbit, {rest}}}]"), ""),
            "",
            "{rest}"
        );
    }
}

#[test]
fn a_flow_that_does_not_fit_is_named_with_both_estimates() {
    let network = |more: &str| {
        format!(
            "networks: [{{src: fog, dst: edge, delay: 50ms, loss: 5%, rate: 50mbit, symmetric: true{more}}}]"
        )
    };
    insta::assert_snapshot!(said(&network(""), CAMERAS));
    assert_eq!(said(&network(", congestion: bbr"), CAMERAS), "");
    let (scenario, _) = parse(&sources(&network(""), CAMERAS));
    let options = Options { congestion: Some(Congestion::Bbr), ..Options::default() };
    assert_eq!(plan(&scenario.unwrap(), &options).1, [], "the run's congestion control counts");
    assert_eq!(said(&network(""), &CAMERAS.replace("2mbit", "100kbit")), "");
}

#[test]
fn values_without_effect_are_named() {
    insta::assert_snapshot!(said(
        "
networks:
  - {src: fog, dst: edge, delay: 2ms, jitter: 5ms}
  - {src: edge, dst: fog, reorder: 5%}
  - {src: cloud, dst: fog, delay: 5ms, loss: {to_bad: 1%, to_good: 0%}, changes: [{at: 1s, delay: 5ms}]}
changes:
  - {at: 3s, src: fog, dst: edge, jitter: 1ms, delay: 500us}
",
        ""
    ));
}

#[test]
fn hosts_are_selected_by_hand_by_name_too() {
    let plan = fine("");
    let names = |selector: &str| -> Vec<&str> {
        plan.select(selector).unwrap().into_iter().map(|host| plan.host(host).name.as_str()).collect()
    };
    assert_eq!(names("fog"), ["fog-gateway-1-1", "fog-gateway-2-1"]);
    assert_eq!(names("fog-gateway-2-1"), ["fog-gateway-2-1"]);
    assert_eq!(names("Edge-Camera-1-1, fog.gateway.1"), ["fog-gateway-1-1", "edge-camera-1-1"]);
    assert_eq!(names("edge-*, !edge-camera-1-1"), ["edge-camera-2-1", "edge-camera-3-1"]);
    for (selector, hint) in [
        ("edge.camra.*", "`edge.camra.*` selects no host; did you mean `edge.camera.*`?"),
        ("fog, edg", "`edg` selects no host; did you mean `edge`?"),
        ("", "the selector is empty"),
    ] {
        assert_eq!(plan.select(selector).unwrap_err(), hint);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a slip of the keyboard makes of the richest file: an answer, and a plan exactly without errors.
    #[test]
    fn slips_are_answered(at in any::<prop::sample::Index>(), what in prop::option::of(prop::char::any()), keep in any::<bool>()) {
        let mut characters: Vec<char> = CHANGES.chars().collect();
        let at = at.index(characters.len());
        if !keep {
            characters.remove(at);
        }
        if let Some(character) = what {
            characters.insert(at, character);
        }
        let text: String = characters.into_iter().collect();
        let (scenario, findings) = parse(&sources(&text, CAMERAS));
        let errors = |all: &[Diagnostic]| all.iter().any(|one| one.severity == fogline_scenario::Severity::Error);
        prop_assert_eq!(scenario.is_none(), errors(&findings));
        if let Some(scenario) = scenario {
            let (plan, findings) = plan(&scenario, &Options::default());
            prop_assert_eq!(plan.is_none(), errors(&findings));
            if let Some(plan) = plan {
                let links = plan.changes.iter().flat_map(|planned| &planned.change.links);
                prop_assert!(links.into_iter().all(|link| *link < plan.links.len()));
            }
        }
    }
}
