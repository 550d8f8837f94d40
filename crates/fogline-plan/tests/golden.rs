//! E2Clab's own cases, and what it means by selectors and groupings.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fogline_plan::{Entry, EntryHost, Options, Plan, plan};
use fogline_scenario::{Diagnostic, Source, Sources, parse};
use serde_json::{Value, json};

const LAYERS: &str = "
environment: {local: {}}
layers:
  - name: Cloud
    services:
      - {name: Flink, quantity: 3}
      - {name: Kafka, roles: [brokers]}
  - name: edge
    services:
      - {name: Camera, repeat: 1}
      - {name: Sensor}
";

const FLINK: &str = "
service: Flink
default_engine: embedded
engines:
  embedded:
    roles:
      job_manager: {hosts: first, port: 8081}
      task_manager: {hosts: rest}
";

const KAFKA: &str = "
service: Kafka
default_engine: embedded
env:
  KAFKA_DATA: {default: /opt/kafka, meaning: data folder}
engines:
  embedded:
    roles:
      leader: {hosts: first, port: 9092}
      zookeeper:
";

fn planned(layers: &str, network: &str, workflow: &str) -> (Option<Plan>, Vec<Diagnostic>) {
    let sources = Sources {
        layers: Source::new("layers_services.yaml", layers),
        network: Some(Source::new("network.yaml", network)),
        workflow: Some(Source::new("workflow.yaml", workflow)),
        services: vec![Source::new("Flink.yaml", FLINK), Source::new("Kafka.yaml", KAFKA)],
        traces: Vec::new(),
    };
    let (scenario, findings) = parse(&sources);
    let Some(scenario) = scenario else { panic!("{findings:?}") };
    plan(&scenario, &Options::default())
}

/// The plan of a workflow over [`LAYERS`], which must be free of findings.
fn fine(workflow: &str) -> Plan {
    let (plan, findings) = planned(LAYERS, "", workflow);
    assert_eq!(findings, []);
    plan.unwrap()
}

fn keys<'a>(plan: &'a Plan, entry: &Entry) -> Vec<&'a str> {
    entry.hosts.iter().map(|host| plan.services[host.service].key.as_str()).collect()
}

fn selected(selector: &str) -> Vec<String> {
    let plan = fine(&format!("- hosts: \"{selector}\"\n  launch: [{{shell: hostname}}]\n"));
    keys(&plan, &plan.entries[0]).into_iter().map(str::to_owned).collect()
}

fn at<'a>(host: &'a EntryHost, pointer: &str) -> &'a Value {
    let (name, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
    let found = if rest.is_empty() { host.variables.get(name) } else { host.variables[name].get(rest) };
    found.unwrap_or_else(|| panic!("{pointer} of {:?}", host.variables))
}

#[test]
fn repeat_3_makes_4_services_and_copies_go_to_the_end_of_the_layer() {
    let layers =
        |services: &str| format!("environment: {{local: {{}}}}\nlayers: [{{name: l, services: {services}}}]");
    let of = |services: &str| {
        let (plan, findings) = planned(&layers(services), "", "");
        assert_eq!(findings, []);
        plan.unwrap().services.into_iter().map(|service| service.key).collect::<Vec<_>>()
    };
    assert_eq!(of("[{name: x, repeat: 3}]"), ["l.x.1.1", "l.x.2.1", "l.x.3.1", "l.x.4.1"]);
    assert_eq!(of("[{name: a, repeat: 1}, {name: b}]"), ["l.a.1.1", "l.b.2.1", "l.a.3.1"]);
    assert_eq!(of("[{name: a, quantity: 2}]"), ["l.a.1.1", "l.a.1.2"]);
}

#[test]
fn ids_are_texts_that_count_from_1() {
    let plan = fine("");
    let kafka = plan.services.iter().find(|service| service.key == "cloud.kafka.2.leader.1").unwrap();
    let variables = Value::Object(kafka.variables.clone());
    assert_eq!(
        variables,
        json!({
            "_id": "1_2_1", "layer_id": "1", "service_id": "2", "machine_id": "1",
            "hostname": "cloud-kafka-2-1",
            "__address__": "10.99.0.4", "url": "10.99.0.4:9092",
            "__address4__": "10.99.0.4", "url4": "10.99.0.4:9092",
            "env": {"KAFKA_DATA": "/opt/kafka"}, "engine": "embedded",
            "member": "1", "members": ["10.99.0.4"], "urls": "10.99.0.4:9092",
        })
    );
    assert_eq!(plan.host(kafka.host).roles, ["Kafka", "1_2", "Cloud", "brokers"], "`_id` of cloud[1] is 1_2");
}

