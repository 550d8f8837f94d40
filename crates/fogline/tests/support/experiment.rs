//! A small experiment that runs for as long as a test needs it.

use super::{FOGLINE, LENIENT, deploy_as, run_folders, wait_for};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// `nobody`: an ordinary user on every machine.
const ORDINARY: &str = "65534";

const LAYERS: &str = "environment: {local: {}}\nlayers:\n- name: cloud\n  services: [{name: Echo}]\n\
                      - name: edge\n  services: [{name: Node, quantity: 2}]\n";

/// A service that sends back what it gets, on port 7007 of its host; before that comes what `first` does.
fn echo(first: &str) -> String {
    format!(
        "service: Echo\nsummary: sends back what it gets\ndefault_engine: embedded\nengines:\n  embedded:\n    port: 7007\n    \
         deploy:\n    - name: Wait\n      shell: '{first}'\n    - name: Echo\n      \
         command: fogline __traffic tcp-answer --port 7007 --patience 3000\n      async: 86400\n      poll: 0\n"
    )
}

/// Shell: waits until a file is there, a minute at most.
pub(crate) fn until_there(file: &str) -> String {
    format!("n=0; until [ $n -ge 600 ] || test -e {file}; do n=$((n+1)); sleep 0.1; done; [ $n -lt 600 ]")
}

/// A running experiment of three hosts, the echo service on the first. Dropped, it ends at once.
pub(crate) struct Experiment {
    pub(crate) runner: Child,
    pub(crate) folder: PathBuf,
    program: PathBuf,
    ordinary: bool,
    /// Removed last.
    scratch: tempfile::TempDir,
}

impl Drop for Experiment {
    fn drop(&mut self) {
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

impl Experiment {
    /// An experiment in its run phase.
    pub(crate) fn running() -> Self {
        let experiment = Self::begin(false, "true", "[]");
        experiment.await_event(r#""kind":"phase_started","phase":"run""#);
        experiment
    }

    /// As [`Experiment::running`], of an ordinary user; `None` when the tests' own user is one.
    pub(crate) fn of_ordinary_user() -> Option<Self> {
        let id = Command::new("id").arg("-u").output().expect("id runs");
        (id.stdout == b"0\n").then(|| {
            let experiment = Self::begin(true, "true", "[]");
            experiment.await_event(r#""kind":"phase_started","phase":"run""#);
            experiment
        })
    }

    /// An experiment that begins, with a task before the service and entries of a workflow.
    pub(crate) fn begin(ordinary: bool, before_service: &str, workflow: &str) -> Self {
        let scratch = tempfile::Builder::new().prefix("experiment-").tempdir().expect("a folder");
        let folder = scratch.path().join("scenario");
        std::fs::create_dir_all(folder.join("services")).expect("a scenario folder");
        for (name, text) in [
            ("layers_services.yaml", LAYERS),
            ("workflow.yaml", workflow),
            ("services/Echo.yaml", &echo(before_service)),
        ] {
            std::fs::write(folder.join(name), text).expect("a scenario file");
        }
        let mut program = PathBuf::from(FOGLINE);
        if ordinary {
            program = scratch.path().join("fogline");
            std::fs::copy(FOGLINE, &program).expect("a program");
            open(scratch.path(), 0o755);
            open(&program, 0o755);
            open(&folder, 0o777);
            // Where /dev/net/tun is closed to users, root opens a node of its own.
            let mut node = Command::new("mknod");
            node.args(["-m", "0666"]).arg(scratch.path().join("tun")).args(["c", "10", "200"]);
            assert!(node.status().expect("mknod runs").success(), "no device node for an ordinary user");
        }
        let (tun, log) = (scratch.path().join("tun"), scratch.path().join("log"));
        let mut command = command_as(&program, ordinary);
        if ordinary {
            command.env("FOGLINE_TUN", tun);
        }
        let runner = deploy_as(command, &folder, &log, &[&["--duration", "600"], &LENIENT[..]].concat());
        Self { runner, folder, program, ordinary, scratch }
    }

    /// What the runner has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// The journal, without blanks.
    pub(crate) fn events(&self) -> String {
        let run = run_folders(&self.folder).pop();
        let text = run.map(|run| std::fs::read_to_string(run.join("fogline/events.jsonl")));
        text.and_then(Result::ok).unwrap_or_default()
    }

    /// Waits for a word in the journal.
    pub(crate) fn await_event(&self, word: &str) {
        wait_for(word, PATIENCE, || {
            let events = self.events();
            assert!(!events.contains("run_ended") || events.contains(word), "it ended:\n{}", self.log());
            events.contains(word).then_some(())
        });
    }

    /// `fogline` with these words, in the scenario's folder.
    pub(crate) fn fogline(&self, words: &[&str]) -> Command {
        let mut command = command_as(&self.program, self.ordinary);
        command.args(words).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// What a command on a host says.
    pub(crate) fn shell(&self, host: &str, words: &[&str]) -> Output {
        self.fogline(&[&["shell", host, "--"], words].concat()).output().expect("fogline runs")
    }
}

fn open(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

fn command_as(program: &Path, ordinary: bool) -> Command {
    if !ordinary {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", ORDINARY, "--regid", ORDINARY, "--clear-groups", "--"]).arg(program);
    command
}
