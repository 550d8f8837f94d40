//! `fogline bench engines`: the same scenario under one choice of engines after the other, in turns, and what each came
//! to. `docs/engines.md` describes the figures.

mod figures;
mod outcome;
mod trial;

use crate::check::load_or_explain;
use crate::cli::{EngineChoice, ScenarioArgs};
use crate::exit::Exit;
use crate::interrupt;
use crate::software::{self, Places};
use clap::Args;
use fogline_plan::Plan;
use outcome::Outcome;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;
use trial::{Stop, Trial};

/// Options of `bench engines`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineBenchArgs {
    /// Folder with layers_services.yaml, network.yaml and workflow.yaml; run folders are left in it.
    #[arg(value_name = "SCENARIO_DIR", env = "FOGLINE_SCENARIO_DIR", default_value = ".")]
    scenario: PathBuf,
    /// Folder with the files that the workflow copies to hosts [default: SCENARIO_DIR/artifacts].
    #[arg(long, value_name = "DIR", env = "FOGLINE_ARTIFACTS_DIR")]
    artifacts: Option<PathBuf>,
    /// Seconds between launch and finalize of every run.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    duration: u64,
    /// Runs of each choice; they take turns.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// What to compare. Each choice is what `deploy --engine` takes; several that belong together are joined by `+`, for
    /// example `embedded,apache,Kafka=apache+Flink=embedded`.
    #[arg(long, value_name = "LIST", default_value = "embedded,apache", value_delimiter = ',')]
    engines: Vec<Choice>,
    /// Write every figure as JSON to this file; `-` is standard output, and the tables go to standard error then.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Further options for `fogline deploy`, for example `-- --late-max 10ms`.
    #[arg(last = true, value_name = "DEPLOY_OPTIONS")]
    options: Vec<String>,
}

/// One choice of engines.
#[derive(Clone, Debug)]
struct Choice {
    /// As written.
    name: String,
    engines: Vec<EngineChoice>,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let engines = text.split('+').map(str::parse).collect::<Result<Vec<EngineChoice>, _>>()?;
        Ok(Self { name: text.to_owned(), engines })
    }
}

impl Choice {
    /// As options of `deploy`.
    fn options(&self) -> impl Iterator<Item = String> {
        self.name.split('+').map(|engine| format!("--engine={engine}"))
    }
}

/// Runs the subcommand. A run that did not pass makes the exit code its own; the rest is run all the same.
pub(crate) fn run(args: &EngineBenchArgs) -> Exit {
    let mut services = Vec::new();
    for choice in &args.engines {
        match prepare(args, choice) {
            Ok(of_choice) => services.push(of_choice),
            Err(exit) => return exit,
        }
    }
    let cancel = match interrupt::listen() {
        Ok(cancel) => cancel,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return Exit::Internal;
        }
    };
    let begin = Instant::now();
    let mut outcome = Outcome::begin(args);
    for round in 1..=args.rounds {
        for (at, (choice, services)) in args.engines.iter().zip(&services).enumerate() {
            let spent = begin.elapsed().as_secs_f64();
            eprintln!("{spent:6.1} s  round {round} of {}: {}", args.rounds, choice.name);
            match Trial::make(args, choice, services, round, &cancel) {
                Ok(trial) => outcome.add(at, trial),
                Err(Stop::Interrupted) => return Exit::Interrupted,
                Err(Stop::Broken(why)) => {
                    eprintln!("error: {why}");
                    return Exit::Internal;
                }
            }
        }
    }
    if let Err(error) = outcome.tell(args.json.as_deref()) {
        eprintln!("error: {error}");
        return Exit::Internal;
    }
    outcome.exit()
}

/// The names of each service's hosts.
type ServiceHosts = BTreeMap<String, Vec<String>>;

/// Makes sure that a choice can run before anything is run.
fn prepare(args: &EngineBenchArgs, choice: &Choice) -> Result<ServiceHosts, Exit> {
    let scenario = ScenarioArgs {
        scenario: args.scenario.clone(),
        artifacts: args.artifacts.clone(),
        duration: args.duration,
        engines: choice.engines.clone(),
    };
    let loaded = load_or_explain(&scenario, None)?;
    software::find(&loaded.plan, &Places::of_environment()).map_err(|missing| {
        eprintln!("error: {}: {missing}", choice.name);
        Exit::Testbed
    })?;
    Ok(service_hosts(&loaded.plan))
}

fn service_hosts(plan: &Plan) -> ServiceHosts {
    let mut hosts = ServiceHosts::new();
    for service in &plan.services {
        let name = &plan.host(service.host).name;
        let of_service = hosts.entry(service.name.clone()).or_default();
        if !of_service.contains(name) {
            of_service.push(name.clone());
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_options_of_deploy() {
        let choice: Choice = "apache+Flink=embedded".parse().expect("a choice");
        assert_eq!(choice.options().collect::<Vec<_>>(), ["--engine=apache", "--engine=Flink=embedded"]);
        assert_eq!(choice.engines[1].service.as_deref(), Some("Flink"));
        for wrong in ["", "apache+", "=x", "Flink="] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }
}
