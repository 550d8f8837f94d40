//! The embedded brokers, each as an ordinary process: `broker mqtt`, `broker kafka`, and `broker probe`, which waits
//! until one of them answers.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

mod cli;
mod kafka;
mod mqtt;
mod probe;
mod signals;
mod size;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Why the process ends with exit code 1. Its text is what the user reads.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Another process listens on the address.
    #[error("{address} is in use by another process; `ss -ltnp 'sport = :{}'` shows which one", address.port())]
    AddressInUse { address: std::net::SocketAddr },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen { address: std::net::SocketAddr, why: String },
    /// The log did not start.
    #[error("{0}")]
    Log(#[from] kafka_log::StartError),
    /// The process could not be set up.
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: std::io::Error },
    /// Nothing answered in time.
    #[error("{0}")]
    NotReady(String),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Mqtt(options) => mqtt::run(&options),
        Command::Kafka(options) => kafka::run(&options),
        Command::Probe(options) => probe::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("broker: {failure}");
            ExitCode::FAILURE
        }
    }
}
