//! What the files may say, and where each value stands.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fogline_scenario::{
    Grouping, Phase, Scenario, Severity, Source, Sources, Step, Task, configurations, parse,
};
use serde_json::json;

const LAYERS: &str = "environment: {local: {}}\nlayers: [{name: cloud, services: [{name: Kafka}]}]\n";

fn sources(layers: &str, network: &str, workflow: &str) -> Sources {
    Sources {
        layers: Source::new("layers_services.yaml", layers),
        network: Some(Source::new("network.yaml", network)),
        workflow: Some(Source::new("workflow.yaml", workflow)),
        services: Vec::new(),
        traces: Vec::new(),
    }
}

fn fine(layers: &str, network: &str, workflow: &str) -> Scenario {
    let (scenario, findings) = parse(&sources(layers, network, workflow));
    assert_eq!(findings, []);
    scenario.unwrap()
}

fn tasks(text: &str) -> Vec<Task> {
    let indented: String = text.lines().map(|line| format!("    {line}\n")).collect();
    let mut scenario = fine(LAYERS, "", &format!("- hosts: cloud\n  launch:\n{indented}"));
    let steps = scenario.entries.remove(0).phases.remove(&Phase::Launch).unwrap();
    steps.iter().flat_map(Step::tasks).cloned().collect()
}

#[test]
fn a_block_gives_its_keywords_to_its_tasks() {
    let tasks = tasks(
        "- when: outer
  environment: {A: block, B: block}
  vars: {v: block}
  block:
    - {shell: a, when: own, environment: {A: own}, vars: {v: own}}
    - block: [{shell: b}]
      when: inner
      ignore_errors: true
  rescue: [{shell: c}]
  always: [{shell: d}]
- shell: e",
    );
    let told: Vec<String> = tasks
        .iter()
        .map(|task| {
            let when: Vec<&str> = task.when.iter().map(|when| when.value.as_str()).collect();
            let of = |name: &str| task.environment.get(name).map_or("-", |value| value.value.as_str());
            let command = task.arg(Task::FREE_FORM).unwrap();
            let v = task.vars.get("v").map_or(json!(null), |v| v.value.clone());
            let (line, when) = (command.place.line, when.join(" and "));
            format!("{line} {} [{when}] {} {} {v} {}", command.value, of("A"), of("B"), task.ignore_errors)
        })
        .collect();
    assert_eq!(
        told,
        [
            r#"7 "a" [outer and own] own block "own" false"#,
            r#"8 "b" [outer and inner] block block "block" true"#,
            r#"11 "c" [outer] block block "block" false"#,
            r#"12 "d" [outer] block block "block" false"#,
            r#"13 "e" [] - - null false"#,
        ]
    );
}

#[test]
fn both_dialects_of_the_environment() {
    let providers = |environment: &str| {
        let layers = format!("environment: {environment}\nlayers: [{{name: l, services: [{{name: x}}]}}]");
        let (scenario, findings) = parse(&sources(&layers, "", ""));
        assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{findings:?}");
        let providers = scenario.unwrap().environment.providers;
        (
            providers.into_iter().map(|provider| provider.name.value).collect::<Vec<_>>().join(" "),
            findings.len(),
        )
    };
    assert_eq!(providers("{local: {}}"), ("local".to_owned(), 0));
    let two = "{job_name: x, walltime: '01:00:00', g5k: {cluster: y}, local: }";
    assert_eq!(providers(two), ("g5k local".to_owned(), 0));
    let old = "{name: g5k, cluster: c, env_name: debian11, job_name: x, job_type: [deploy], queue: default, walltime: '02:00:00'}";
    assert_eq!(providers(old), ("g5k".to_owned(), 1), "one warning: the hosts are local");
}

#[test]
fn empty_networks_and_workflows() {
    for network in ["", "networks:\n", "# none\n", "networks: []\n", "networks: ~\n"] {
        assert!(fine(LAYERS, network, "").rules.is_empty(), "{network:?}");
    }
    for workflow in ["", "[]", "# none\n", "---\n"] {
        assert!(fine(LAYERS, "", workflow).entries.is_empty(), "{workflow:?}");
    }
}

#[test]
fn depends_on_is_a_map_or_a_list() {
    let map = "{service_selector: cloud.kafka.*, prefix: k}";
    for written in [map, "[{service_selector: cloud.kafka.*, prefix: k, grouping: round_robin}]"] {
        let workflow = format!("- hosts: cloud\n  depends_on: {written}\n  launch: [{{shell: ls}}]\n");
        let scenario = fine(LAYERS, "", &workflow);
        let dependency = &scenario.entries[0].depends_on[0];
        assert_eq!((dependency.grouping, dependency.prefix.value.as_str()), (Grouping::RoundRobin, "k"));
    }
}

#[test]
fn values_know_their_places() {
    let layers = "\
environment: {local: {}}
layers:
  - name: cloud
    services:
      - name: Kafka
        quantity: 2
        env:
          BIG: |
            a
            b
          # é
          ü: 'x'
        port_map: [1]
";
    let scenario = fine(layers, "networks:\n  - {src: a, dst: b, delay: \"5ms\"}\n", "");
    let service = &scenario.layers[0].services[0];
    assert_eq!(service.quantity.place.to_string(), "layers_services.yaml:6:19");
    assert_eq!(service.place.to_string(), "layers_services.yaml:5:9");
    assert_eq!(service.env[0].1.value, "a\nb\n");
    let block = service.env[0].1.place.to_string();
    assert_eq!(block, "layers_services.yaml:9:13", "a block text stands where its first line begins");
    assert_eq!(service.env[1].1.place.to_string(), "layers_services.yaml:12:14", "columns count characters");
    assert_eq!(service.metadata[0].0, "port_map");
    assert_eq!(scenario.rules[0].values.delay.as_ref().unwrap().place.to_string(), "network.yaml:2:29");
}

