//! Run edge-to-cloud applications as repeatable experiments.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks to a person by these")]

mod bench;
mod check;
mod cli;
mod control;
mod deploy;
mod destroy;
mod exit;
mod fetch;
mod interrupt;
mod load;
mod measure;
mod network;
mod plan;
mod progress;
mod report;
mod run;
mod schema;
mod shell;
mod software;
mod sys;
mod table;
mod timeline;
mod traffic;
mod verdict;

use clap::Parser;
use cli::{Bench, Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    // The lab needs a process without threads, so it comes before everything else.
    if std::env::args_os().nth(1).is_some_and(|word| word == "__lab") {
        fogline_testbed::lab_main();
    }
    let exit = match Cli::parse().command {
        Command::Deploy(args) => deploy::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Destroy(args) => destroy::run(&args),
        Command::Network(args) => network::run(args),
        Command::Shell(args) => return shell::run(&args),
        Command::Ssh(args) => return shell::run_ssh(&args),
        Command::Report(args) => report::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Bench(Bench::Network(args)) => bench::run(&args),
        Command::Bench(Bench::Engines(args)) => bench::engines::run(&args),
        Command::Traffic(traffic) => return traffic::run(&traffic),
    };
    exit.into()
}
