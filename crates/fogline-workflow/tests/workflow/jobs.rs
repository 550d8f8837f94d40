//! Jobs beside the workflow.

use crate::lab::{Lab, Live, read};
use fogline_journal::{Event, JobEnded};
use fogline_plan::Phase;
use fogline_workflow::WorkflowError;
use std::time::{Duration, Instant};

fn ended(live: &Live) -> Vec<JobEnded> {
    let ended = |event| if let Event::JobEnded(job) = event { Some(job) } else { None };
    live.events().into_iter().filter_map(ended).collect()
}

/// Waits until the agents say that no job runs any longer.
fn until_all_ended(live: &Live) {
    let limit = Instant::now() + Duration::from_secs(10);
    let runs =
        || live.agents.iter().flat_map(|agent| agent.jobs().expect("the jobs")).any(|job| job.exit.is_none());
    while runs() {
        assert!(Instant::now() < limit, "a job does not end");
        std::thread::yield_now();
    }
}

#[test]
fn jobs_go_on_and_end_in_peace() {
    let lab = Lab::new(
        "- hosts: edge.*
  launch:
    - name: camera
      shell: echo {{ item }} > {{ root }}/{{ inventory_hostname }}/{{ item }}; while test ! -e {{ root }}/stop; do sleep 0.02; done
      loop: \"{{ range(1, 4) | list }}\"
      async: 60
      poll: 0
      register: started
    - {name: say, debug: {msg: '{{ started.results[0].started }} {{ started.results[0].finished }}'}}
  finalize:
    - shell: touch {{ root }}/stop
",
    );
    let live = lab.live();
    let outcome = live.phase(Phase::Launch).unwrap();
    assert_eq!((outcome.jobs, live.workflow.jobs_running()), (6, 6));
    assert_eq!(live.said("say"), "1 0");
    live.workflow.check_jobs().unwrap();
    live.phase(Phase::Finalize).unwrap();
    until_all_ended(&live);
    live.workflow.check_jobs().unwrap();
    assert_eq!(live.workflow.jobs_running(), 0);
    assert_eq!(ended(&live).len(), 6);
    assert!(ended(&live).iter().all(|job| job.rc == 0 && !job.failed));
    assert_eq!(read(&lab.on("edge-camera-1-1", "3")), "3\n");
}

#[test]
fn a_job_that_dies_is_told_with_its_last_words() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - name: camera
      shell: 'echo working; echo no such broker >&2; exit 7'
      loop: [a, b]
      async: 60
      poll: 0
  launch:
    - {name: never, shell: 'true'}
",
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    until_all_ended(&live);
    let error = live.phase(Phase::Launch).unwrap_err();
    let WorkflowError::Jobs(failures) = &error else { panic!("{error:?}") };
    assert_eq!(failures.len(), 4);
    insta::assert_snapshot!(error.to_string());
    assert!(live.ended("never").is_empty());
    // Told once.
    live.workflow.check_jobs().unwrap();
}

#[test]
fn finalize_fetches_although_a_job_has_failed() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  launch:
    - {shell: 'echo got > {{ root }}/r; exit 1', async: 60, poll: 0}
  finalize:
    - {fetch: {src: '{{ root }}/r', dest: experiment-results/, flat: true}}
",
    );
    let live = lab.live();
    live.phase(Phase::Launch).unwrap();
    until_all_ended(&live);
    let error = live.phase(Phase::Finalize).unwrap_err();
    assert!(matches!(&error, WorkflowError::Jobs(jobs) if jobs.len() == 1 && jobs[0].rc == 1), "{error:?}");
    assert_eq!(live.result("r"), "got\n");
    assert!(live.events().iter().any(|event| matches!(event, Event::Warning { .. })));
}

#[test]
fn a_job_that_finalize_stops_has_not_failed_but_one_that_stumbles_has() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  launch:
    - {name: plain, shell: 'echo $$ > {{ root }}/plain; exec sleep 60', async: 60, poll: 0}
    - name: clumsy
      shell: 'echo $$ > {{ root }}/clumsy; trap \"exit 9\" TERM; while :; do sleep 0.02; done'
      async: 60
      poll: 0
    - {wait_for: {path: '{{ root }}/{{ item }}', timeout: 10}, loop: [plain, clumsy]}
  finalize:
    - {shell: 'kill $(cat {{ root }}/{{ item }})', loop: [plain, clumsy]}
",
    );
    let live = lab.live();
    live.phase(Phase::Launch).unwrap();
    live.phase(Phase::Finalize).unwrap();
    until_all_ended(&live);
    let error = live.workflow.check_jobs().unwrap_err();
    let WorkflowError::Jobs(failures) = error else { panic!("{error:?}") };
    assert_eq!(failures.iter().map(|job| (job.task.as_str(), job.rc)).collect::<Vec<_>>(), [("clumsy", 9)]);
    assert_eq!(ended(&live).len(), 2);
}

#[test]
fn a_job_beyond_its_limit_is_ended_and_told() {
    let lab =
        Lab::new("- {hosts: cloud.hub.*, launch: [{name: long, shell: exec sleep 60, async: 1, poll: 0}]}");
    let live = lab.live();
    live.phase(Phase::Launch).unwrap();
    until_all_ended(&live);
    let error = live.workflow.check_jobs().unwrap_err().to_string();
    assert!(error.contains("was still running at its async limit and was ended"), "{error}");
}

#[test]
fn jobs_are_spared_by_creates_and_cannot_be_copies() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  launch:
    - {shell: exit 1, args: {creates: '{{ root }}'}, async: 60, poll: 0}
",
    );
    let live = lab.live();
    assert_eq!(live.phase(Phase::Launch).unwrap().jobs, 0);
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  launch:
    - {copy: {content: x, dest: '{{ root }}/x'}, async: 60, poll: 0}
",
    );
    assert!(lab.findings().contains("async with poll: 0 goes with shell and command, not with copy"));
}
