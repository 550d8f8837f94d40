//! Templates as Ansible's users write them.

use crate::lab::Lab;

/// What each expression prints on the first camera host.
fn printed(templates: &[&str]) -> Vec<String> {
    let mut tasks = String::new();
    for (index, template) in templates.iter().enumerate() {
        let quoted = template.replace('\'', "''");
        tasks.push_str(&format!("    - {{name: t{index}, debug: {{msg: '={quoted}'}}}}\n"));
    }
    let head = "- hosts: edge.*\n  depends_on:\n    - {service_selector: cloud.*, grouping: round_robin, prefix: hub}\n";
    let vars = "  vars: {list: [3, 1, 2], word: 'a/b/c.txt', text: '5', flag: false, nested: '{{ word }}', empty: null}\n";
    let lab = Lab::new(&format!("{head}{vars}  prepare:\n{tasks}"));
    assert_eq!(lab.findings(), "");
    let (live, outcome) = lab.prepare();
    outcome.expect("a phase without failures");
    let said = |index: usize| lab.redacted(&live.said(&format!("t{index}")))[1..].to_owned();
    (0..templates.len()).map(said).collect()
}

#[test]
fn filters_tests_and_functions_do_what_they_do_in_python() {
    let cases = [
        ("{{ range(1, 4) | list }}", "[1, 2, 3]"),
        ("{{ 7 // 2 }} {{ 7 % 4 }} {{ 7 / 2 }} {{ 2 ** 3 }}", "3 3 3.5 8"),
        ("{{ text | int + 1 }} {{ text | float }} {{ 5 | string }}", "6 5.0 5"),
        ("{{ flag }} {{ not flag }} {{ empty }}", "False True None"),
        ("{{ 'yes' | bool }} {{ 'off' | bool }} {{ 1 | bool }}", "True False True"),
        (
            "{{ list | sort | join('-') }} {{ list | length }} {{ list | first }} {{ list | last }}",
            "1-2-3 3 3 2",
        ),
        ("{{ word | basename }} {{ word | dirname }} {{ '/x' | dirname }}", "c.txt a/b /"),
        ("{{ missing | default('d') }} {{ missing | d(7) }}", "d 7"),
        ("{{ missing is defined }} {{ word is defined }} {{ missing is undefined }}", "False True True"),
        ("{{ ['a', 1, true, none] }} {{ {'k': \"it's\"} }}", "['a', 1, True, None] {'k': \"it's\"}"),
        ("{{ {'a': [1, 2]} | to_json }}", "{\"a\":[1,2]}"),
        ("{{ ('{\"a\": [1, 2]}' | from_json).a[1] }}", "2"),
        ("{{ word.split('/') | last }} {{ word | split('/') | first }}", "c.txt a"),
        ("{{ word | replace('/', '-') | upper }} {{ ' x ' | trim }}", "A-B-C.TXT x"),
        ("{{ [1, 1, 2] | unique | list }} {{ [1, [2, [3]]] | flatten }}", "[1, 2] [1, 2, 3]"),
        ("{{ 'a b' | quote }} {{ flag | ternary('y', 'n') }}", "'a b' n"),
        ("{{ list | map('string') | join }} {{ list | select('gt', 1) | list }}", "312 [3, 2]"),
        ("{% for i in list %}{{ loop.index }}{{ i }} {% endfor %}", "13 21 32 "),
        ("{{ nested }} {{ play_hosts | length }} {{ inventory_hostname }}", "a/b/c.txt 2 edge-camera-1-1"),
        ("{{ _self._id }} {{ hub._id }} {{ hub.__address__ == _self.__address__ }}", "2_1_1 1_1_1 False"),
        ("{{ duration }} {{ current_repeat }} {{ working_dir }}", "60 1 ROOT/artifacts"),
        ("{{ 'x' if flag else 'y' }} {{ 'b' in ['a', 'b'] }} {{ list[0:2] }}", "y True [3, 1]"),
    ];
    let templates: Vec<&str> = cases.iter().map(|(template, _)| *template).collect();
    let expected: Vec<&str> = cases.iter().map(|(_, expected)| *expected).collect();
    for ((got, expected), template) in printed(&templates).iter().zip(expected).zip(templates) {
        assert_eq!(got, expected, "{template}");
    }
}

#[test]
fn working_dir_is_the_run_folder_in_finalize_only() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare: [{name: p, debug: {msg: '{{ working_dir }}'}}]
  finalize: [{name: f, debug: {msg: '{{ working_dir }}'}}]
",
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    live.phase(fogline_plan::Phase::Finalize).unwrap();
    assert_eq!(lab.redacted(&live.said("p")), "ROOT/artifacts");
    assert_eq!(live.said("f"), live.run.root().display().to_string());
}

#[test]
fn omit_leaves_an_argument_out() {
    let lab = Lab::new(
        "- hosts: cloud.hub.*
  prepare:
    - {name: here, shell: pwd, args: {chdir: '{{ place | default(omit) }}'}}
",
    );
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    assert_eq!(live.ended("here")[0].stdout_tail, std::env::current_dir().unwrap().display().to_string());
}

#[test]
fn extra_variables_win_over_all_others() {
    let mut lab = Lab::new(
        "- hosts: cloud.hub.*
  vars: {env_rate: play}
  prepare: [{name: say, debug: {msg: '{{ env_rate }}'}, vars: {env_rate: task}}]
",
    );
    lab.context.variables.insert("env_rate".into(), serde_json::json!("extra"));
    let (live, outcome) = lab.prepare();
    outcome.unwrap();
    assert_eq!(live.said("say"), "extra");
}
