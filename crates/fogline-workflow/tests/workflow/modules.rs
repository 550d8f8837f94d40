//! Every module, by what it leaves behind.

use crate::lab::{Lab, read};
use fogline_plan::Phase;
use fogline_workflow::WorkflowError;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

fn failure(lab: &Lab) -> String {
    let (_live, outcome) = lab.prepare();
    match outcome {
        Err(WorkflowError::Task(failure)) => lab.redacted(&failure.to_string()),
        other => panic!("expected a failed task, got {other:?}"),
    }
}

#[test]
fn shell_has_a_shell_a_directory_and_an_input() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - name: say
      shell: echo one; echo two >&2; pwd; cat
      args: {chdir: '{{ root }}', stdin: given}
      register: out
    - name: show
      debug: {msg: '{{ out.rc }}|{{ out.stdout }}|{{ out.stderr }}|{{ out.stdout_lines | length }}|{{ out.changed }}'}
    - name: bash
      shell: 'echo ${BASH_VERSION:+bash}'
      args: {executable: /bin/bash}
",
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    assert_eq!(lab.redacted(&live.said("show")), "0|one\nROOT/hosts\ngiven|two|3|True");
    assert_eq!(live.ended("bash")[0].stdout_tail, "bash");
}

#[test]
fn shell_is_spared_by_creates_and_removes() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - shell: echo x >> {{ root }}/made
      args: {creates: '{{ root }}/made'}
      loop: [1, 2, 3]
    - shell: 'mv made gone'
      args: {chdir: '{{ root }}', removes: made}
      loop: [1, 2]
",
    );
    let (_live, outcome) = lab.prepare();
    let outcome = outcome.unwrap();
    assert_eq!((outcome.tasks, outcome.changed), (5, 2));
    assert_eq!(read(&lab.root().join("hosts/gone")), "x\n");
}

#[test]
fn command_splits_words_and_has_no_shell() {
    let lab = Lab::new(
        r#"- hosts: cloud.hub.*
  prepare:
    - name: words
      command: printf '%s|' "a b" c\ d '$HOME' ; echo
    - name: argv
      command: {argv: [printf, '%s|', 'a b', '{{ 1 + 1 }}']}
"#,
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    assert_eq!(live.ended("words")[0].stdout_tail, "a b|c d|$HOME|;|echo|");
    assert_eq!(live.ended("argv")[0].stdout_tail, "a b|2|");
}

#[test]
fn a_command_that_cannot_be_split_or_found_is_named() {
    let open = Lab::new("- {hosts: cloud.hub.*, prepare: [{command: \"echo 'open\"}]}");
    assert!(open.findings().contains("cannot be split into words"), "{}", open.findings());
    let missing = Lab::new("- {hosts: cloud.hub.*, prepare: [{command: no-such-program --x}]}");
    assert!(failure(&missing).contains("no-such-program"), "{}", failure(&missing));
}

#[test]
fn copy_puts_files_where_ansible_puts_them() {
    let lab = Lab::new(
        "- hosts: edge.*
  vars: {home: '{{ root }}/{{ inventory_hostname }}'}
  prepare:
    - {name: file, copy: {src: '{{ working_dir }}/a.txt', dest: '{{ home }}/deep/b.txt', mode: '0640'}}
    - {name: slash, copy: {src: a.txt, dest: '{{ home }}/new/'}}
    - {name: existing, copy: {src: a.txt, dest: '{{ home }}/deep'}}
    - {name: text, copy: {content: \"n={{ inventory_hostname }}\\n\", dest: '{{ home }}/text', mode: u=rw}}
    - {name: data, copy: {content: {a: [1, '{{ 1 + 1 }}']}, dest: '{{ home }}/data.json'}}
    - {name: again, copy: {src: a.txt, dest: '{{ home }}/deep/b.txt'}}
    - {name: kept, copy: {content: other, dest: '{{ home }}/deep/b.txt', force: false}}
    - {name: within, copy: {src: '{{ home }}/deep', dest: '{{ home }}/twin', remote_src: true}}
",
    );
    lab.artifact("a.txt", "content");
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    for host in ["edge-camera-1-1", "edge-camera-2-1"] {
        let on = |path: &str| lab.on(host, path);
        for path in ["deep/b.txt", "new/a.txt", "deep/a.txt", "twin/a.txt"] {
            assert_eq!(read(&on(path)), "content", "{path}");
        }
        let mode = |path: &str| fs::metadata(on(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("deep/b.txt"), mode("text") & 0o700), (0o640, 0o600));
        assert_eq!(read(&on("text")), format!("n={host}\n"));
        assert_eq!(read(&on("data.json")), r#"{"a":[1,2]}"#);
    }
    assert!(live.ended("file").iter().all(|task| task.changed));
    assert!(live.ended("again").iter().all(|task| !task.changed));
    assert!(live.ended("kept").iter().all(|task| !task.changed));
}

#[test]
fn copy_of_a_folder_depends_on_the_slash() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - copy: {src: tree, dest: '{{ root }}/with'}
    - copy: {src: tree/, dest: '{{ root }}/contents', mode: '0600'}
",
    );
    lab.artifact("tree/a", "1");
    lab.artifact("tree/sub/b", "2");
    let (_live, outcome) = lab.prepare();
    outcome.unwrap();
    let hosts = lab.root().join("hosts");
    assert_eq!(read(&hosts.join("with/tree/sub/b")), "2");
    assert_eq!(read(&hosts.join("contents/sub/b")), "2");
    let mode = fs::metadata(hosts.join("contents/sub/b")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(hosts.join("contents/sub").is_dir());
}

#[test]
fn fetch_puts_files_below_the_hosts_name_unless_flat() {
    let lab = Lab::new(
        "- hosts: edge.*
  vars: {home: '{{ root }}/{{ inventory_hostname }}'}
  prepare:
    - shell: echo {{ item }} > {{ home }}/{{ item }}.csv
      loop: [a, b]
  finalize:
    - name: deep
      fetch: {src: '{{ home }}/{{ item }}.csv', dest: '{{ working_dir }}/experiment-results/deep'}
      loop: [a, b]
    - fetch: {src: '{{ home }}/a.csv', dest: 'experiment-results/flat/{{ inventory_hostname }}.csv', flat: true}
    - fetch: {src: '{{ home }}/../{{ inventory_hostname }}/b.csv', dest: experiment-results/slash/, flat: true}
    - name: absent
      fetch: {src: '{{ home }}/none', dest: experiment-results/, fail_on_missing: false}
",
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    live.phase(Phase::Finalize).unwrap();
    for host in ["edge-camera-1-1", "edge-camera-2-1"] {
        let below = lab.on(host, "b.csv");
        let below = below.strip_prefix("/").unwrap().display().to_string();
        assert_eq!(live.result(&format!("deep/{host}/{below}")), "b\n");
        assert_eq!(live.result(&format!("flat/{host}.csv")), "a\n");
    }
    assert_eq!(live.result("slash/b.csv"), "b\n");
    assert!(live.ended("absent").iter().all(|task| task.skipped && !task.failed));
}

#[test]
fn fetch_cannot_lead_out_of_the_hosts_folder() {
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{fetch: {src: '{{ root }}/../up', dest: got}}]}");
    fs::write(lab.root().join("up"), "x").unwrap();
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    let below = lab.root().join("hosts/up").strip_prefix("/").unwrap().to_path_buf();
    assert_eq!(read(&live.run.root().join("got/cloud-hub-1-1").join(below)), "x");
}

#[test]
fn fetch_of_nothing_and_of_a_folder_fails_by_name() {
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{fetch: {src: '{{ root }}/none', dest: x}}]}");
    assert!(
        failure(&lab).contains("the file ROOT/hosts/none does not exist on the host"),
        "{}",
        failure(&lab)
    );
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{fetch: {src: '{{ root }}', dest: x}}]}");
    assert!(failure(&lab).contains("ROOT/hosts is a folder; fetch takes files"), "{}", failure(&lab));
}

