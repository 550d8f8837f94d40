//! Ending roles in order, and waiting for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use meter::Account;

use crate::clock;
use crate::exit::{Failure, shortened};
use crate::options::span;
use crate::presence::{self, Found};
use crate::sys;
use crate::tally::UNDRAINED;

/// Pause between two looks at the files of other processes.
const LOOK: Duration = Duration::from_millis(50);

/// How long all processes must be seen gone before waiting for them is given up.
const GRACE: Duration = Duration::from_secs(2);

/// A role that leaves files in a metrics directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Cameras
    Camera,
    /// Gateways
    Gateway,
    /// Counting jobs
    Job,
    /// Collectors of frames
    InSink,
    /// Collectors of windows
    OutSink,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Gateway => "gateway",
            Self::Job => "job",
            Self::InSink => "in-sink",
            Self::OutSink => "out-sink",
        }
    }
}

/// Ask the processes of a role to drain (SIGTERM), and wait until they are gone and their accounts are
/// complete.
///
/// The processes are found by the pid files in the metrics directory. Finding that all have ended already is
/// fine.
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The role
    #[arg(value_enum)]
    role: Role,
    /// The folder that the role was given as --metrics
    #[arg(long, value_name = "DIR")]
    metrics: PathBuf,
    /// How long to wait for the end
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "60s")]
    timeout: Duration,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Until {
    /// The role takes what is sent to it
    Ready,
    /// The role has ended and its account is complete
    Complete,
}

/// Wait until processes of a role are ready, or have ended with a complete account.
///
/// Looks at the files that the role writes into its metrics folder, so that folder must be a fresh one.
#[derive(Debug, clap::Args)]
pub(crate) struct WaitArgs {
    /// The role
    #[arg(value_enum)]
    role: Role,
    /// The folder that the role was given as --metrics
    #[arg(long, value_name = "DIR")]
    metrics: PathBuf,
    /// How many processes
    #[arg(long, default_value_t = 1)]
    count: usize,
    /// What to wait for
    #[arg(long, value_enum, default_value_t = Until::Complete)]
    until: Until,
    /// How long to wait
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "60s")]
    timeout: Duration,
}

/// Runs `cctv stop`.
pub(crate) fn stop(args: &StopArgs) -> Result<(), Failure> {
    let role = args.role.name();
    let deadline = Instant::now() + args.timeout;
    let found = presence::processes(&args.metrics, role)?;
    let instances = presence::instances(&args.metrics, role, "account.json")?;
    if found.is_empty() && instances.is_empty() {
        return Err(Failure::failed(format!(
            "no {role} has left a pid file or an account in {}; was it started with this --metrics?",
            args.metrics.display()
        )));
    }
    for process in found.iter().filter(|process| process.alive()) {
        sys::terminate(process.pid)
            .or_else(|error| {
                // It may have ended between the look and the signal.
                if process.alive() { Err(error) } else { Ok(()) }
            })
            .map_err(|error| {
                Failure::failed(format!(
                    "cannot signal {role} {} (pid {}): {error}",
                    process.instance, process.pid
                ))
            })?;
    }
    while found.iter().any(Found::alive) {
        if Instant::now() >= deadline {
            let left: Vec<String> = found
                .iter()
                .filter(|process| process.alive())
                .map(|process| process.instance.clone())
                .collect();
            return Err(Failure::incomplete(format!(
                "{} {role} processes still run after {:?}: {}",
                left.len(),
                args.timeout,
                shortened(&left)
            )));
        }
        clock::rest(LOOK);
    }
    let names: BTreeSet<String> =
        found.into_iter().map(|process| process.instance).chain(instances).collect();
    let problems = names.iter().filter_map(|instance| shortcoming(&args.metrics, role, instance));
    blame(role, problems.collect())
}

/// Runs `cctv wait`.
pub(crate) fn wait(args: &WaitArgs) -> Result<(), Failure> {
    let role = args.role.name();
    let deadline = Instant::now() + args.timeout;
    let mut gone_since: Option<Instant> = None;
    loop {
        let reached = match args.until {
            Until::Ready => presence::instances(&args.metrics, role, "ready").unwrap_or_default(),
            Until::Complete => complete(&args.metrics, role)?,
        };
        if reached.len() >= args.count {
            return match args.until {
                Until::Ready => Ok(()),
                Until::Complete => {
                    let problems = reached.iter().filter_map(|name| shortcoming(&args.metrics, role, name));
                    blame(role, problems.collect())
                }
            };
        }
        gone_since = all_gone(args, role).then(|| gone_since.unwrap_or_else(Instant::now));
        if Instant::now() >= deadline || gone_since.is_some_and(|since| since.elapsed() >= GRACE) {
            let goal = if args.until == Until::Ready { "ready" } else { "complete" };
            return Err(Failure::incomplete(format!(
                "{} of {} {role} processes are {goal} in {} after {:?}{}",
                reached.len(),
                args.count,
                args.metrics.display(),
                args.timeout - deadline.saturating_duration_since(Instant::now()),
                dead(&args.metrics, role),
            )));
        }
        clock::rest(LOOK);
    }
}

/// Whether as many as are waited for have been started and all of them are gone, so that waiting on is
/// pointless.
fn all_gone(args: &WaitArgs, role: &str) -> bool {
    let accounts = presence::instances(&args.metrics, role, "account.json").unwrap_or_default();
    let running = presence::processes(&args.metrics, role).unwrap_or_default().iter().any(Found::alive);
    accounts.len() >= args.count && !running
}

/// Names the instances that have ended without a complete account.
fn dead(metrics: &Path, role: &str) -> String {
    let running: BTreeSet<String> = presence::processes(metrics, role)
        .unwrap_or_default()
        .into_iter()
        .filter(Found::alive)
        .map(|process| process.instance)
        .collect();
    let accounts = presence::instances(metrics, role, "account.json").unwrap_or_default();
    let failed: Vec<String> = accounts
        .into_iter()
        .filter(|instance| !running.contains(instance) && shortcoming(metrics, role, instance).is_some())
        .collect();
    if failed.is_empty() { String::new() } else { format!("; failed: {}", shortened(&failed)) }
}

/// Instances whose process has ended and whose account is final.
fn complete(metrics: &Path, role: &str) -> Result<Vec<String>, Failure> {
    if !metrics.exists() {
        return Ok(Vec::new());
    }
    let instances = presence::instances(metrics, role, "account.json")?;
    Ok(instances.into_iter().filter(|name| account(metrics, role, name).is_ok_and(|a| a.complete)).collect())
}

fn account(metrics: &Path, role: &str, instance: &str) -> Result<Account, String> {
    Account::read(&presence::path(metrics, role, instance, "account.json")).map_err(|error| error.to_string())
}

/// What is wrong with the account of an instance that has ended.
fn shortcoming(metrics: &Path, role: &str, instance: &str) -> Option<String> {
    match account(metrics, role, instance) {
        Err(error) => Some(error),
        Ok(account) if !account.complete => {
            Some(format!("{role} {instance} ended without its final account"))
        }
        Ok(account) if account.facts.contains_key(UNDRAINED) => {
            let cameras = account.facts[UNDRAINED].as_array().map_or(0, Vec::len);
            Some(format!("{role} {instance} ended before {cameras} cameras had"))
        }
        Ok(account) if !account.unbalanced().is_empty() => Some(format!(
            "the account of {role} {instance} does not balance for {} cameras",
            account.unbalanced().len()
        )),
        Ok(_) => None,
    }
}

fn blame(role: &str, problems: Vec<String>) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::incomplete(format!("{} of the {role} accounts: {}", problems.len(), shortened(&problems))))
}
