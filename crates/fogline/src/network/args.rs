//! The command line of `fogline network`.

use super::protocol::{Ask, Place};
use clap::{ArgGroup, Args, Subcommand};
use link::Patch;
use std::path::PathBuf;

/// Options of `network`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct NetworkArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: Action,
}

const EXAMPLES: &str = "\
Changes go on top of the rules and changes of network.yaml, and hold until
they are healed or the run phase ends. The run folder tells of each.

Examples, in the scenario's folder:
  fogline network show              rules, what their links do, packets
  fogline network set --src fog --dst edge --loss 20%
  fogline network set --src cloud --dst fog --symmetric --delay 200ms
  fogline network cut --src fog --dst cloud --symmetric     a partition
  fogline network cut --host 'fog.gateway.*[1]'             one host alone
  fogline network heal --src fog --dst edge
  fogline network heal              all that was set by hand

Exit codes: 0 done; 1 the runner did not answer or could not do it;
2 no such run, links or values.";

/// What can be done to a running network.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Action {
    /// Show the rules as asked, what their links do now, and their packets.
    Show {
        /// Show each link by itself.
        #[arg(long)]
        links: bool,
        /// The run.
        #[command(flatten)]
        target: Target,
    },
    /// Give links another delay, rate, loss, ...; what is not named stays.
    Set {
        /// Which links.
        #[command(flatten)]
        pairs: Pairs,
        /// What is to be different.
        #[command(flatten)]
        values: Values,
        /// The run.
        #[command(flatten)]
        target: Target,
    },
    /// Let nothing pass between hosts, or from and to a host.
    #[command(group = ArgGroup::new("where").args(["src", "host"]).required(true))]
    Cut {
        /// Which links.
        #[command(flatten)]
        selected: Selected,
        /// The run.
        #[command(flatten)]
        target: Target,
    },
    /// Forget what was set by hand: everywhere, or on the links selected.
    Heal {
        /// Which links.
        #[command(flatten)]
        selected: Selected,
        /// The run.
        #[command(flatten)]
        target: Target,
    },
}

/// Which run, and how to answer.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Folder of the scenario whose experiment is running, or a run folder.
    #[arg(value_name = "SCENARIO_DIR|RUN_DIR", env = "FOGLINE_SCENARIO_DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Answer in JSON, for scripts.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Links from hosts to hosts.
#[derive(Clone, Debug, Args)]
pub(crate) struct Pairs {
    /// Sending hosts: a selector as in network.yaml.
    #[arg(long, value_name = "SELECTOR")]
    src: String,
    /// Receiving hosts: a selector as in network.yaml.
    #[arg(long, value_name = "SELECTOR")]
    dst: String,
    /// The way back too.
    #[arg(long)]
    symmetric: bool,
}

/// Links of pairs of hosts, or all of a host.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selected {
    /// Sending hosts: a selector as in network.yaml.
    #[arg(long, value_name = "SELECTOR", requires = "dst")]
    src: Option<String>,
    /// Receiving hosts: a selector as in network.yaml.
    #[arg(long, value_name = "SELECTOR", requires = "src")]
    dst: Option<String>,
    /// The way back too.
    #[arg(long, requires = "src")]
    symmetric: bool,
    /// Hosts all of whose links are meant: a selector as in network.yaml.
    #[arg(long, value_name = "SELECTOR", conflicts_with_all = ["src", "dst", "symmetric"])]
    host: Option<String>,
}

/// Other values for properties of links, as network.yaml writes them.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Values {
    /// One-way delay, for example 200ms.
    #[arg(long)]
    delay: Option<String>,
    /// How much the delay varies, for example 5ms or '{spread: 5ms, distribution: normal}'.
    #[arg(long)]
    jitter: Option<String>,
    /// Rate, for example 5mbit.
    #[arg(long)]
    rate: Option<String>,
    /// Share of packets that are lost, for example 20% or '{to_bad: 1%, to_good: 25%}'.
    #[arg(long)]
    loss: Option<String>,
    /// Share of packets that pass without delay, for example 5%.
    #[arg(long, value_name = "PERCENT")]
    reorder: Option<String>,
    /// Share of packets that are delivered twice, for example 1%.
    #[arg(long, value_name = "PERCENT")]
    duplicate: Option<String>,
    /// Share of packets of which a bit is flipped, for example 0.1%.
    #[arg(long, value_name = "PERCENT")]
    corrupt: Option<String>,
    /// What waits for the rate, for example 100, 64kib, 20ms, codel or '{limit: 20ms, discipline: codel}'.
    #[arg(long)]
    queue: Option<String>,
}

impl Action {
    /// The run, how to answer, and what to ask of it.
    ///
    /// # Errors
    /// When a value cannot be read; says what would be right.
    pub(crate) fn request(self) -> Result<(Target, Ask), String> {
        Ok(match self {
            Self::Show { links, target } => (target, Ask::Show { links }),
            Self::Set { pairs: Pairs { src, dst, symmetric }, values, target } => {
                let place = Place::Pairs { src, dst, symmetric };
                (target, Ask::Set { place, patch: values.patch()? })
            }
            Self::Cut { selected, target } => {
                let patch = Patch { cut: Some(true), ..Patch::default() };
                (target, Ask::Set { place: selected.place(), patch })
            }
            Self::Heal { selected, target } => (target, Ask::Heal { place: selected.place() }),
        })
    }
}

impl Selected {
    fn place(self) -> Place {
        match (self.host, self.src, self.dst) {
            (Some(host), ..) => Place::Host(host),
            (None, Some(src), Some(dst)) => Place::Pairs { src, dst, symmetric: self.symmetric },
            (None, ..) => Place::Everywhere,
        }
    }
}

impl Values {
    /// The values, read by the same rules as those of the network file.
    fn patch(&self) -> Result<Patch, String> {
        let all = [
            ("delay", &self.delay),
            ("jitter", &self.jitter),
            ("rate", &self.rate),
            ("loss", &self.loss),
            ("reorder", &self.reorder),
            ("duplicate", &self.duplicate),
            ("corrupt", &self.corrupt),
            ("queue", &self.queue),
        ];
        let given = all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
        let given: Vec<(String, String)> = given.collect();
        fogline_scenario::patch("command line", &given).map_err(|findings| {
            let said = findings.iter().map(|finding| match &finding.hint {
                Some(hint) => format!("{}\n  hint: {hint}", finding.message),
                None => finding.message.clone(),
            });
            said.collect::<Vec<_>>().join("\n")
        })
    }
}
