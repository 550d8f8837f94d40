//! `fogline shell` against a running experiment.

#![allow(clippy::print_stderr, reason = "a test that skips says so")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::Duration;
use support::experiment::{Experiment, until_there};
use support::{Traces, no_testbed, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);
const CLOUD: &str = "cloud-echo-1-1";

/// Whether hosts cannot be made here; says so.
fn skipped() -> bool {
    let missing = no_testbed();
    if let Some(missing) = &missing {
        eprintln!("skipped: {missing}");
    }
    missing.is_some()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Standard output, standard error and exit code.
fn said(output: &Output) -> (String, String, Option<i32>) {
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// Gives a command its input, and returns what it said.
fn fed(mut command: Command, input: Vec<u8>) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("fogline starts");
    let mut stdin = child.stdin.take().expect("its input");
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("its output");
    // Who does not read to the end breaks the pipe, which is its right.
    let _ = feeder.join().expect("the feeder");
    output
}

/// A shell's command in the background: its process, its input, and the lines of its output.
struct Running(Child, ChildStdin, BufReader<ChildStdout>);

fn start(experiment: &Experiment, script: &str) -> Running {
    let mut command = experiment.fogline(&["shell", CLOUD, "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("fogline starts");
    let (input, output) = (child.stdin.take().expect("its input"), child.stdout.take().expect("its output"));
    Running(child, input, BufReader::new(output))
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.2.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// Waits for its end: its exit code, and what it said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut error = String::new();
        self.0.stderr.take().expect("its errors").read_to_string(&mut error).expect("text");
        (self.0.wait().expect("a status").code(), error)
    }
}

/// Whether processes of the host live.
fn live(experiment: &Experiment, pids: &str) -> bool {
    let script = format!("for p in {pids}; do kill -0 $p 2>/dev/null || exit 1; done");
    experiment.shell(CLOUD, &["sh", "-c", &script]).status.success()
}

#[test]
fn commands_have_streams_and_codes_as_if_they_ran_here() {
    if skipped() {
        return;
    }
    let before = Traces::now();
    for experiment in [Some(Experiment::running()), Experiment::of_ordinary_user()].into_iter().flatten() {
        let script = "cat; echo to error >&2; hostname; id -u; exit 7";
        let command = experiment.fogline(&["shell", "cloud.echo.*", "--", "sh", "-c", script]);
        let expected = (format!("input\n{CLOUD}\n0\n"), "to error\n".to_owned(), Some(7));
        assert_eq!(said(&fed(command, b"input\n".to_vec())), expected);
        let killed = experiment.shell(CLOUD, &["sh", "-c", "kill -TERM $$"]);
        assert_eq!(killed.status.code(), Some(128 + 15));
        let piped = fed(experiment.fogline(&["shell", CLOUD]), b"echo by a shell; exit 4\n".to_vec());
        assert_eq!((text(&piped.stdout).as_str(), piped.status.code()), ("by a shell\n", Some(4)));
        let run = support::run_folders(&experiment.folder).pop().expect("a run folder");
        let words = ["shell", CLOUD, "--scenario", run.to_str().expect("a path"), "--", "pwd"];
        let output = experiment.fogline(&words).current_dir("/").output().expect("fogline runs");
        assert_eq!(text(&output.stdout), "/root\n", "{}", text(&output.stderr));
        let ssh = experiment.fogline(&["ssh", ".", CLOUD, "--", "echo", "hello"]).output();
        assert_eq!(text(&ssh.expect("fogline runs").stdout), "hello\n");
        terminal(&experiment);
    }
    assert_eq!(before, Traces::now(), "something was left behind");
}

#[test]
fn hosts_are_listed_and_what_selects_none_or_many_is_refused() {
    if skipped() {
        return;
    }
    let experiment = Experiment::running();
    let list = experiment.fogline(&["shell", "--list"]).output().expect("fogline runs");
    for word in [CLOUD, "10.99.0.1", "cloud.echo.1.1 (port 7007)", "edge-node-1-2"] {
        assert!(text(&list.stdout).contains(word), "`{word}` is missing:\n{}", text(&list.stdout));
    }
    let refused = |words: &[&str], code: i32, expected: &[&str]| {
        let (_, error, status) = said(&experiment.fogline(words).output().expect("fogline runs"));
        assert_eq!(status, Some(code), "{words:?}: {error}");
        for word in expected {
            assert!(error.contains(word), "{words:?}: `{word}` is missing:\n{error}");
        }
    };
    refused(&["shell", "edge", "--", "true"], 255, &["2 hosts", "edge-node-1-1", "edge-node-1-2"]);
    refused(&["shell", "egde", "--", "true"], 255, &["egde"]);
    refused(&["shell", CLOUD, "--", "/no/such/program"], 255, &[CLOUD, "/no/such/program"]);
    refused(&["shell", CLOUD, "--scenario", "/", "--", "true"], 255, &["no experiment that is running"]);
    refused(&["ssh", "."], 2, &["name the host"]);
    refused(&["ssh", ".", "-f", "-l", "0", "-r", "1"], 2, &["port 1", CLOUD, "edge-node-1-1"]);
    refused(&["ssh", ".", "-f", "-l", "0", "-r", "1", "edge"], 2, &["2 hosts"]);
    refused(&["ssh", ".", "-f", "-l", "0"], 2, &["--remote-port"]);
}

#[test]
fn much_passes_whole_in_both_directions() {
    if skipped() {
        return;
    }
    let experiment = Experiment::running();
    let digest = |path: &Path| {
        let output = Command::new("sha256sum").stdin(std::fs::File::open(path).expect("a file")).output();
        text(&output.expect("sha256sum runs").stdout)
    };
    let scratch = tempfile::tempdir().expect("a folder");
    let script = "head -c 48000000 /dev/urandom > /opt/much; sha256sum < /opt/much >&2; cat /opt/much";
    let output = experiment.shell(CLOUD, &["sh", "-c", script]);
    let copy = scratch.path().join("copy");
    std::fs::write(&copy, &output.stdout).expect("a file");
    assert_eq!((output.stdout.len(), digest(&copy)), (48_000_000, text(&output.stderr)));
    let sent = fed(experiment.fogline(&["shell", CLOUD, "--", "sha256sum"]), output.stdout);
    assert_eq!(text(&sent.stdout), digest(&copy), "{}", text(&sent.stderr));
    // Who reads one line and goes breaks the pipe, as with a program of this machine.
    let mut yes = start(&experiment, "exec yes");
    assert_eq!(yes.line(), "y");
    let Running(child, input, output) = yes;
    drop((input, output));
    assert_eq!(child.wait_with_output().expect("a status").status.code(), Some(141));
}

/// A shell in a terminal that `script` makes: its size and that it follows, what is typed, the exit code, and that the
/// terminal is left as it was, also by a signal.
fn terminal(experiment: &Experiment) {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no script (Debian: bsdutils)");
        return;
    }
    let shell = |words: &[&str]| {
        let command = experiment.fogline(&[&["shell", CLOUD], words].concat());
        let words = [command.get_program()].into_iter().chain(command.get_args());
        words.map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    };
    let resize = "(read go < resize; stty rows 41 cols 121 < /dev/tty) &";
    let stop = "(read go < stop; kill -TERM $(cat pid)) &";
    // The exec keeps the process id; fogline is what the signal ends.
    let stopped = shell(&["--", "sleep", "1000"]);
    let typed = format!(
        "stty rows 33 cols 91; mkfifo resize stop; stty -a > before; {resize}\n{}; echo code $?; stty -a > after\n\
         stty rows 33 cols 91; {stop}\nsh -c 'echo $$ > pid; exec \"$@\"' sh {stopped}; echo code $?; stty -a > last\n",
        shell(&[])
    );
    std::fs::write(experiment.folder.join("typed.sh"), typed).expect("a script");
    let mut script = Command::new("script");
    script.args(["-qfec", "sh typed.sh", "/dev/null"]).current_dir(&experiment.folder).env("TERM", "vt100");
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
    let mut keys = script.stdin.take().expect("its input");
    let mut shown = Shown { output: script.stdout.take().expect("its output"), text: String::new() };
    let mut type_in = |line: &str| keys.write_all(line.as_bytes()).expect("the shell takes keys");
    shown.until("$ ", "# ");
    type_in("trap 'echo resized to $(stty size)' WINCH; stty size; echo on $(hostname) as $TERM\r");
    shown.until("33 91", "33 91");
    shown.until(&format!("on {CLOUD} as vt100"), "?");
    std::fs::write(experiment.folder.join("resize"), "go\n").expect("the other end reads");
    shown.until("resized to 41 121", "41 121");
    type_in("exit 6\r");
    shown.until("code 6", "?");
    wait_for("a raw terminal", PATIENCE, || {
        experiment.folder.join("pid").exists().then_some(())?;
        experiment.events().contains("sleep 1000").then_some(())
    });
    std::fs::write(experiment.folder.join("stop"), "go\n").expect("the other end reads");
    shown.until("code 143", "?");
    assert!(script.wait().expect("a status").success());
    let state = |name: &str| {
        let state = std::fs::read_to_string(experiment.folder.join(name)).expect("what stty said");
        let (_, rest) =
            state.split_once(';').and_then(|(_, rest)| rest.split_once("columns")).expect("a size");
        rest.to_owned()
    };
    let after_size = |name: &str| state(name).split_once(';').map(|(_, rest)| rest.to_owned());
    assert!(after_size("before").is_some_and(|state| state.contains(" icanon")), "{}", state("before"));
    assert_eq!(after_size("before"), after_size("after"), "the terminal is left as it was");
    assert_eq!(after_size("before"), after_size("last"), "also by a signal");
}

/// What a terminal shows.
struct Shown {
    output: ChildStdout,
    text: String,
}

impl Shown {
    /// Reads until one of two words is shown; what was read then does not count for the next one.
    fn until(&mut self, word: &str, or: &str) {
        let mut buffer = [0; 4096];
        while !self.text.contains(word) && !self.text.contains(or) {
            let bytes = self.output.read(&mut buffer).expect("its output");
            assert!(bytes > 0, "`{word}` was never shown: {}", self.text);
            self.text.push_str(&text(&buffer[..bytes]));
        }
        let at = self.text.find(word).map(|at| at + word.len()).or_else(|| self.text.find(or)).unwrap_or(0);
        self.text.drain(..at);
    }
}

#[test]
fn what_a_killed_client_ran_ends_unless_it_detached_itself() {
    if skipped() {
        return;
    }
    let experiment = Experiment::running();
    let mut plain = start(&experiment, "sleep 1000 & echo $$ $!; wait");
    let detached = "setsid sleep 1000 & nohup sleep 1000 >/dev/null 2>&1 & \
                    until grep -q 'SigIgn:.*[13579bdf]$' /proc/$!/status; do sleep 0.05; done; echo $!; wait";
    let mut detached = start(&experiment, detached);
    let (pids, kept) = (plain.line(), detached.line());
    assert!(live(&experiment, &pids) && live(&experiment, &kept), "{pids}, {kept}");
    for mut client in [plain, detached] {
        client.0.kill().expect("SIGKILL");
        client.end();
    }
    for pid in pids.split(' ') {
        wait_for("the end of what ran", PATIENCE, || (!live(&experiment, pid)).then_some(()));
    }
    experiment.await_event("was hung up");
    assert!(live(&experiment, &kept), "nohup keeps a process until the run ends");
}

#[test]
fn hosts_can_be_entered_from_the_services_to_the_end_which_ends_all() {
    if skipped() {
        return;
    }
    let before = Traces::now();
    let waits = |phase: &str| {
        format!("  {phase}: [{{name: In {phase}, shell: '{}'}}]\n", until_there(&format!("/opt/{phase}")))
    };
    let workflow = format!("- hosts: cloud.*\n{}{}{}", waits("prepare"), waits("launch"), waits("finalize"));
    let mut experiment = Experiment::begin(false, &until_there("/opt/services"), &workflow);
    for (phase, task) in [("services", "Wait"), ("prepare", "In prepare"), ("launch", "In launch")] {
        experiment.await_event(&format!("\"task\":\"{task}\""));
        let made = experiment.shell(CLOUD, &["touch", &format!("/opt/{phase}")]);
        assert!(made.status.success(), "{phase}: {}", text(&made.stderr));
    }
    experiment.await_event(r#""kind":"phase_started","phase":"run""#);
    let mut client = start(&experiment, "echo ready; exec sleep 1000");
    assert_eq!(client.line(), "ready");
    let mut forward = experiment.fogline(&["ssh", "-f", "-l", "0", "-r", "7007"]);
    let mut forward = forward.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("fogline starts");
    let mut first = String::new();
    BufReader::new(forward.stdout.take().expect("its output")).read_line(&mut first).expect("a line");
    assert!(first.contains(&format!("-> {CLOUD}:7007")), "{first}");
    let asked = Command::new("kill").args(["-INT", &experiment.runner.id().to_string()]).status();
    assert!(asked.expect("kill runs").success());
    let (code, error) = client.end();
    assert_eq!(code, Some(255), "{error}");
    assert!(error.contains("the run is over"), "{error}");
    let ended = forward.wait_with_output().expect("a status");
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).contains("the run is over"), "{}", text(&ended.stderr));
    assert_eq!(experiment.runner.wait().expect("a status").code(), Some(130), "{}", experiment.log());
    let events = experiment.events();
    for word in
        ["touch /opt/prepare", "ended with code 0", "forward to port 7007", "by process", "was hung up"]
    {
        assert!(events.contains(word), "the journal does not tell of `{word}`");
    }
    drop(experiment);
    assert_eq!(before, Traces::now(), "something was left behind");
}
