//! The surveillance application: camera, gateway, job, collector, and the commands around them.
//!
//! A frame walks: data set -> camera -> (MQTT) -> gateway -> (Kafka `in-uni-data`) -> job -> (Kafka
//! `out-uni-data`)
//! -> collector. Every role writes its metrics and its account of frames into its `--metrics` folder, and
//! ends in order on SIGTERM: end markers travel with the data, so the order in which roles are asked to stop
//! does not matter.

mod camera;
mod clock;
mod collector;
mod counters;
mod dataset;
mod drain;
mod exit;
mod follow;
mod gateway;
mod job;
mod kafka;
mod mqtt;
mod notice;
mod options;
mod presence;
mod seen;
mod signals;
mod stop;
mod sys;
mod tally;
mod topic;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Failure;

/// The smart surveillance application: cameras, gateways, a counting job, collectors.
///
/// Each role is one process. `cctv ROLE --help` explains it.
#[derive(Debug, Parser)]
#[command(name = "cctv", version, after_help = exit::TABLE, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Camera(Box<camera::CameraArgs>),
    Gateway(Box<gateway::GatewayArgs>),
    Job(job::JobArgs),
    Collector(collector::CollectorArgs),
    Follow(follow::FollowArgs),
    Stop(stop::StopArgs),
    Wait(stop::WaitArgs),
    Topic(topic::TopicArgs),
    /// Prepare the frames that the cameras replay
    Dataset(dataset::DatasetArgs),
}

fn main() -> ExitCode {
    let (name, outcome) = match Cli::parse().command {
        Command::Camera(args) => ("camera", camera::run(*args)),
        Command::Gateway(args) => ("gateway", gateway::run(&args)),
        Command::Job(args) => ("job", job::run(&args)),
        Command::Collector(args) => ("collector", collector::run(&args)),
        Command::Follow(args) => ("follow", follow::run(&args)),
        Command::Stop(args) => ("stop", stop::stop(&args)),
        Command::Wait(args) => ("wait", stop::wait(&args)),
        Command::Topic(args) => ("topic", topic::run(&args).and_then(|lines| print(&lines))),
        Command::Dataset(args) => ("dataset", dataset::run(args)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // With standard error closed, the exit code still tells.
            let _ = writeln!(std::io::stderr(), "cctv {name}: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn print(lines: &[String]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    lines
        .iter()
        .try_for_each(|line| writeln!(out, "{line}"))
        .map_err(|error| Failure::failed(format!("cannot write to standard output: {error}")))
}
