//! One run of an experiment: testbed, services, network, prepare, launch, wait, finalize, release.

use crate::cli::{DataPath, DeployArgs};
use crate::control::{ControlSocket, Desk};
use crate::load::{Loaded, absolute};
use crate::measure::measure;
use crate::network::Live;
use crate::progress::Progress;
use crate::shell::Hosts;
use crate::software::{self, Software};
use fogline_agent::AgentError;
use fogline_journal::{
    Clock, Event, HostUp, Journal, JournalError, LateBound, Machine, Manifest, NetworkPlan, NetworkVerdict,
    RunFolder, RunPhase, RunStarted, RunnerLock, digest_files, write_json, write_services,
};
use fogline_plan::{Phase, Plan};
use fogline_testbed::{LocalOptions, LocalTestbed, TestbedError};
use fogline_workflow::{Cancel, Context, Workflow, WorkflowError};
use link::Bounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the samples of a host lie until the end of the run.
const SAMPLES: &str = "/tmp/fogline/dstat.csv";

/// Why a run stopped before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Somebody asked.
    #[error("stopped from outside")]
    Interrupted,
    /// Hosts or links could not be had, or were lost.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// A service or a task failed.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// The run folder cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A host's agent does not answer.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The network could not be measured.
    #[error("measuring the network: {0}")]
    Measure(String),
}

/// A run in progress.
pub(crate) struct Run<'a> {
    args: &'a DeployArgs,
    plan: &'a Plan,
    context: Context,
    software: &'a Software,
    cancel: Cancel,
    progress: Arc<Progress>,
    /// The run folder.
    pub(crate) folder: RunFolder,
    /// Its events.
    pub(crate) journal: Journal,
    /// Its manifest so far.
    pub(crate) manifest: Manifest,
    _lock: RunnerLock,
}

impl<'a> Run<'a> {
    /// Makes the run folder and writes down what is about to run.
    ///
    /// # Errors
    /// When the run folder cannot be made or written.
    pub(crate) fn begin(
        args: &'a DeployArgs,
        loaded: &'a Loaded,
        software: &'a Software,
        repeat: u32,
        cancel: &Cancel,
    ) -> Result<Self, JournalError> {
        let clock = Clock::system();
        let folder = RunFolder::create(&args.scenario.scenario, &clock)?;
        let lock = RunnerLock::acquire(&folder)?;
        let progress = Progress::start();
        let shown = Arc::clone(&progress);
        let journal = Journal::open(&folder, &clock, vec![Box::new(move |record| shown.event(record))])?;
        let mut context = loaded.context.clone();
        context.output_dir = folder.root().to_owned();
        context.current_repeat = repeat;
        let mut manifest = manifest(args, loaded, repeat, &clock)?;
        manifest.versions.extend(software.versions.clone());
        manifest.write(&folder)?;
        let plan = &loaded.plan;
        NetworkPlan::of(plan).write(&folder)?;
        journal.emit(Event::RunStarted(RunStarted {
            scenario: plan.scenario.clone(),
            folder: folder.root().display().to_string(),
            hosts: plan.hosts.len(),
            seed: args.seed,
            duration_s: args.scenario.duration,
            machine: manifest.machine.clone(),
        }))?;
        Ok(Self {
            args,
            plan,
            context,
            software,
            cancel: cancel.clone(),
            progress,
            folder,
            journal,
            manifest,
            _lock: lock,
        })
    }

    /// Deploys, runs and releases.
    ///
    /// # Errors
    /// The first thing that went wrong; everything is released all the same.
    pub(crate) fn experiment(&self) -> Result<(), Stop> {
        let testbed = self.phase(RunPhase::Testbed, || self.bring_up())?;
        let mut probed = None;
        let done = self.on_hosts(&testbed, &mut probed);
        let kept = self.bring_back(&testbed, probed.as_ref());
        let released = testbed.release();
        done?;
        kept?;
        released?;
        Ok(())
    }

