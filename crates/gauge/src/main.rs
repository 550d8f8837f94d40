//! Asks the real engines what they do, as an ordinary process on a host: waits for a Flink cluster and for the jobs on
//! it, cancels them, and samples their metrics into a CSV file.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

mod cancel;
mod cli;
mod clock;
mod flink;
mod job;
mod metrics;
mod probe;
mod rest;
mod sample;
mod wait;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

/// Why the process ends with exit code 1. Its text is what the user reads.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was waited for did not come.
    #[error("{what} after {waited:?}: {last}")]
    Late { what: String, waited: std::time::Duration, last: String },
    /// There is no such job.
    #[error("{url} has no job named `{name}`{known}")]
    NoJob { url: String, name: String, known: String },
    /// The job will not come to what is asked for.
    #[error("job `{name}` ({id}) {what}")]
    Job { name: String, id: String, what: String },
    /// The cluster refused.
    #[error("{0}")]
    Rest(#[from] rest::RestError),
    /// The file cannot be written.
    #[error("cannot {what} {}: {source}", path.display())]
    File { what: &'static str, path: std::path::PathBuf, source: std::io::Error },
    /// Signals cannot be taken over.
    #[error("cannot handle signals: {0}")]
    Signals(std::io::Error),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Probe(options) => probe::run(&options),
        Command::Job(options) => job::run(&options),
        Command::Cancel(options) => cancel::run(&options),
        Command::Sample(options) => sample::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("gauge: {failure}");
            ExitCode::FAILURE
        }
    }
}
