//! `shell`: a command line for the host's shell.

use super::process::Process;
use super::{Action, Module};
use crate::args::{ArgError, Args};
use fogline_scenario::Task;

pub(super) const MODULE: Module = Module { name: "shell", independent: false, parse };

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let line = args.required_text(Task::FREE_FORM)?;
    let shell = args.text("executable")?.unwrap_or_else(|| "/bin/sh".to_owned());
    let argv = vec![shell, "-c".to_owned(), line.clone()];
    Ok(Box::new(Process::parse(args, argv, line)?))
}
