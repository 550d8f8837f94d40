//! What is found and shown before anything is started.

use crate::lab::Lab;

#[test]
fn undefined_variables_are_named_with_their_place_and_what_there_is() {
    let lab = Lab::new(
        "- hosts: edge.*
  depends_on:
    - {service_selector: cloud.*, grouping: round_robin, prefix: hub}
  vars: {rate: 5, circle: '{{ spiral }}', spiral: '{{ circle }}'}
  prepare:
    - shell: cctv camera --hub {{ hub.urll }} --rate {{ rate }}
    - shell: cctv camera --hub {{ hubb.url }}
    - shell: 'true'
      environment: {A: '{{ ratee }}'}
    - shell: echo {{ item }}
    - shell: echo {{ rate.of.fire }}
    - {shell: 'true', when: workng_dir is match}
    - {shell: 'true', loop: '{{ cameras }}'}
    - {shell: 'true', loop: '{{ rate }}'}
    - {shell: 'echo {{ circle }}'}
    - {shell: 'echo {{ rate | nosuch }}'}
    - {shell: 'echo {{ rate'}
    - shell: echo {{ item.port }}
      loop: [{port: 1}, {prot: 2}]
    - {shell: 'true', register: r, until: r.rc == limit}
    - {shell: 'true', when: 'inventory_hostname == play_hosts[1] and nowhere'}
",
    );
    insta::assert_snapshot!(lab.findings());
}

#[test]
fn values_of_the_wrong_kind_are_named_once_rendered() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  vars: {port: http, mode: '0999', nothing: '', yes: perhaps}
  launch:
    - wait_for: {port: '{{ port }}'}
    - wait_for: {port: '{{ 70000 }}'}
    - copy: {content: x, dest: '{{ nothing }}'}
    - copy: {content: x, dest: /tmp/x, mode: '{{ mode }}'}
    - copy: {content: x, dest: /tmp/folder/}
    - fetch: {src: /x, dest: y, flat: '{{ yes }}'}
    - file: {path: /x, state: '{{ port }}'}
    - file: {path: /x, state: absent, recurse: true}
    - pause: {seconds: '{{ -1 }}'}
    - assert: {that: '{{ [[1]] }}'}
    - set_fact: {1st: x}
",
    );
    insta::assert_snapshot!(lab.findings());
}

#[test]
fn missing_artifacts_are_named_with_their_neighbours() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - copy: {src: '{{ working_dir }}/job.jso', dest: /tmp/x}
    - copy: {src: sub/none.txt, dest: /tmp/x}
    - template: {src: conf.j2, dest: /tmp/x}
    - {copy: {src: 'part-{{ item }}', dest: /tmp/x}, loop: [1, 2, 3]}
  finalize:
    - copy: {src: '{{ working_dir }}/made-by-the-run', dest: /tmp/x}
",
    );
    lab.artifact("job.json", "{}");
    lab.artifact("part-2", "");
    insta::assert_snapshot!(lab.findings());
}

#[test]
fn results_of_earlier_tasks_are_known_by_name_and_not_by_value() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - {shell: ls, register: out}
    - {set_fact: {count: '{{ out.stdout_lines | length }}', fixed: 3}}
    - {shell: 'echo {{ out.stdout | int + 1 }} {{ count }}', when: out.rc == 0 and 'x' in out.stdout}
    - {shell: 'echo {{ item }} {{ item.name }}', loop: '{{ out.stdout_lines }}'}
    - {shell: 'echo {{ item }}', loop: '{{ range(fixed) | list }}'}
    - {shell: 'echo {{ out.results | map(attribute=\"rc\") | list }}'}
    - {wait_for: {port: '{{ out.stdout }}', timeout: '{{ count }}'}}
    - {copy: {src: '{{ out.stdout }}', dest: '/x/{{ count }}'}}
    - {assert: {that: [out.rc == 0, out.stdout | int > 3]}}
    - {shell: 'echo {{ out.stdout }} {{ oops }}'}
    - {shell: 'echo {{ item }}', loop: '{{ out.stdout_lines + oops }}'}
",
    );
    insta::assert_snapshot!(lab.findings());
    let commands = fogline_workflow::commands(&lab.plan, &lab.context);
    let of_first = commands.iter().filter(|command| command.host == "edge-camera-1-1");
    let lines: Vec<String> =
        of_first.map(|command| format!("{}: {}", command.module, command.rendered)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn commands_are_listed_in_their_order_as_they_will_run() {
    let lab = Lab::new(
        "- hosts: edge.*
  depends_on:
    - {service_selector: cloud.*, grouping: round_robin, prefix: hub}
  prepare:
    - {name: 'Bring {{ inventory_hostname }}', copy: {src: a.txt, dest: /opt/a.txt}}
  launch:
    - name: Camera
      shell: cctv camera --id {{ inventory_hostname }}-{{ item }} --hub {{ hub._id }}
      loop: \"{{ range(1, 3) | list }}\"
      async: 60
      poll: 0
    - {name: only one, command: echo one, when: inventory_hostname == play_hosts | last}
    - {name: port, wait_for: {port: 80}}
  finalize:
    - {fetch: {src: '/opt/{{ item }}', dest: '{{ working_dir }}/experiment-results/'}, loop: [x, y]}
- hosts: cloud.hub.*
  prepare:
    - {file: {path: /opt/d, state: directory}}
    - {debug: {var: duration}}
    - {set_fact: {a: 1, b: '{{ 1 + 1 }}'}}
    - {pause: {minutes: 1}}
    - {assert: {that: [a == 1, b == 2]}}
",
    );
    lab.artifact("a.txt", "");
    assert_eq!(lab.findings(), "");
    let commands = fogline_workflow::commands(&lab.plan, &lab.context);
    let line = |command: &fogline_workflow::PlannedCommand| serde_json::to_string(command).unwrap();
    let lines: Vec<String> = commands.iter().map(line).collect();
    insta::assert_snapshot!(lab.redacted(&lines.join("\n")));
}
