//! The shipped scenario with the shipped service definitions, planned as the command line does it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fogline_plan::{EntryHost, Options, Plan, plan};
use fogline_scenario::{Source, Sources, parse};
use std::path::Path;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

fn source(path: &str) -> Source {
    Source::new(path, std::fs::read_to_string(repository().join(path)).unwrap())
}

/// The definitions that are shipped.
fn services() -> Vec<Source> {
    ["Default", "Flink", "Kafka", "Mosquitto"].map(|name| source(&format!("services/{name}.yaml"))).into()
}

fn surveillance(workflow: Option<&str>) -> Plan {
    let folder = "scenarios/smart-surveillance";
    let sources = Sources {
        layers: source(&format!("{folder}/layers_services.yaml")),
        network: Some(source(&format!("{folder}/network.yaml"))),
        workflow: Some(match workflow {
            Some(text) => Source::new("workflow.yaml", text),
            None => source(&format!("{folder}/workflow.yaml")),
        }),
        services: services(),
        traces: Vec::new(),
    };
    let (scenario, findings) = parse(&sources);
    assert_eq!(findings, [], "nothing to report about the shipped scenario");
    let options = Options { scenario: "smart-surveillance".to_owned(), ..Options::default() };
    let (plan, findings) = plan(&scenario.unwrap(), &options);
    assert_eq!(findings, []);
    plan.unwrap()
}

fn text<'a>(host: &'a EntryHost, path: &str) -> &'a str {
    host.variables[path.split('.').next().unwrap()]
        .pointer(&format!("/{}", path.split('.').skip(1).collect::<Vec<_>>().join("/")))
        .and_then(serde_json::Value::as_str)
        .unwrap_or_else(|| panic!("{path}"))
}

#[test]
fn fifteen_hosts_in_the_order_of_the_layers_file() {
    let plan = surveillance(None);
    let hosts: String = plan
        .hosts
        .iter()
        .map(|host| format!("{} {} {} {}\n", host.address, host.name, host.roles.join(","), host.monitored))
        .collect();
    insta::assert_snapshot!(hosts);
    let services: String = plan
        .services
        .iter()
        .map(|s| format!("{} {} {}\n", s.key, plan.host(s.host).name, s.variables["url"]))
        .collect();
    insta::assert_snapshot!(services);
}

#[test]
fn eighty_shaped_pairs_and_both_directions_of_both_rules() {
    let plan = surveillance(None);
    let rules: String = plan
        .rules
        .iter()
        .map(|rule| {
            let p = rule.profile;
            let rate = p.rate.map_or_else(String::new, |rate| rate.to_string());
            let mirrored = if rule.mirrored { "mirrored" } else { "as written" };
            format!("{} {mirrored} {} {rate} {} {}\n", rule.name, p.delay, p.loss, rule.links.len())
        })
        .collect();
    insta::assert_snapshot!(rules);
    assert_eq!(plan.shaped_pairs(), 80);
    for link in &plan.links {
        let back = plan.links.iter().find(|l| l.source == link.destination && l.destination == link.source);
        assert_eq!(back.map(|l| l.profile), Some(link.profile), "symmetric rules mirror");
    }
}

#[test]
fn both_rules_hold_on_every_fog_host() {
    let plan = surveillance(None);
    let fog = plan.select("fog").unwrap();
    assert_eq!(fog.len(), 4);
    for host in fog {
        // Two cloud hosts by the first rule and eight edge hosts by the second one, from here and to here.
        for (rule, from_here, to_here) in
            [("cloud-fog", 0, 2), ("fog-cloud", 2, 0), ("fog-edge", 8, 0), ("edge-fog", 0, 8)]
        {
            let rule = plan.rules.iter().find(|other| other.name == rule).unwrap();
            let links = || rule.links.iter().map(|link| &plan.links[*link]);
            let counts = (
                links().filter(|link| link.source == host).count(),
                links().filter(|link| link.destination == host).count(),
            );
            assert_eq!(counts, (from_here, to_here), "{} on {}", rule.name, plan.host(host).name);
            assert!(links().all(|link| link.profile == rule.profile));
        }
        let either = |link: &&fogline_plan::Link| link.source == host || link.destination == host;
        assert_eq!(plan.links.iter().filter(either).count(), 20);
    }
    let mut pairs: Vec<_> = plan.links.iter().map(|link| (link.source, link.destination)).collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!(pairs.len(), 80);
}

