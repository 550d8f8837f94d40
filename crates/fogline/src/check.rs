//! `fogline check`: every problem at once, nothing started.

use crate::cli::ScenarioArgs;
use crate::exit::Exit;
use crate::load::{LoadError, Loaded, load};
use crate::software::{self, Places};
use fogline_scenario::{Diagnostic, Severity};
use link::Congestion;

/// Runs the subcommand.
pub(crate) fn run(args: &ScenarioArgs) -> Exit {
    match load_or_explain(args, None) {
        Err(exit) => exit,
        Ok(loaded) => {
            let plan = &loaded.plan;
            // A scenario is not wrong because this machine lacks what another one may have.
            let lacking = software::find(plan, &Places::of_environment()).err();
            if let Some(missing) = &lacking {
                eprintln!("warning: {missing}");
            }
            println!(
                "{}: {} hosts, {} services, {} workflow entries, {} shaped pairs, {} scheduled changes; {}",
                plan.scenario,
                plan.hosts.len(),
                plan.services.len(),
                plan.entries.len(),
                plan.links.len(),
                plan.changes.len(),
                match loaded.warnings.len() + usize::from(lacking.is_some()) {
                    0 => "nothing wrong found".to_owned(),
                    1 => "1 warning".to_owned(),
                    many => format!("{many} warnings"),
                }
            );
            Exit::Success
        }
    }
}

/// Loads the scenario; findings go to standard error, warnings too.
pub(crate) fn load_or_explain(args: &ScenarioArgs, congestion: Option<Congestion>) -> Result<Loaded, Exit> {
    match load(args, congestion) {
        Ok(loaded) => {
            print_findings(&loaded.warnings);
            Ok(loaded)
        }
        Err(LoadError::Unreadable(path, error)) => {
            eprintln!("{}: error: cannot be read: {error}", path.display());
            eprintln!(
                "  hint: a scenario is a folder with layers_services.yaml, network.yaml and workflow.yaml, in UTF-8"
            );
            Err(Exit::Refused)
        }
        Err(LoadError::Invalid(findings)) => {
            print_findings(&findings);
            let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
            eprintln!("{errors} error{}; nothing was started", if errors == 1 { "" } else { "s" });
            Err(Exit::Refused)
        }
    }
}

fn print_findings(findings: &[Diagnostic]) {
    for finding in findings {
        eprintln!("{finding}");
    }
}