#[test]
fn roles_are_placed_and_machines_count_within_a_role() {
    let plan = fine("");
    let placed: Vec<String> =
        plan.services.iter().take(5).map(|s| format!("{} {}", s.key, plan.host(s.host).name)).collect();
    let expected = [
        "cloud.flink.1.job_manager.1 cloud-flink-1-1",
        "cloud.flink.1.task_manager.1 cloud-flink-1-2",
        "cloud.flink.1.task_manager.2 cloud-flink-1-3",
        "cloud.kafka.2.leader.1 cloud-kafka-2-1",
        "cloud.kafka.2.zookeeper.1 cloud-kafka-2-1",
    ];
    assert_eq!(placed, expected);
}

#[test]
fn selectors_mean_what_they_mean_in_e2clab() {
    let flink =
        ["cloud.flink.1.job_manager.1", "cloud.flink.1.task_manager.1", "cloud.flink.1.task_manager.2"];
    for (selector, expected) in [
        // Keys, with and without the machine number, in any case.
        ("cloud.kafka.2.leader.1", vec!["cloud.kafka.2.leader.1"]),
        ("cloud.kafka.*.leader.*", vec!["cloud.kafka.2.leader.1"]),
        ("cloud.kafka.*.leader", vec!["cloud.kafka.2.leader.1"]),
        ("Cloud.KAFKA.*", vec!["cloud.kafka.2.leader.1"]),
        ("cloud.kafka.*.zookeeper.1", vec!["cloud.kafka.2.zookeeper.1"]),
        ("edge.camera.3", vec!["edge.camera.3.1"]),
        // One service per host, the first one registered.
        ("cloud.*", vec![flink[0], flink[1], flink[2], "cloud.kafka.2.leader.1"]),
        // Roles select all of their hosts: layers, services, ids and the scenario's own.
        ("cloud", vec![flink[0], flink[1], flink[2], "cloud.kafka.2.leader.1"]),
        ("camera", vec!["edge.camera.1.1", "edge.camera.3.1"]),
        ("1_2", vec!["cloud.kafka.2.leader.1"]),
        ("brokers", vec!["cloud.kafka.2.leader.1"]),
        // Union, intersection, exclusion.
        ("edge.sensor.*, cloud.kafka.*", vec!["cloud.kafka.2.leader.1", "edge.sensor.2.1"]),
        ("edge.sensor.*:edge.camera.1.1", vec!["edge.camera.1.1", "edge.sensor.2.1"]),
        ("edge:!edge.camera.*", vec!["edge.sensor.2.1"]),
        ("!cloud,!sensor", vec!["edge.camera.1.1", "edge.camera.3.1"]),
        ("cloud.*,&brokers", vec!["cloud.kafka.2.leader.1"]),
        // Subscripts include both ends.
        ("cloud.flink.*[0]", vec![flink[0]]),
        ("cloud.flink.*[1:2]", vec![flink[1], flink[2]]),
        ("edge[1:]", vec!["edge.sensor.2.1", "edge.camera.3.1"]),
        ("edge[-1]", vec!["edge.camera.3.1"]),
        // Regular expressions are anchored at their start.
        ("~edge.(camera|sensor).[12]", vec!["edge.camera.1.1", "edge.sensor.2.1"]),
        ("all[3]", vec!["cloud.kafka.2.leader.1"]),
    ] {
        assert_eq!(selected(selector), expected, "{selector}");
    }
}

#[test]
fn round_robin_goes_round() {
    // 4 hosts over 2 services: 1, 2, 1, 2.
    let plan = fine(
        "- hosts: cloud\n  depends_on: {service_selector: edge.camera.*, prefix: camera}\n  launch: [{shell: hostname}]\n",
    );
    let ids: Vec<&Value> = plan.entries[0].hosts.iter().map(|host| at(host, "camera/service_id")).collect();
    assert_eq!(ids, ["1", "3", "1", "3"]);
    let bound: Vec<&str> =
        plan.entries[0].hosts.iter().map(|h| plan.services[h.bindings[0].services[0]].key.as_str()).collect();
    assert_eq!(bound, ["edge.camera.1.1", "edge.camera.3.1", "edge.camera.1.1", "edge.camera.3.1"]);
}

