//! The keywords around a module.

use crate::lab::{Lab, read};
use fogline_journal::Event;
use fogline_plan::Phase;
use fogline_workflow::WorkflowError;

#[test]
fn loops_keep_their_order_and_register_all_results() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - shell: echo {{ item }} >> {{ root }}/order
      loop: \"{{ range(1, 13) | list }}\"
      register: all
    - name: say
      debug: {msg: \"{{ all.results | map(attribute='item') | join(',') }} {{ all.changed }} {{ all.results[3].rc }}\"}
    - {name: with, debug: {msg: '{{ item.a }}'}, with_items: [{a: x}, {a: y}]}
",
    );
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    assert_eq!(read(&lab.root().join("hosts/order")), "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n");
    assert_eq!(live.said("say"), "1,2,3,4,5,6,7,8,9,10,11,12 True 0");
    let items: Vec<_> = live.ended("with").iter().map(|task| task.message.clone()).collect();
    assert_eq!(items, [Some("x".to_owned()), Some("y".to_owned())]);
}

#[test]
fn when_leaves_out_and_register_says_so() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - {name: first, shell: 'true', when: 'inventory_hostname == play_hosts[0]', register: r}
    - {name: even, shell: 'true', when: [item % 2 == 0, item > 2], loop: [1, 2, 3, 4]}
    - {name: skipped, debug: {msg: '{{ r is skipped }}'}}
    - {name: never, shell: '{{ nothing }}', when: nothing is defined}
    - {name: no loop, shell: 'true', loop: '{{ nothing }}', when: false}
",
    );
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    let outcome = outcome.unwrap();
    let ran = |name: &str| live.ended(name).iter().filter(|task| !task.skipped).count();
    assert_eq!((ran("first"), ran("even"), ran("never"), ran("no loop")), (1, 2, 0, 0));
    let mut said: Vec<_> =
        live.ended("skipped").into_iter().map(|task| (task.host, task.message.unwrap())).collect();
    said.sort();
    assert_eq!(said[0].1, "false");
    assert_eq!(said[1].1, "true");
    assert_eq!(outcome.skipped, 1 + 6 + 2 + 2);
}

#[test]
fn a_failure_names_everything_and_stops_after_its_task() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - {name: fine, shell: 'true'}
    - name: Broken {{ 1 + 1 }}
      shell: echo out; echo 'first line' >&2; echo 'the cause' >&2; exit 3
    - {name: after, shell: 'true'}
- hosts: cloud.hub.*
  prepare:
    - {name: other entry, shell: 'true'}
",
    );
    let (live, outcome) = lab.prepare();
    let error = outcome.unwrap_err();
    insta::assert_snapshot!(error.to_string());
    let WorkflowError::Task(failure) = error else { panic!("{error:?}") };
    assert_eq!((failure.rc, failure.others, failure.place.line), (Some(3), 1, 4));
    assert_eq!(live.ended("Broken 2").len(), 2);
    assert!(live.ended("after").is_empty() && live.ended("other entry").is_empty());
    let validate = read(&live.run.workflow_validate());
    assert!(validate.contains("status: FAILED") && validate.contains("the cause"), "{validate}");
}

#[test]
fn failures_can_be_ignored_or_redefined() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - {name: ignored, shell: exit 4, ignore_errors: true, register: r}
    - {name: fine, shell: exit 5, register: s, failed_when: s.rc != 5, changed_when: false}
    - {name: say, debug: {msg: '{{ r.failed }} {{ r.rc }} {{ r is failed }} {{ s.failed }} {{ s.changed }}'}}
    - {name: strict, shell: echo bad, register: t, failed_when: \"'bad' in t.stdout\"}
",
    );
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("\"strict\"") && error.contains("failed_when holds: 'bad' in t.stdout"),
        "{error}"
    );
    assert_eq!(live.said("say"), "True 4 True False False");
}

#[test]
fn until_tries_again_and_gives_up() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - name: third
      shell: echo x >> {{ root }}/n; wc -l < {{ root }}/n
      register: n
      until: n.stdout | int >= 3
      retries: 5
      delay: 0.01
    - {name: say, debug: {msg: '{{ n.attempts }}'}}
    - {name: never, shell: exit 1, register: m, until: m.rc == 0, retries: 2, delay: 0}