#[test]
fn file_makes_links_touches_and_removes() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  vars: {d: '{{ root }}/d'}
  prepare:
    - {name: make, file: {path: '{{ d }}/e', state: directory, mode: '0700'}}
    - {name: make again, file: {path: '{{ d }}/e', state: directory, mode: '0700'}}
    - {name: touch, file: {dest: '{{ d }}/t', state: touch, mode: '0604'}}
    - {name: link, file: {src: t, dest: '{{ d }}/l', state: link}}
    - {name: link again, file: {src: t, dest: '{{ d }}/l', state: link}}
    - {name: hard, file: {src: '{{ d }}/t', dest: '{{ d }}/h', state: hard}}
    - {name: mode, file: {path: '{{ d }}/t', mode: '0644'}}
    - {name: deep, file: {path: '{{ d }}', state: directory, recurse: true, mode: u=rwX}}
    - {name: remove, file: {path: '{{ d }}/e', state: absent}}
    - {name: remove again, file: {path: '{{ d }}/e', state: absent}}
",
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    let folder = lab.root().join("hosts/d");
    assert!(!folder.join("e").exists());
    assert_eq!(fs::read_link(folder.join("l")).unwrap().to_str(), Some("t"));
    assert_eq!(fs::metadata(folder.join("h")).unwrap().permissions().mode() & 0o777, 0o644);
    let changed = |name: &str| live.ended(name)[0].changed;
    for name in ["make", "touch", "link", "hard", "mode", "remove"] {
        assert!(changed(name), "{name}");
    }
    for name in ["make again", "link again", "remove again"] {
        assert!(!changed(name), "{name}");
    }
}

#[test]
fn file_without_a_state_needs_a_file() {
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{file: {path: '{{ root }}/none'}}]}");
    assert!(failure(&lab).contains("ROOT/hosts/none does not exist"), "{}", failure(&lab));
}