#[test]
fn asarray_lists_ids_without_underscores_or_addresses() {
    let plan = fine(
        "
- hosts: cloud.kafka.*
  depends_on:
    - {service_selector: edge.*, grouping: asarray, prefix: ids}
    - {service_selector: edge.*, grouping: asarray, array_info: hostname, prefix: hosts}
  launch: [{shell: hostname}]
",
    );
    let host = &plan.entries[0].hosts[0];
    assert_eq!(at(host, "ids"), &json!(["211", "221", "231"]));
    assert_eq!(at(host, "hosts"), &json!(["10.99.0.5", "10.99.0.6", "10.99.0.7"]));
}

#[test]
fn aggregate_names_each_service_and_merges_into_what_is_there() {
    let (plan, findings) = planned(
        LAYERS,
        "",
        "
- hosts: cloud.kafka.*
  depends_on:
    - {service_selector: edge.camera.*, grouping: aggregate, prefix: peer}
    - {service_selector: cloud.flink.*, grouping: aggregate, prefix: peer}
  launch: [{shell: hostname}]
",
    );
    let plan = plan.unwrap();
    let host = &plan.entries[0].hosts[0];
    let names: Vec<&String> = host.variables.keys().filter(|name| name.starts_with("peer")).collect();
    assert_eq!(names, ["peer1_1", "peer3_1", "peer1_2"]);
    assert_eq!(at(host, "peer3_1/url"), "10.99.0.7");
    // Camera 1_1, the job manager and the first task manager share a name: the earlier one's keys win.
    assert_eq!(at(host, "peer1_1/url"), "10.99.0.5");
    assert_eq!(findings.len(), 1);
    assert!(findings[0].to_string().contains("`peer1_1` stands for two services"), "{}", findings[0]);
}

#[test]
fn address_match_leaves_hosts_without_a_service_out_and_says_so() {
    let (plan, findings) = planned(
        LAYERS,
        "",
        "
- hosts: edge
  depends_on: {service_selector: edge.camera.*, grouping: address_match, prefix: camera}
  launch: [{shell: hostname}]
",
    );
    let plan = plan.unwrap();
    assert_eq!(keys(&plan, &plan.entries[0]), ["edge.camera.1.1", "edge.camera.3.1"]);
    for host in &plan.entries[0].hosts {
        assert_eq!(at(host, "camera/__address__"), at(host, "_self/__address__"));
    }
    insta::assert_snapshot!(findings[0].to_string());
}

