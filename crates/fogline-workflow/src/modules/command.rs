//! `command`: a program with its arguments, without a shell.

use super::process::Process;
use super::{Action, Module};
use crate::args::{ArgError, Args};
use fogline_scenario::Task;

pub(super) const MODULE: Module = Module { name: "command", independent: false, parse };

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let argv = args.texts("argv")?;
    if !argv.is_empty() {
        let line = argv.join(" ");
        return Ok(Box::new(Process::parse(args, argv, line)?));
    }
    let line = args.required_text(Task::FREE_FORM)?;
    // Quotes as a POSIX shell reads them, and nothing else of a shell.
    let argv = match shlex::split(&line) {
        Some(argv) if !argv.is_empty() => argv,
        _ => {
            let message = format!("command cannot be split into words (an open quote?): {line}");
            return Err(args.error(Task::FREE_FORM, message));
        }
    };
    Ok(Box::new(Process::parse(args, argv, line)?))
}
