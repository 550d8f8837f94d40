//! The command line.

use crate::bench::NetworkBenchArgs;
use crate::bench::engines::EngineBenchArgs;
use crate::exit::Exit;
use crate::fetch::FetchArgs;
use crate::network::NetworkArgs;
use crate::shell::{ShellArgs, SshArgs};
use crate::traffic::Traffic;
use clap::{Args, Parser, Subcommand, ValueEnum};
use link::{Bounds, Congestion};
use std::path::PathBuf;
use units::{Delay, Percent};

/// Run an application that is spread over edge, fog and cloud as a repeatable experiment.
///
/// A scenario is a folder with three files: layers_services.yaml (hosts and services), network.yaml (delay, rate,
/// loss between them) and workflow.yaml (what is prepared, launched and fetched).
#[derive(Debug, Parser)]
#[command(name = "fogline", version, after_help = format!("{EXAMPLES}\n\n{}", Exit::TABLE))]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples (S is a scenario folder, for example scenarios/smart-surveillance):
  fogline check S                    every problem, with file, line and column
  fogline deploy S --duration 300
  fogline fetch all                  Apache Kafka and Flink, for `--engine apache`
  fogline network show S             the network of that run, while it lasts
  fogline network cut --src fog --dst cloud S
  fogline shell cloud-kafka-2-1 --scenario S      a shell on a host of that run
  fogline ssh S -f -l 8081 -r 8081                a port of a host, on this machine
  fogline report S/20260102-030405   the report of a run again";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Deploy the scenario on this machine, run it, and bring back results and a report.
    Deploy(DeployArgs),
    /// Parse and plan; report every problem with file, line and column, and start nothing.
    Check(ScenarioArgs),
    /// Print hosts, services, bindings, links and every command that would run.
    Plan(PlanArgs),
    /// Bring the software of other engines to this machine: Apache Kafka, ZooKeeper, Flink.
    Fetch(FetchArgs),
    /// End a running experiment of the scenario and release everything it holds.
    Destroy(DestroyArgs),
    /// Look at the network of a running experiment, and change it: set, cut, heal.
    Network(NetworkArgs),
    /// Enter a host of a running experiment, or run a command there.
    Shell(ShellArgs),
    /// Forward a port of this machine to a host of a running experiment (-f), or enter the host.
    Ssh(SshArgs),
    /// Build the report of a run folder again.
    Report(ReportArgs),
    /// Print the JSON Schema of a scenario file, for editors.
    Schema(SchemaArgs),
    /// Measure what this machine and Fogline's own parts can do.
    #[command(subcommand)]
    Bench(Bench),
    /// One end of a measurement, which hosts run.
    #[command(name = "__traffic", hide = true, subcommand)]
    Traffic(Traffic),
}

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Bench {
    /// Measure the emulated network, against a plain bridge on the same machine in the same run.
    Network(NetworkBenchArgs),
    /// Run a scenario with one choice of engines after the other, in turns, and compare throughput, latency and cost.
    Engines(EngineBenchArgs),
}

/// Where the scenario is.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScenarioArgs {
    /// Folder with layers_services.yaml, network.yaml and workflow.yaml.
    #[arg(value_name = "SCENARIO_DIR", env = "FOGLINE_SCENARIO_DIR", default_value = ".")]
    pub(crate) scenario: PathBuf,
    /// Folder with the files that the workflow copies to hosts [default: SCENARIO_DIR/artifacts].
    #[arg(value_name = "ARTIFACTS_DIR", env = "FOGLINE_ARTIFACTS_DIR")]
    pub(crate) artifacts: Option<PathBuf>,
    /// Seconds that the application runs between launch and finalize.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub(crate) duration: u64,
    /// What runs the services: ENGINE for all that have it, SERVICE=ENGINE for one, for example `--engine apache` or
    /// `--engine Kafka=apache`; may be given several times [default: as in the files, else embedded].
    #[arg(long = "engine", value_name = "[SERVICE=]ENGINE", env = "FOGLINE_ENGINE", value_delimiter = ',')]
    pub(crate) engines: Vec<EngineChoice>,
}

