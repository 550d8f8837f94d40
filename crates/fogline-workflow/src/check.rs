//! What cannot work, found before anything is started.

use crate::args::ArgError;
use crate::context::Context;
use crate::dry;
use fogline_plan::Plan;
use fogline_scenario::{Diagnostic, Severity};
use std::collections::BTreeSet;

/// Renders every task of every phase on every host and for every item, and says what is wrong: undefined variables,
/// unknown modules and parameters, values of the wrong kind, files to copy that are not there.
///
/// What an earlier task of the same play registers is known by name but not by value; what depends on the value is
/// passed over. One finding per place, however many hosts it is wrong on, in the order of the files.
pub fn check(plan: &Plan, context: &Context) -> Vec<Diagnostic> {
    let mut found: Vec<(ArgError, BTreeSet<String>, String)> = Vec::new();
    for (host, problem) in dry::rehearse(plan, context).problems {
        match found
            .iter_mut()
            .find(|(known, ..)| known.place == problem.place && known.message == problem.message)
        {
            Some((_, hosts, _)) => _ = hosts.insert(host),
            None => found.push((problem, BTreeSet::from([host.clone()]), host)),
        }
    }
    let mut diagnostics: Vec<Diagnostic> = found
        .into_iter()
        .map(|(problem, hosts, first)| Diagnostic {
            severity: Severity::Error,
            place: problem.place,
            message: format!("{} (on {})", problem.message, hosts_text(&first, hosts.len())),
            hint: problem.hint,
        })
        .collect();
    diagnostics.sort_by(|a, b| a.place.cmp(&b.place));
    diagnostics
}

fn hosts_text(first: &str, hosts: usize) -> String {
    match hosts {
        1 => first.to_owned(),
        2 => format!("{first} and one other host"),
        _ => format!("{first} and {} other hosts", hosts - 1),
    }
}
