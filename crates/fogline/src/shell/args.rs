//! The command lines of `fogline shell` and `fogline ssh`.

use clap::Args;
use std::path::PathBuf;

/// Options of `shell`.
#[derive(Clone, Debug, Args)]
#[command(after_help = SHELL_EXAMPLES, arg_required_else_help = true)]
pub(crate) struct ShellArgs {
    /// The host: its name, or anything that selects just one, as in workflow.yaml.
    #[arg(value_name = "HOST", required_unless_present = "list")]
    pub(super) host: Option<String>,
    /// Show the hosts with their addresses and services.
    #[arg(long, conflicts_with_all = ["host", "command"])]
    pub(super) list: bool,
    /// Folder of the scenario whose experiment is running, or a run folder.
    #[arg(long, value_name = "SCENARIO_DIR|RUN_DIR", env = "FOGLINE_SCENARIO_DIR", default_value = ".")]
    pub(super) scenario: PathBuf,
    /// Where the command runs.
    #[command(flatten)]
    pub(super) entry: Entry,
}

const SHELL_EXAMPLES: &str = "\
At a terminal the command gets a terminal on the host; in a pipe or script its
three streams stay apart. It runs as it stands: for pipes and variables of the
host, run a shell there. What it leaves behind gets SIGHUP when it ends, unless
it detached itself (nohup, setsid); everything ends with the run.

Examples, in the scenario's folder:
  fogline shell cloud-kafka-2-1                   a shell
  fogline shell cloud.kafka.2.leader.1            the same host by its service
  fogline shell cloud-kafka-2-1 -- ps aux
  fogline shell edge-producer-1-1 -- sh -c 'cat /var/log/*.log | wc -l'
  fogline shell fog-mosquitto-1-1 -- tee /tmp/notes < notes
  fogline shell --list

Exit codes: those of the command (128 + n when signal n ended it); 255 when there
is no such run or host, the command cannot be started, or the run ended.";

/// What to run on a host, and in what.
#[derive(Clone, Debug, Args)]
pub(super) struct Entry {
    /// Give the command a terminal, even if there is none here.
    #[arg(short = 't', long = "tty", conflicts_with = "no_tty")]
    pub(super) tty: bool,
    /// Give the command no terminal, even if there is one here.
    #[arg(short = 'T', long = "no-tty")]
    pub(super) no_tty: bool,
    /// The command and its arguments [default: a shell].
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

/// Options of `ssh`.
#[derive(Clone, Debug, Args)]
#[command(after_help = SSH_EXAMPLES, arg_required_else_help = true)]
pub(crate) struct SshArgs {
    /// Folder of the scenario whose experiment is running, or a run folder [default: FOGLINE_SCENARIO_DIR, else .].
    #[arg(value_name = "SCENARIO_DIR|RUN_DIR")]
    pub(super) first: Option<String>,
    /// The host: its name, or anything that selects just one [default with -f: the one with a service on REMOTE_PORT].
    #[arg(value_name = "HOST")]
    pub(super) second: Option<String>,
    /// Forward connections to LOCAL_PORT on this machine to REMOTE_PORT on the host, until Ctrl-C.
    #[arg(short, long, requires_all = ["local_port", "remote_port"], conflicts_with_all = ["tty", "no_tty", "command"])]
    pub(super) forward: bool,
    /// Port of 127.0.0.1 on this machine; 0 takes any that is free, and the first line printed says which.
    #[arg(short, long, value_name = "LOCAL_PORT", requires = "forward")]
    pub(super) local_port: Option<u16>,
    /// Port on the host.
    #[arg(short, long, value_name = "REMOTE_PORT", requires = "forward", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) remote_port: Option<u16>,
    /// What to run when nothing is forwarded.
    #[command(flatten)]
    pub(super) entry: Entry,
}

const SSH_EXAMPLES: &str = "\
Examples (S is a scenario folder):
  fogline ssh S -f -l 8081 -r 8081 cloud-flink-1-1    then look at http://127.0.0.1:8081
  fogline ssh S -f -l 0 -r 8081                       any free port here, the service's host there
  fogline ssh S cloud-flink-1-1                       a shell, as fogline shell

Exit codes with -f: 130 after Ctrl-C; 1 when the run ended; 2 no such run, host or port.
Else those of fogline shell.";