/// Which engine runs which services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineChoice {
    /// One service, or all that have such an engine.
    pub(crate) service: Option<String>,
    /// The engine's name.
    pub(crate) engine: String,
}

impl std::str::FromStr for EngineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, engine) = match text.split_once('=') {
            Some((service, engine)) => (Some(service), engine),
            None => (None, text),
        };
        if engine.is_empty() || service == Some("") {
            return Err("write ENGINE or SERVICE=ENGINE, for example apache or Kafka=apache".to_owned());
        }
        Ok(Self { service: service.map(str::to_owned), engine: engine.to_owned() })
    }
}

/// Options of `deploy`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DeployArgs {
    /// The scenario.
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// Further runs after the first: 1 means two runs, as in E2Clab.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) repeat: u32,
    /// Seed of the emulated network's losses; the same seed loses the same packets of each link.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// TCP congestion control on all hosts: cubic is on every machine; bbr and reno where the kernel has them.
    #[arg(long, value_name = "NAME", default_value = "cubic", value_parser = ["cubic", "bbr", "reno"])]
    pub(crate) congestion: String,
    /// Most that all hosts together may write to their disks (kept in memory), for example 4gib.
    #[arg(long, value_name = "SIZE", default_value = "4gib")]
    pub(crate) disk: units::Size,
    /// How packets travel between hosts [default: tap, and packet where there is no TUN device].
    #[arg(long, value_enum, value_name = "PATH")]
    pub(crate) data_path: Option<DataPath>,
    /// Threads of the network's emulator; more than one pays from four cores on.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// The run is invalid if more than 1 % of packets leave later than this, for example 2ms [default: as in
    /// network.yaml, else 1ms, or 5 % of a link's delay where that is more].
    #[arg(long, value_name = "DELAY")]
    pub(crate) late_max: Option<Delay>,
    /// The run is invalid if devices drop more than this share of frames [default: as in network.yaml, else 0%].
    #[arg(long, value_name = "PERCENT")]
    pub(crate) drops_max: Option<Percent>,
}

impl DeployArgs {
    /// The congestion control by its name; the command line takes no other names.
    pub(crate) fn congestion(&self) -> Congestion {
        let all = [Congestion::Cubic, Congestion::Bbr, Congestion::Reno];
        all.into_iter().find(|known| known.name() == self.congestion).unwrap_or(Congestion::Cubic)
    }

    /// The bounds in force: those of the network file, unless the command line has others.
    pub(crate) fn bounds(&self, planned: &Bounds) -> Bounds {
        Bounds { late: self.late_max.or(planned.late), drops: self.drops_max.unwrap_or(planned.drops) }
    }
}

/// How packets travel between hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataPath {
    /// A TAP device per host, emulated in user space.
    Tap,
    /// A veth pair per host and packet sockets, emulated in user space; needs no TUN device.
    Packet,
    /// A veth pair per host and a bridge, emulated by the kernel's htb and netem, where it has them;
    /// no changes over time, no account of lateness.
    Kernel,
}

impl From<DataPath> for netem::DataPath {
    fn from(path: DataPath) -> Self {
        match path {
            DataPath::Tap => Self::Tap,
            DataPath::Packet => Self::Packet,
            DataPath::Kernel => Self::Kernel,
        }
    }
}

/// Options of `plan`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArgs {
    /// The scenario.
    #[command(flatten)]
    pub(crate) scenario: ScenarioArgs,
    /// Print the whole plan as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `destroy`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DestroyArgs {
    /// Folder of the scenario whose runs are to be ended.
    #[arg(value_name = "SCENARIO_DIR", env = "FOGLINE_SCENARIO_DIR", default_value = ".")]
    pub(crate) scenario: PathBuf,
    /// Seconds that a run gets to end by itself before it is killed.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub(crate) grace: u64,
}

/// Options of `report`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArgs {
    /// The run folder, for example scenarios/smart-surveillance/20260102-030405.
    #[arg(value_name = "RUN_DIR")]
    pub(crate) run: PathBuf,
}

/// Options of `schema`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which file.
    #[arg(value_enum)]
    pub(crate) of: SchemaOf,
}

/// Files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// network.yaml.
    Network,
}