    fn bring_up(&self) -> Result<LocalTestbed, Stop> {
        let begin = Instant::now();
        let options = LocalOptions {
            seed: self.args.seed,
            congestion: self.args.congestion.clone(),
            program_directories: program_directories(),
            software: self.software.folders.clone(),
            data_limit: self.args.disk,
            workers: usize::from(self.args.workers),
            path: self.args.data_path.map(netem::DataPath::from),
            ..LocalOptions::default()
        };
        if self.args.data_path == Some(DataPath::Kernel) {
            if !self.plan.changes.is_empty() {
                let message =
                    "the data path kernel cannot follow the changes of network.yaml: use tap or packet";
                return Err(TestbedError::Options(message.to_owned()).into());
            }
            let message =
                "the kernel does not tell how late its packets are: this network cannot prove itself";
            self.journal.emit(Event::Warning { message: message.to_owned() })?;
        }
        let testbed = LocalTestbed::deploy(self.plan, &options)?;
        let elapsed_ms = begin.elapsed().as_secs_f64() * 1e3;
        for host in &self.plan.hosts {
            let (name, address) = (host.name.clone(), host.address.to_string());
            self.journal.emit(Event::HostUp(HostUp { host: name, address, elapsed_ms }))?;
        }
        for note in testbed.notes() {
            self.journal.emit(Event::Note { message: note.clone() })?;
        }
        for hidden in testbed.hidden() {
            self.journal.emit(Event::Note { message: format!("hosts do not see {hidden}") })?;
        }
        Ok(testbed)
    }

    /// All that happens while the hosts live. `probed` takes the network's counters once it has been measured, so
    /// that the probes do not count as traffic of the run.
    fn on_hosts(&self, testbed: &LocalTestbed, probed: &mut Option<netem::Snapshot>) -> Result<(), Stop> {
        let agents = testbed.agents();
        for (_, agent) in self.plan.hosts.iter().zip(agents).filter(|(host, _)| host.monitored) {
            agent.start_samples(Path::new(SAMPLES), Duration::from_secs(1))?;
        }
        write_services(&self.folder, self.plan)?;
        let desk = Desk::new(Hosts::new(self.plan, agents, &self.journal));
        self.open_to_all(&desk, || self.with_services(testbed, &desk, probed))
    }

    /// From the start of the services to the end of finalize.
    fn with_services<'b>(
        &'b self,
        testbed: &'b LocalTestbed,
        desk: &Desk<'b>,
        probed: &mut Option<netem::Snapshot>,
    ) -> Result<(), Stop> {
        let workflow = Workflow::new(
            &self.plan.hosts,
            testbed.agents().to_vec(),
            self.context.clone(),
            self.folder.clone(),
            self.journal.clone(),
            self.cancel.clone(),
        );
        self.phase(RunPhase::Services, || Ok(workflow.deploy(&self.plan.deployments).map(drop)?))?;
        self.phase(RunPhase::Network, || {
            measure(self.plan, testbed, &self.folder, &self.journal)
                .map_err(|error| Stop::Measure(error.to_string()))
        })?;
        let probes = probed.insert(testbed.network()?);
        let (bounds, name) = (self.manifest.bounds, self.folder.name());
        let live = Live::new(self.plan, testbed, bounds, probes.clone(), name, &self.journal);
        let live = desk.take_network(live);
        let done = self.application(&workflow, live);
        let done = done.and_then(|()| self.play(&workflow, Phase::Finalize));
        self.collect(&workflow)?;
        done?;
        workflow.check_jobs()?;
        Ok(())
    }

    /// Brings back the services' own records, also when the application has failed; what cannot be had is a warning.
    fn collect(&self, workflow: &Workflow) -> Result<(), Stop> {
        if self.plan.collections.is_empty() || self.cancel.is_set() {
            return Ok(());
        }
        let collected = self.journal.phase(RunPhase::Collect, || workflow.collect(&self.plan.collections));
        if let Err(error) = collected {
            let message = format!("not all records of the services could be brought back: {error}");
            self.journal.emit(Event::Warning { message })?;
        }
        Ok(())
    }

    /// Does `work` while hosts can be entered and the network can be changed by hand.
    fn open_to_all(&self, desk: &Desk<'_>, work: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
        let closed = |error: std::io::Error| Event::Warning {
            message: format!("nobody can enter hosts or change the network by hand: {error}"),
        };
        let socket = match ControlSocket::bind(&self.folder) {
            Ok(socket) => socket,
            Err(error) => {
                self.journal.emit(closed(error))?;
                return work();
            }
        };
        std::thread::scope(|scope| {
            let served = socket.serve(scope, desk);
            let done = served.map_or_else(|error| self.journal.emit(closed(error)), Ok);
            let done = done.map_err(Stop::from).and_then(|()| work());
            socket.close();
            done
        })
    }

    /// Prepare, launch, and the time that the application gets.
    fn application(&self, workflow: &Workflow, live: &Live<'_>) -> Result<(), Stop> {
        self.play(workflow, Phase::Prepare)?;
        self.play(workflow, Phase::Launch)?;
        live.launched()?;
        self.phase(RunPhase::Run, || {
            self.wait(workflow, live)?;
            live.rest()
        })
    }

    fn play(&self, workflow: &Workflow, phase: Phase) -> Result<(), Stop> {
        self.phase(phase.into(), || Ok(workflow.run_phase(&self.plan.entries, phase).map(drop)?))
    }

    /// Lets the application run for the asked time, as long as none of its jobs fails.
    fn wait(&self, workflow: &Workflow, live: &Live<'_>) -> Result<(), Stop> {
        let duration = Duration::from_secs(self.args.scenario.duration);
        let begin = Instant::now();
        while let Some(left) = duration.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
            self.progress.waiting(begin.elapsed().as_secs(), duration.as_secs());
            let change = live.tell()?.unwrap_or(Duration::MAX);
            let pause = left.min(Duration::from_secs(1)).min(change);
            self.cancel.wait(pause).map_err(|_| Stop::Interrupted)?;
            workflow.check_jobs()?;
        }
        live.tell()?;
        Ok(())
    }

    /// Brings back what the hosts and the network have recorded, also after a failure.
    fn bring_back(&self, testbed: &LocalTestbed, probed: Option<&netem::Snapshot>) -> Result<(), Stop> {
        let network = testbed.network()?;
        let network = probed.map_or_else(|| network.clone(), |probed| network.since(probed));
        write_json(&self.folder.network(), &network)?;
        network_verdict(&network, self.manifest.bounds).write(&self.folder)?;
        for (host, agent) in self.plan.hosts.iter().zip(testbed.agents()).filter(|(host, _)| host.monitored) {
            // A host whose sampling never began has nothing to bring back.
            if agent.stat(Path::new(SAMPLES))?.is_some() {
                agent.stop_samples()?;
                agent.get_file(Path::new(SAMPLES), &self.folder.dstat_of(&host.name))?;
            }
        }
        Ok(())
    }

    /// Runs a phase between its events, unless somebody asked to stop.
    fn phase<T>(&self, phase: RunPhase, work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        if self.cancel.is_set() {
            return Err(Stop::Interrupted);
        }
        let done = self.journal.phase(phase, work);
        if self.cancel.is_set() { Err(Stop::Interrupted) } else { done }
    }
}

