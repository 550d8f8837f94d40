//! `fogline bench network`: what the emulated network can do and how far it is off, beside a plain veth+bridge on the
//! same machine in the same run. `docs/bench-network.md` describes each measurement and its own error.

mod bed;
mod bulk;
mod cpu;
mod delay;
pub(crate) mod engines;
mod latency;
mod loss;
mod outcome;
mod packets;
mod rate;
mod row;
mod scale;
mod statistics;

use crate::exit::Exit;
use crate::interrupt;
use clap::{Args, ValueEnum};
use fogline_workflow::Cancel;
use netem::DataPath;
use outcome::Outcome;
use row::Row;
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

/// Options of `bench network`.
#[derive(Clone, Debug, Args)]
pub(crate) struct NetworkBenchArgs {
    /// Write every figure as JSON to this file; `-` is standard output, and the table goes to standard error then.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure these only.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measurement>,
    /// How packets reach the emulator: by TAP devices (tap) or by packet sockets (packet).
    #[arg(long, value_name = "PATH", default_value = "tap", value_parser = ["tap", "packet"])]
    data_path: String,
    /// A few seconds for a look at whether everything works: figures are rough, and no bound is judged.
    #[arg(long)]
    quick: bool,
}

/// The measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// Bulk TCP without limits.
    Bulk,
    /// Small datagrams per second.
    Packets,
    /// Latency that the emulator adds.
    Latency,
    /// How far delays are off.
    Delay,
    /// How far rates are off.
    Rate,
    /// How far losses are off.
    Loss,
    /// Processor time for the surveillance topology.
    Cpu,
    /// Time for bringing many hosts up and down.
    Scale,
}

/// Why the benchmark stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Somebody asked.
    #[error("stopped from outside")]
    Interrupted,
    /// Hosts or links could not be had, or were lost.
    #[error(transparent)]
    Testbed(#[from] fogline_testbed::TestbedError),
    /// A host's agent does not answer.
    #[error(transparent)]
    Agent(#[from] fogline_agent::AgentError),
    /// A measurement went wrong.
    #[error("{0}")]
    Measurement(String),
}

impl From<fogline_workflow::Cancelled> for Stop {
    fn from(_: fogline_workflow::Cancelled) -> Self {
        Self::Interrupted
    }
}

/// What every measurement needs to know.
pub(crate) struct Bench {
    quick: bool,
    path: DataPath,
    cancel: Cancel,
    begin: Instant,
}

impl Bench {
    /// `thorough`, or `quick` where a look is enough.
    fn choose<T>(&self, thorough: T, quick: T) -> T {
        if self.quick { quick } else { thorough }
    }

    /// Tells the person what is being done.
    fn say(&self, what: impl fmt::Display) {
        eprintln!("{:6.1} s  {what}", self.begin.elapsed().as_secs_f64());
    }

    fn measure(&self, measurement: Measurement) -> Result<Vec<Row>, Stop> {
        match measurement {
            Measurement::Bulk => bulk::measure(self),
            Measurement::Packets => packets::measure(self),
            Measurement::Latency => latency::measure(self),
            Measurement::Delay => delay::measure(self),
            Measurement::Rate => rate::measure(self),
            Measurement::Loss => loss::measure(self),
            Measurement::Cpu => cpu::measure(self),
            Measurement::Scale => scale::measure(self),
        }
    }
}

/// Runs the subcommand. Bounds that are not met make the exit code that of results which must not be used.
pub(crate) fn run(args: &NetworkBenchArgs) -> Exit {
    let cancel = match interrupt::listen() {
        Ok(cancel) => cancel,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return Exit::Internal;
        }
    };
    let path = args.data_path.parse().unwrap_or_default();
    let bench = Bench { quick: args.quick, path, cancel, begin: Instant::now() };
    let mut outcome = Outcome::begin(args.quick);
    for measurement in Measurement::value_variants() {
        if !args.only.is_empty() && !args.only.contains(measurement) {
            continue;
        }
        match bench.measure(*measurement) {
            Ok(rows) => outcome.rows.extend(rows),
            Err(stop) => {
                eprintln!("error: {stop}");
                return exit_of(&stop);
            }
        }
    }
    if let Err(error) = outcome.tell(args.json.as_deref()) {
        eprintln!("error: {error}");
        return Exit::Internal;
    }
    if outcome.rows.iter().any(|row| row.ok() == Some(false)) { Exit::Invalid } else { Exit::Success }
}

const fn exit_of(stop: &Stop) -> Exit {
    use fogline_testbed::TestbedError;
    match stop {
        Stop::Interrupted => Exit::Interrupted,
        Stop::Testbed(TestbedError::Lost(_) | TestbedError::Io { .. }) => Exit::Internal,
        Stop::Testbed(_) => Exit::Testbed,
        Stop::Agent(_) | Stop::Measurement(_) => Exit::Internal,
    }
}
