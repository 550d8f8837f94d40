//! A scenario with three hosts, whose agents run in this process. All share one file system; `{{ root }}` is a folder
//! of the test, and `{{ home }}` one folder per host in it.

use fogline_agent::{Client, Role, Settings, serve_on};
use fogline_journal::{Clock, Event, Journal, RunFolder, TaskEnded, read_events};
use fogline_plan::{Phase, Plan};
use fogline_scenario::{Diagnostic, Source, Sources};
use fogline_workflow::{Cancel, Context, PhaseOutcome, Workflow, WorkflowError};
use serde_json::json;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LAYERS: &str = "\
environment: {local: {}}
layers:
  - name: cloud
    services: [{name: Hub}]
  - name: edge
    services: [{name: Camera, repeat: 1}]
";

const DEFAULT_SERVICE: &str = "\
service: Default
summary: plain hosts
default_engine: embedded
engines: {embedded: {}}
";

/// A scenario in a temporary folder, with everything to run it.
pub(crate) struct Lab {
    folder: tempfile::TempDir,
    pub(crate) plan: Plan,
    pub(crate) context: Context,
    pub(crate) cancel: Cancel,
}

/// A lab's workflow, live.
pub(crate) struct Live {
    pub(crate) workflow: Workflow,
    pub(crate) run: RunFolder,
    pub(crate) agents: Vec<Client>,
    plan: Plan,
}

/// The plan of a workflow over the lab's three hosts.
pub(crate) fn plan(layers: &str, workflow: &str) -> Plan {
    let sources = Sources {
        layers: Source::new("layers_services.yaml", layers),
        network: None,
        workflow: Some(Source::new("workflow.yaml", workflow)),
        services: vec![Source::new("Default.yaml", DEFAULT_SERVICE)],
        traces: Vec::new(),
    };
    let (scenario, findings) = fogline_scenario::parse(&sources);
    let scenario = scenario.unwrap_or_else(|| panic!("{findings:?}"));
    let options = fogline_plan::Options { scenario: "lab".to_owned(), ..fogline_plan::Options::default() };
    let (plan, findings) = fogline_plan::plan(&scenario, &options);
    plan.unwrap_or_else(|| panic!("{findings:?}"))
}

impl Lab {
    pub(crate) fn new(workflow: &str) -> Self {
        Self::with_layers(LAYERS, workflow)
    }

    pub(crate) fn with_layers(layers: &str, workflow: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().canonicalize().expect("its real path");
        let plan = plan(layers, workflow);
        for host in &plan.hosts {
            fs::create_dir_all(root.join("hosts").join(&host.name)).expect("a host's folder");
        }
        for sub in ["artifacts", "scenario"] {
            fs::create_dir(root.join(sub)).expect("a folder");
        }
        let mut context = Context::new(&root.join("scenario"), &root.join("artifacts"), &root.join("run"));
        context.task_timeout = Duration::from_secs(20);
        context.variables.insert("root".into(), json!(root.join("hosts")));
        Self { folder, plan, context, cancel: Cancel::new() }
    }

    pub(crate) fn artifact(&self, name: &str, content: &str) -> PathBuf {
        let path = self.context.artifacts_dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("an artifact");
        path
    }

    /// A file of a host.
    pub(crate) fn on(&self, host: &str, path: &str) -> PathBuf {
        self.root().join("hosts").join(host).join(path)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("its real path")
    }

    pub(crate) fn check(&self) -> Vec<Diagnostic> {
        fogline_workflow::check(&self.plan, &self.context)
    }

    /// What `check` says, without the names of temporary folders.
    pub(crate) fn findings(&self) -> String {
        let lines: Vec<String> = self.check().iter().map(ToString::to_string).collect();
        self.redacted(&lines.join("\n"))
    }

    pub(crate) fn redacted(&self, text: &str) -> String {
        text.replace(self.root().to_str().expect("a text"), "ROOT")
    }

    /// Starts the agents.
    pub(crate) fn live(&self) -> Live {
        let run = RunFolder::create(&self.context.scenario_dir, &Clock::system()).expect("a run folder");
        let context = Context { output_dir: run.root().to_path_buf(), ..self.context.clone() };
        let jobs = self.root().join("jobs");
        let agents: Vec<Client> = self.plan.hosts.iter().map(|host| agent(&host.name, &jobs)).collect();
        let journal = Journal::open(&run, &Clock::system(), Vec::new()).expect("a journal");
        let workflow = Workflow::new(
            &self.plan.hosts,
            agents.clone(),
            context,
            run.clone(),
            journal,
            self.cancel.clone(),
        );
        Live { workflow, run, agents, plan: self.plan.clone() }
    }

    /// Runs the prepare phase on live hosts.
    pub(crate) fn prepare(&self) -> (Live, Result<PhaseOutcome, WorkflowError>) {
        let live = self.live();
        let outcome = live.phase(Phase::Prepare);
        (live, outcome)
    }
}

fn agent(host: &str, jobs: &Path) -> Client {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let settings = Settings { job_directory: jobs.join(host), ..Settings::new(Role::Guest) };
    std::thread::spawn(move || {
        let read = theirs.try_clone().expect("a second descriptor");
        serve_on(read, theirs, settings).expect("an agent that ends well");
    });
    Client::new(ours, host).expect("a client")
}

impl Live {
    pub(crate) fn phase(&self, phase: Phase) -> Result<PhaseOutcome, WorkflowError> {
        self.workflow.run_phase(&self.plan.entries, phase)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        let events = read_events(&self.run).expect("events");
        events.records.into_iter().map(|record| record.event).collect()
    }

    /// The ends of tasks of that name.
    pub(crate) fn ended(&self, task: &str) -> Vec<TaskEnded> {
        let ended = |event| match event {
            Event::TaskEnded(ended) if ended.task == task => Some(*ended),
            _ => None,
        };
        let mut found: Vec<TaskEnded> = self.events().into_iter().filter_map(ended).collect();
        // Hosts work at once, so whose event comes first is chance.
        found.sort_by(|a, b| a.host.cmp(&b.host));
        found
    }

    /// What a `debug` task said on the first host.
    pub(crate) fn said(&self, task: &str) -> String {
        self.ended(task).first().and_then(|ended| ended.message.clone()).unwrap_or_default()
    }

    /// What is fetched below `experiment-results`.
    pub(crate) fn result(&self, path: &str) -> String {
        fs::read_to_string(self.run.experiment_results().join(path)).expect("a fetched file")
    }
}

/// Reads a file; panics with its name when it is not there.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