",
    );
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("tried 3 times in vain until m.rc == 0: non-zero return code (rc 1)"), "{error}");
    assert_eq!(live.said("say"), "3");
}

#[test]
fn environment_and_vars_are_rendered_per_item() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  vars: {base: 'b{{ item }}'}
  prepare:
    - name: env
      shell: echo $A $B
      environment: {A: '{{ base }}', B: '{{ more }}'}
      vars: {more: 'm-{{ base }}'}
      loop: [1, 2]
",
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    let said: Vec<String> = live.ended("env").into_iter().map(|task| task.stdout_tail).collect();
    assert_eq!(said, ["b1 m-b1", "b2 m-b2"]);
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{name: long, shell: sleep 60, async: 1, poll: 1}]}");
    let (_live, outcome) = lab.prepare();
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("did not end within 1 s and was killed (rc 124)"), "{error}");
}

#[test]
fn entries_run_in_order_and_tasks_in_step() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - {name: one, shell: 'echo 1 >> {{ root }}/{{ inventory_hostname }}/log'}
    - {name: two, shell: 'echo 2 >> {{ root }}/{{ inventory_hostname }}/log'}
  launch:
    - {name: launched, shell: 'true'}
- hosts: cloud.hub.*
  prepare:
    - {name: three, shell: 'cat {{ root }}/*/log'}
",
    );
    let (live, outcome) = lab.prepare();
    let outcome = outcome.unwrap();
    assert_eq!((outcome.entries, outcome.tasks), (2, 5));
    let order: Vec<String> = live
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::TaskStarted(task) => Some(format!("start {}", task.task)),
            Event::TaskEnded(task) => Some(format!("end {}", task.task)),
            _ => None,
        })
        .collect();
    let task = |name: &str, times| {
        [vec![format!("start {name}"); times], vec![format!("end {name}"); times]].concat()
    };
    assert_eq!(order, [task("one", 2), task("two", 2), task("three", 1)].concat());
    assert_eq!(live.ended("three")[0].stdout_tail, "1\n2\n1\n2");
    assert_eq!(live.phase(Phase::Launch).unwrap().tasks, 2);
    insta::assert_snapshot!(lab.redacted(&elapsed_redacted(&read(&live.run.workflow_validate()))));
}

/// Times and the run folder's name differ from run to run.
fn elapsed_redacted(text: &str) -> String {
    let line = |line: &str| match line.split_once("elapsed_ms: ") {
        Some((before, _)) => format!("{before}elapsed_ms: N\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn what_a_play_registers_ends_with_it() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - {shell: echo x, register: r}
- hosts: cloud.hub.*
  prepare:
    - {name: use, debug: {msg: '{{ r.stdout }}'}}
",
    );
    assert!(
        lab.findings().contains("`r.stdout` is undefined") || lab.findings().contains("`r` is undefined")
    );
    let (_live, outcome) = lab.prepare();
    let error = outcome.unwrap_err().to_string();
    assert!(error.starts_with("workflow.yaml:6:") && error.contains("`r` is undefined"), "{error}");
}

#[test]
fn a_lost_agent_ends_the_phase_by_name() {
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{shell: 'true', ignore_errors: true}]}");
    let live = lab.live();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let dead = fogline_agent::Client::new(ours, "cloud-hub-1-1").unwrap();
    drop(theirs);
    let mut agents = live.agents.clone();
    agents[0] = dead;
    let journal =
        fogline_journal::Journal::open(&live.run, &fogline_journal::Clock::system(), Vec::new()).unwrap();
    let workflow = fogline_workflow::Workflow::new(
        &lab.plan.hosts,
        agents,
        lab.context.clone(),
        live.run.clone(),
        journal,
        lab.cancel.clone(),
    );
    let error = workflow.run_phase(&lab.plan.entries, Phase::Prepare).unwrap_err();
    assert!(matches!(error, WorkflowError::Agent(_)), "{error:?}");
    assert!(error.to_string().contains("cloud-hub-1-1: the agent is gone"), "{error}");
}