#[test]
fn template_renders_a_file_for_each_host() {
    let lab = Lab::new(
        "- hosts: edge.*
  vars: {home: '{{ root }}/{{ inventory_hostname }}', n: 2}
  prepare:
    - {name: put, template: {src: conf.j2, dest: '{{ home }}/conf'}}
    - {name: into, template: {src: conf.j2, dest: '{{ home }}/'}}
",
    );
    lab.artifact(
        "conf.j2",
        "# {{ inventory_hostname }}\n{% for i in range(n) %}\nline {{ loop.index }}\n{% endfor %}\n",
    );
    let (_live, outcome) = lab.prepare();
    outcome.unwrap();
    let expected = "# edge-camera-2-1\nline 1\nline 2\n";
    assert_eq!(read(&lab.on("edge-camera-2-1", "conf")), expected);
    // A file that goes into a folder keeps its name, without the template's ending.
    assert!(lab.on("edge-camera-2-1", "conf").is_file());
    let broken = Lab::new("- {hosts: cloud.hub.*, prepare: [{template: {src: c.j2, dest: /tmp/x}}]}");
    broken.artifact("c.j2", "one\n{{ nope }}\n");
    assert!(broken.findings().contains("c.j2:2: `nope` is undefined"), "{}", broken.findings());
}

#[test]
fn wait_for_sees_ports_and_files_come_and_go() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lab = Lab::new(&format!(
        "- hosts: cloud.hub.*
  prepare:
    - {{name: port, wait_for: {{port: {port}, timeout: 10}}}}
    - shell: (until test -e {{{{ root }}}}/go; do sleep 0.01; done; touch {{{{ root }}}}/late) > /dev/null 2>&1
      async: 20
      poll: 0
    - {{name: go, file: {{path: '{{{{ root }}}}/go', state: touch}}}}
    - {{name: late, wait_for: {{path: '{{{{ root }}}}/late', timeout: 10}}}}
    - {{name: gone, wait_for: {{path: '{{{{ root }}}}/never', state: absent}}}}
    - {{name: up, wait_for_connection: {{timeout: 5}}}}
"
    ));
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    assert_eq!(live.ended("port").len(), 1);
    assert!(lab.root().join("hosts/late").exists());
    // A port that was just given back may be anybody's by now; nobody listens on port 1.
    let closed =
        Lab::new("- {hosts: cloud.hub.*, prepare: [{wait_for: {port: 1, timeout: 0.2, sleep: 0.05}}]}");
    assert!(failure(&closed).contains("waited 0.2 s in vain for 127.0.0.1:1 to answer"));
    let stopped = Lab::new("- {hosts: cloud.hub.*, prepare: [{wait_for: {port: 1, state: stopped}}]}");
    stopped.prepare().1.unwrap();
}

#[test]
fn facts_debug_stat_and_assert_work_together() {
    let lab = Lab::new(
        "- hosts: edge.*
  prepare:
    - {copy: {content: abc, dest: '{{ root }}/{{ inventory_hostname }}/f', mode: '0604'}}
    - {stat: {path: '{{ root }}/{{ inventory_hostname }}/f'}, register: there}
    - {stat: {path: '{{ root }}/none'}, register: absent}
    - {set_fact: {size: '{{ there.stat.size }}', who: 'on {{ inventory_hostname }}'}}
    - {name: say, debug: {msg: '{{ who }} {{ size + 1 }} {{ there.stat.mode }} {{ there.stat.isreg }}'}}
    - {name: var, debug: {var: absent.stat.exists}}
    - {name: none, debug: {var: nothing.here}, when: false}
    - name: hold
      assert: {that: [size == 3, not absent.stat.exists, there is succeeded], success_msg: fine}
",
    );
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    assert_eq!(live.said("say"), "on edge-camera-1-1 4 0604 True");
    assert_eq!(live.said("var"), "absent.stat.exists: false");
    assert_eq!(live.said("hold"), "fine");
}

#[test]
fn fail_and_assert_say_what_they_were_told() {
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{fail: {msg: 'no {{ 1 + 1 }}'}}]}");
    assert!(failure(&lab).contains("(fail) failed on cloud-hub-1-1: no 2"), "{}", failure(&lab));
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{assert: {that: 1 > 2}}]}");
    assert!(failure(&lab).contains("assertion failed: 1 > 2"), "{}", failure(&lab));
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{assert: {that: 1 > 2, msg: so it is}}]}");
    assert!(failure(&lab).contains("so it is"), "{}", failure(&lab));
}

#[test]
fn a_pause_ends_when_the_run_is_stopped() {
    let lab = Lab::new("- {hosts: cloud.hub.*, prepare: [{pause: {seconds: 0.01}}, {pause: {minutes: 60}}]}");
    let live = lab.live();
    let cancel = lab.cancel.clone();
    let (done, outcome) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| done.send(live.phase(Phase::Prepare)).unwrap());
        while live.ended("pause").is_empty() {
            std::thread::yield_now();
        }
        cancel.set();
        let outcome = outcome.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert!(matches!(outcome, Err(WorkflowError::Cancelled(_))), "{outcome:?}");
    });
}