#[test]
fn play_variables_stand_beside_the_bindings() {
    let plan = fine(
        "
- hosts: edge.sensor.*
  vars: {rate: 25, name: \"{{ _self._id }}\"}
  environment: {RUST_LOG: debug}
  depends_on: [{service_selector: cloud.kafka.*.leader, prefix: kafka}]
  launch: [{shell: hostname, environment: {LANG: C}}]
",
    );
    let host = &plan.entries[0].hosts[0];
    assert_eq!(at(host, "rate"), 25);
    assert_eq!(at(host, "name"), "{{ _self._id }}", "rendered later");
    assert_eq!(at(host, "kafka/url"), "10.99.0.4:9092");
    let task = plan.entries[0].phases.values().next().unwrap()[0].tasks()[0];
    assert_eq!(task.environment.keys().collect::<Vec<_>>(), ["LANG", "RUST_LOG"]);
}

#[test]
fn rules_add_up_and_the_later_one_wins_with_a_warning() {
    let network = "
networks:
  - {src: cloud, dst: edge, delay: 5ms, rate: 1gbit, symmetric: true}
  - {src: cloud.kafka.*, dst: edge, delay: 9ms, rate: 1gbit}
  - {src: edge, dst: edge, delay: 1ms, symmetric: true}
";
    let (plan, findings) = planned(LAYERS, network, "");
    let plan = plan.unwrap();
    // 4 x 3 both ways, and 3 x 2 inside the edge; Kafka's three pairs changed hands.
    assert_eq!(plan.shaped_pairs(), 24 + 6);
    let counts: Vec<(&str, usize)> =
        plan.rules.iter().map(|rule| (rule.name.as_str(), rule.links.len())).collect();
    let expected = [
        ("cloud-edge", 9),
        ("edge-cloud", 12),
        ("cloud.kafka._-edge", 3),
        ("edge-edge", 6),
        ("edge-edge-2", 0),
    ];
    assert_eq!(counts, expected);
    let mut pairs: Vec<_> = plan.links.iter().map(|link| (link.source, link.destination)).collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!(pairs.len(), plan.links.len(), "one link per ordered pair");
    assert!(plan.links.iter().all(|link| link.source != link.destination));
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn entries_that_depend_on_each_other_are_named() {
    let (plan, findings) = planned(
        LAYERS,
        "",
        "
- hosts: edge.camera.*
  depends_on: {service_selector: cloud.kafka.*.leader, prefix: kafka}
  launch: [{shell: hostname}]
- hosts: cloud.kafka.*.leader
  depends_on: {service_selector: edge.camera.*, grouping: asarray, prefix: cameras}
  launch: [{shell: hostname}]
",
    );
    assert!(plan.is_some(), "a warning does not withhold the plan");
    insta::assert_snapshot!(findings[0].to_string());
}

#[test]
fn a_selector_that_matches_in_part_is_a_warning() {
    let (plan, findings) =
        planned(LAYERS, "", "- hosts: edge.camera.*, edge.sensr.*\n  launch: [{shell: hostname}]\n");
    assert_eq!(plan.unwrap().entries[0].hosts.len(), 2);
    insta::assert_snapshot!(findings[0].to_string());
}

#[test]
fn slips_in_service_and_variable_names_are_warnings() {
    let layers = "
environment: {g5k: {cluster: paradoxe}}
layers:
  - name: cloud
    services: [{name: Kafak}, {name: Kafka, env: {KAFKA_DATE: x}}]
";
    let (plan, findings) = planned(layers, "", "");
    assert!(plan.is_some());
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn large_scenarios_are_planned_and_absurd_bindings_are_refused() {
    let layers = "environment: {local: {}}\nlayers: [{name: l, services: [{name: x, quantity: 60000}]}]";
    let workflow = |grouping| {
        format!(
            "- hosts: l\n  depends_on: {{service_selector: \"l.*[0:29999]\", grouping: {grouping}, prefix: p}}\n  launch: [{{shell: ls}}]\n"
        )
    };
    let (plan, _) = planned(layers, "", &workflow("address_match"));
    let plan = plan.unwrap();
    assert_eq!(plan.entries[0].hosts.len(), 30_000);
    assert_eq!(plan.hosts[59_999].address.to_string(), "10.99.234.96");
    let (plan, findings) = planned(layers, "", &workflow("asarray"));
    assert!(plan.is_none());
    assert!(findings[0].message.contains("60000 hosts would be given 30000 services each"), "{findings:?}");
    let (plan, findings) = planned(layers, "networks: [{src: l, dst: l, delay: 1ms}]", "");
    assert!(plan.is_none());
    assert!(findings[0].message.contains("more than 1000000 pairs"), "{findings:?}");
    let kafka = |quantity| {
        format!(
            "environment: {{local: {{}}}}\nlayers: [{{name: l, services: [{{name: kafka, quantity: {quantity}}}]}}]"
        )
    };
    let (plan, findings) = planned(&kafka(1_001), "", "");
    assert!(plan.is_none());
    assert!(
        findings[0].message.contains("has 1001 hosts that know each other; 1000 is the most"),
        "{findings:?}"
    );
    let (plan, _) = planned(&kafka(1_000), "", "");
    assert_eq!(plan.unwrap().services[0].variables["members"].as_array().unwrap().len(), 1_000);
}

#[test]
fn more_hosts_than_addresses_are_refused_before_any_is_made() {
    let layers = "environment: {local: {}}\nlayers: [{name: l, services: [{name: x, quantity: 1000000, repeat: 1000000}]}]";
    let (plan, findings) = planned(layers, "", "");
    assert!(plan.is_none());
    assert!(findings[0].message.contains("65534 addresses"), "{findings:?}");
}

#[test]
fn an_engine_for_services_without_definitions_is_refused_with_the_reason() {
    let sources = Sources {
        layers: Source::new(
            "layers_services.yaml",
            "environment: {local: {}}\nlayers: [{name: l, services: [{name: x}]}]",
        ),
        network: None,
        workflow: None,
        services: Vec::new(),
        traces: Vec::new(),
    };
    let (scenario, _) = parse(&sources);
    let options = Options { engine: Some("embedded".to_owned()), ..Options::default() };
    let (plan, findings) = plan(&scenario.unwrap(), &options);
    assert!(plan.is_none());
    assert!(
        findings[0].hint.as_deref().unwrap().starts_with("none of its services has a definition"),
        "{findings:?}"
    );
}