/// Hosts find the programs that lie beside this one.
pub(crate) fn program_directories() -> Vec<PathBuf> {
    let own = std::env::current_exe().ok();
    own.as_deref().and_then(Path::parent).map(Path::to_owned).into_iter().collect()
}

fn manifest(
    args: &DeployArgs,
    loaded: &Loaded,
    repeat: u32,
    clock: &Clock,
) -> Result<Manifest, JournalError> {
    // A trace may lie outside of the scenario's folder.
    let name = |path: &PathBuf| match path.strip_prefix(&args.scenario.scenario) {
        Ok(below) => below.to_string_lossy().into_owned(),
        Err(_) => absolute(path).to_string_lossy().into_owned(),
    };
    let names: Vec<String> = loaded.files.iter().map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Ok(Manifest {
        format: Manifest::FORMAT,
        versions: [("fogline".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        command_line: std::env::args().collect(),
        scenario: loaded.plan.scenario.clone(),
        scenario_files: digest_files(&args.scenario.scenario, &names)?,
        repeat,
        seed: args.seed,
        duration_s: args.scenario.duration,
        congestion: args.congestion.clone(),
        bounds: args.bounds(&loaded.plan.bounds),
        data_path: args.data_path.map(|path| netem::DataPath::from(path).name().to_owned()),
        workers: usize::from(args.workers),
        clock: "one machine, one clock: CLOCK_REALTIME stamps frames, records and arrivals".to_owned(),
        machine: Machine::read(),
        facts: [("engines".to_owned(), software::engines(&loaded.plan))].into(),
        started: clock.rfc3339(),
        started_unix_ns: clock.unix_ns(),
        ..Manifest::default()
    })
}

/// Whether the network kept its word, by its own account.
fn network_verdict(network: &netem::Snapshot, bounds: Bounds) -> NetworkVerdict {
    let late = network
        .by_delay
        .iter()
        .map(|group| LateBound { delay_ns: group.delay_ns, bound_ns: group.bound_ns(&bounds) });
    NetworkVerdict { bounds, late: late.collect(), violations: network.violations(&bounds) }
}
