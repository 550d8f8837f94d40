//! `fogline report`: builds the report of a run folder again.

use crate::cli::ReportArgs;
use crate::exit::Exit;
use fogline_journal::{Manifest, RunFolder};
use fogline_report::{Evaluation, ReportError};

/// Runs the subcommand.
pub(crate) fn run(args: &ReportArgs) -> Exit {
    let folder = match RunFolder::open(&args.run) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Refused;
        }
    };
    match build(&folder) {
        Ok((evaluation, manifest)) => {
            evaluation.summary(&manifest).iter().for_each(|line| println!("{line}"));
            evaluation.reasons().iter().for_each(|reason| println!("invalid: {reason}"));
            println!("{}", folder.report().display());
            if evaluation.reasons().is_empty() { Exit::Success } else { Exit::Invalid }
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Internal
        }
    }
}

fn build(folder: &RunFolder) -> Result<(Evaluation, Manifest), ReportError> {
    let manifest = Manifest::read(folder)?;
    let evaluation = Evaluation::of(folder)?;
    evaluation.write(folder, &manifest)?;
    Ok((evaluation, manifest))
}
