//! `block`, `rescue` and `always`.

use crate::lab::{Lab, Live};
use fogline_workflow::WorkflowError;

/// How many hosts ran the task of that name.
fn ran(live: &Live, task: &str) -> usize {
    live.ended(task).iter().filter(|ended| !ended.skipped).count()
}

#[test]
fn only_the_host_that_failed_is_rescued_and_then_goes_on() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - block:
        - {name: breaks, shell: exit 3, when: 'inventory_hostname == play_hosts[0]'}
        - {name: goes on, shell: 'true'}
      rescue:
        - {name: says, debug: {msg: '{{ ansible_failed_task.name }} {{ ansible_failed_result.rc }}'}}
      always:
        - {name: tidies, shell: 'true'}
    - {name: after, shell: 'true'}
",
    );
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    let outcome = outcome.expect("a rescued failure is none");
    assert_eq!(outcome.rescued, 1);
    let first = &live.ended("breaks")[0].host;
    assert_eq!(live.said("says"), "breaks 3");
    assert_eq!((ran(&live, "says"), &live.ended("says")[0].host), (1, first));
    assert_eq!(ran(&live, "goes on"), 1);
    assert_ne!(&live.ended("goes on")[0].host, first);
    assert_eq!((ran(&live, "tidies"), ran(&live, "after")), (2, 2));
}

#[test]
fn always_is_done_before_the_first_failure_ends_the_run() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - block:
        - {name: breaks, shell: echo why >&2; exit 3}
        - {name: not reached, shell: 'true'}
      always:
        - {name: tidies, shell: 'true'}
        - {name: breaks too, shell: exit 4}
    - {name: after, shell: 'true'}
",
    );
    let (live, outcome) = lab.prepare();
    let Err(WorkflowError::Task(failure)) = outcome else { panic!("{outcome:?}") };
    assert_eq!((failure.task.as_str(), failure.rc, failure.others), ("breaks", Some(3), 1));
    assert_eq!(failure.stderr_tail.trim(), "why");
    assert_eq!((ran(&live, "tidies"), ran(&live, "not reached"), ran(&live, "after")), (2, 0, 0));
}

#[test]
fn a_rescue_that_fails_ends_the_run_unless_an_outer_one_takes_it() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - block:
        - block: [{shell: exit 3}]
          rescue: [{name: in vain, shell: exit 4}]
      rescue:
        - {name: outer, debug: {msg: '{{ ansible_failed_task.name }} {{ ansible_failed_result.rc }}'}}
    - block: [{shell: exit 5}]
      rescue: [{name: last, shell: exit 6}]
    - {name: after, shell: 'true'}
",
    );
    let (live, outcome) = lab.prepare();
    let Err(WorkflowError::Task(failure)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(live.said("outer"), "in vain 4");
    assert_eq!((failure.task.as_str(), failure.rc), ("last", Some(6)));
    assert_eq!(ran(&live, "after"), 0);
}

#[test]
fn without_rescue_or_always_a_block_stops_where_a_list_would() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - block:
        - {name: breaks, shell: exit 3, when: 'inventory_hostname == play_hosts[0]'}
        - {name: not reached, shell: 'true'}
",
    );
    let (live, outcome) = lab.prepare();
    assert!(matches!(outcome, Err(WorkflowError::Task(_))), "{outcome:?}");
    assert_eq!(ran(&live, "not reached"), 0);
}

#[test]
fn all_parts_of_a_block_are_checked() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - block: [{shell: 'echo {{ one }}'}]
      rescue: [{shell: 'echo {{ two }} {{ ansible_failed_result.rc }}'}]
      always: [{shell: 'echo {{ three }}'}]
",
    );
    let findings = lab.findings();
    for name in ["one", "two", "three"] {
        assert!(findings.contains(&format!("`{name}` is undefined")), "{findings}");
    }
    assert!(!findings.contains("`ansible_failed_result"), "{findings}");
}
