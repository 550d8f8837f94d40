//! The numbers of the real experiment: 320 cameras on 8 hosts, and what they leave.

use crate::lab::Lab;
use fogline_plan::Phase;
use std::time::Instant;

const LAYERS: &str = "\
environment: {local: {}}
layers:
  - name: edge
    services: [{name: Producer, repeat: 7}]
";

#[test]
fn three_hundred_and_twenty_jobs_start_and_their_files_come_back() {
    let lab = Lab::with_layers(
        LAYERS,
        "- hosts: edge.*
  vars: {home: '{{ root }}/{{ inventory_hostname }}'}
  launch:
    - name: camera
      shell: for e in csv hlog json; do echo {{ inventory_hostname }} {{ item }} > {{ home }}/camera-{{ item }}.$e; done
      loop: \"{{ range(1, 41) | list }}\"
      async: 60
      poll: 0
    - wait_for: {path: '{{ home }}/camera-{{ item }}.json', timeout: 30}
      loop: \"{{ range(1, 41) | list }}\"
  finalize:
    - fetch: {src: '{{ home }}/camera-{{ item }}.{{ ending }}', dest: 'experiment-results/{{ inventory_hostname }}/', flat: true}
      loop: \"{{ range(1, 41) | list }}\"
      vars: {ending: csv}
    - fetch: {src: '{{ home }}/camera-{{ item }}.hlog', dest: 'experiment-results/{{ inventory_hostname }}/', flat: true}
      loop: \"{{ range(1, 41) | list }}\"
    - fetch: {src: '{{ home }}/camera-{{ item }}.json', dest: 'experiment-results/{{ inventory_hostname }}/', flat: true}
      loop: \"{{ range(1, 41) | list }}\"
",
    );
    let begin = Instant::now();
    assert_eq!(lab.findings(), "");
    let checked = begin.elapsed();
    let live = lab.live();
    let begin = Instant::now();
    let outcome = live.phase(Phase::Launch).unwrap();
    let launched = begin.elapsed();
    assert_eq!((outcome.jobs, outcome.tasks), (320, 640));
    let begin = Instant::now();
    assert_eq!(live.phase(Phase::Finalize).unwrap().tasks, 960);
    eprintln!("check {checked:?}, 320 starts and waits {launched:?}, 960 fetches {:?}", begin.elapsed());
    live.workflow.check_jobs().unwrap();
    for host in 1..=8 {
        for camera in 1..=40 {
            for ending in ["csv", "hlog", "json"] {
                let name = format!("edge-producer-{host}-1");
                assert_eq!(
                    live.result(&format!("{name}/camera-{camera}.{ending}")),
                    format!("{name} {camera}\n")
                );
            }
        }
    }
}