#[test]
fn scalars_are_read_as_pyyaml_reads_them() {
    let text = "\
- set_fact:
    a: yes
    b: 'yes'
    c: 0644
    d: '0644'
    e: 1.5
    f: ~
    g: 10.99.0.1
    h: 1e3
    i: -7
    j: 0x1f
    k: !!str 12
    l: 12:30:00
    m: [1, {n: off}]
    o: '-'
    p: '{{ x }}'
";
    let task = tasks(text).remove(0);
    let values: serde_json::Map<_, _> =
        task.args.into_iter().map(|(name, value)| (name, value.value)).collect();
    let expected = json!({
        "a": true, "b": "yes", "c": 420, "d": "0644", "e": 1.5, "f": null, "g": "10.99.0.1", "h": "1e3", "i": -7,
        "j": 31, "k": "12", "l": "12:30:00", "m": [1, {"n": false}], "o": "-", "p": "{{ x }}",
    });
    assert_eq!(serde_json::Value::Object(values), expected);
}

#[test]
fn modules_in_every_way_of_writing() {
    let all = tasks(
        "\
- ansible.builtin.shell: echo a
- shell: {cmd: echo a}
- shell:
  args: {cmd: echo a, chdir: /opt}
- copy: src={{ working_dir }}/a dest='/opt/a b' mode=0644
- ansible.builtin.file: {dest: /opt, state: directory, mode: 0755}
- wait_for: {port: '1883', timeout: 30}
- debug:
",
    );
    let shown: Vec<String> = all
        .iter()
        .map(|task| {
            let args: Vec<String> =
                task.args.iter().map(|(name, value)| format!("{name}={}", value.value)).collect();
            format!("{} {}", task.module.value, args.join(" "))
        })
        .collect();
    let expected = [
        "shell _raw=\"echo a\"",
        "shell _raw=\"echo a\"",
        "shell _raw=\"echo a\" chdir=\"/opt\"",
        "copy src=\"{{ working_dir }}/a\" dest=\"/opt/a b\" mode=\"0644\"",
        "file path=\"/opt\" state=\"directory\" mode=\"0755\"",
        "wait_for port=1883 timeout=30",
        "debug ",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn keywords_around_a_module() {
    let all = tasks(
        "\
- name: Start {{ item }}
  shell: cctv camera
  loop: \"{{ range(1, 41) | list }}\"
  when: [a, \"{{ b == 1 }}\", true]
  register: started
  failed_when: [started.rc != 0, started.rc != 3]
  changed_when: false
  ignore_errors: yes
  async: 3600
  poll: 0
  environment: {A: 1}
  vars: {x: [1]}
  become: true
- shell: probe
  with_items: [[1, 2], 3]
  register: probe
  until: probe.rc == 0
  async: 10
",
    );
    let first = &all[0];
    let when: Vec<&str> = first.when.iter().map(|condition| condition.value.as_str()).collect();
    assert_eq!(when, ["a", "b == 1", "true"]);
    assert_eq!(first.failed_when.as_ref().unwrap().value, "(started.rc != 0) and (started.rc != 3)");
    assert_eq!(first.changed_when.as_ref().unwrap().value, "false");
    assert!(first.ignore_errors);
    assert_eq!(first.job.map(|job| (job.limit_s, job.poll_s)), Some((3600, 0)));
    assert_eq!(first.environment["A"].value, "1");
    assert_eq!(first.vars["x"].value, json!([1]));
    let second = &all[1];
    assert_eq!(second.loop_over.as_ref().unwrap().value, json!([1, 2, 3]), "with_items flattens one level");
    let until = second.until.as_ref().unwrap();
    assert_eq!((until.condition.value.as_str(), until.retries, until.delay_s), ("probe.rc == 0", 3, 5.0));
    assert_eq!(second.job.map(|job| job.poll_s), Some(15), "Ansible's own");
}

#[test]
fn anchors_and_merge_keys() {
    let layers = "\
environment: {local: {}}
layers:
  - name: a
    services: &all
      - &base {name: x, quantity: 2, env: {A: 1}}
      - {<<: *base, quantity: 3}
  - {name: b, services: *all}
";
    let scenario = fine(layers, "", "");
    let services = || scenario.layers.iter().flat_map(|layer| &layer.services);
    assert_eq!(services().map(|service| service.quantity.value).collect::<Vec<_>>(), [2, 3, 2, 3]);
    assert!(services().all(|service| service.name.value == "x" && service.env.len() == 1));
}

#[test]
fn a_configuration_names_its_variables_env() {
    let read = |text: &str| configurations(&Source::new("workflow_env.yaml", text));
    let (all, findings) = read("base: {A: 5}\nbig: {A: 50, B: 'x'}\n");
    assert_eq!(findings, []);
    let base: Vec<_> = all[0].variables.iter().map(|(name, value)| (name.as_str(), &value.value)).collect();
    assert_eq!((all[0].name.value.as_str(), base), ("base", vec![("env_A", &json!(5))]));
    let (_, findings) = read("base: {A: [5], a-b: 1}\nbig: 7\n");
    assert_eq!(findings.len(), 3, "{findings:?}");
}