#[test]
fn producers_go_round_the_gateways_and_gateways_find_their_own_broker() {
    let plan = surveillance(Some(
        "
- hosts: fog.mosquitto.*
  depends_on:
    - {service_selector: fog.mosquitto.*, grouping: address_match, prefix: mosquitto}
    - {service_selector: cloud.kafka.*.leader, prefix: kafka}
  launch: [{shell: 'true'}]
- hosts: edge.producer.*
  depends_on: {service_selector: fog.mosquitto.*, grouping: round_robin, prefix: gateway}
  launch: [{shell: 'true'}]
",
    ));
    let [gateways, producers] = plan.entries.as_slice() else { panic!("two entries") };
    let bound: Vec<&str> = producers.hosts.iter().map(|host| text(host, "gateway.service_id")).collect();
    assert_eq!(bound, ["1", "2", "3", "4", "1", "2", "3", "4"]);
    for host in &gateways.hosts {
        assert_eq!(text(host, "mosquitto.url"), text(host, "_self.url"));
        assert_eq!(text(host, "kafka.url"), "10.99.0.2:9092");
        assert_eq!(text(host, "kafka.env.KAFKA_BATCH_SIZE"), "200000", "the scenario's value");
        assert_eq!(text(host, "kafka.batch_size"), "200000");
        assert_eq!(
            text(host, "kafka.env.KAFKA_LOG_RETENTION_BYTES"),
            "268435456",
            "the definition's default"
        );
    }
    assert_eq!(gateways.hosts.len(), 4);
}

#[test]
fn services_are_started_on_their_hosts_at_once() {
    let plan = surveillance(None);
    let started: String = plan
        .deployments
        .iter()
        .map(|entry| {
            let hosts: Vec<&str> = entry.hosts.iter().map(|h| plan.host(h.host).name.as_str()).collect();
            let tasks: Vec<&str> = entry
                .phases
                .values()
                .flatten()
                .flat_map(|step| step.tasks())
                .map(|task| task.module.value.as_str())
                .collect();
            format!("{}: {} on {}\n", entry.label, tasks.join(" "), hosts.join(" "))
        })
        .collect();
    insta::assert_snapshot!(started);
    let kafka = &plan.deployments[0];
    let task = kafka.phases.values().next().unwrap()[0].tasks()[0];
    assert_eq!(task.environment["KAFKA_BATCH_SIZE"].value, "200000");
    assert_eq!(task.job.map(|job| (job.limit_s, job.poll_s)), Some((86_400, 0)));
    assert_eq!(text(&kafka.hosts[0], "instance.leader.url"), "10.99.0.2:9092");
}

#[test]
fn the_same_files_give_the_same_plan() {
    assert_eq!(format!("{:?}", surveillance(None)), format!("{:?}", surveillance(None)));
}

#[test]
fn links_are_found_by_the_selectors_of_the_network_file() {
    let plan = surveillance(None);
    let [cloud, fog, edge] = ["cloud", "fog", "edge"].map(|layer| plan.select(layer).unwrap());
    let both =
        |one: &[_], other: &[_]| plan.links_between(one, other).len() + plan.links_between(other, one).len();
    assert_eq!(both(&cloud, &fog) + both(&fog, &edge), 80);
    assert_eq!(plan.links_between(&cloud, &edge), [0; 0], "no rule shapes these");
    let all: Vec<_> = (0..plan.hosts.len()).map(fogline_plan::HostId).collect();
    assert_eq!(plan.links_between(&all, &all), (0..80).collect::<Vec<_>>());
    let unknown = plan.select("fgo").unwrap_err();
    assert!(unknown.contains("selects no host") && unknown.contains("did you mean `fog"), "{unknown}");
    assert!(plan.select("").is_err());
}
