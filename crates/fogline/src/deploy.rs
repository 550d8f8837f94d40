//! `fogline deploy`: the whole story of a run.

use crate::check::load_or_explain;
use crate::cli::DeployArgs;
use crate::exit::Exit;
use crate::interrupt;
use crate::load::Loaded;
use crate::run::Run;
use crate::software::{self, Places, Software};
use crate::verdict;
use fogline_workflow::Cancel;

/// Runs the subcommand: `--repeat` n makes n + 1 runs, each in a folder of its own. The first that does not succeed
/// decides the exit code; an interruption or a machine that cannot host the experiment ends the repetition.
pub(crate) fn run(args: &DeployArgs) -> Exit {
    let loaded = match load_or_explain(&args.scenario, Some(args.congestion())) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let software = match software::find(&loaded.plan, &Places::of_environment()) {
        Ok(software) => software,
        Err(missing) => {
            eprintln!("error: {missing}");
            return Exit::Testbed;
        }
    };
    let cancel = match interrupt::listen() {
        Ok(cancel) => cancel,
        Err(error) => {
            eprintln!("error: cannot listen for signals: {error}");
            return Exit::Internal;
        }
    };
    let mut decisive = Exit::Success;
    for repeat in 1..=args.repeat + 1 {
        let exit = one_run(args, &loaded, &software, repeat, &cancel);
        if decisive == Exit::Success {
            decisive = exit;
        }
        if matches!(exit, Exit::Interrupted | Exit::Testbed | Exit::Internal) {
            return exit;
        }
    }
    decisive
}

/// One run, from an empty folder to its report.
fn one_run(args: &DeployArgs, loaded: &Loaded, software: &Software, repeat: u32, cancel: &Cancel) -> Exit {
    let run = match Run::begin(args, loaded, software, repeat, cancel) {
        Ok(run) => run,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Internal;
        }
    };
    let outcome = run.experiment();
    verdict::conclude(run, outcome)
}
