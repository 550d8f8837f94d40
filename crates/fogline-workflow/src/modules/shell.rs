//! `shell`: a command line for the host's shell.

use super::process::Process;
use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use fogline_scenario::Task;

pub(super) const MODULE: Module = Module { name: "shell", independent: false, parse };

struct Shell(Process);

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let line = args.required_text(Task::FREE_FORM)?;
    let shell = args.text("executable")?.unwrap_or_else(|| "/bin/sh".to_owned());
    let argv = vec![shell, "-c".to_owned(), line.clone()];
    Ok(Box::new(Shell(Process::parse(args, argv, line)?)))
}

impl Action for Shell {
    fn summary(&self) -> String {
        self.0.line.trim().to_owned()
    }

    fn process(&self) -> Option<&Process> {
        Some(&self.0)
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        self.0.run(call)
    }
}
