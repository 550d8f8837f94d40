//! Processes that somebody talks to.

use super::pump::{Sink, Source};
use crate::agent::children::{Children, Process};
use crate::agent::run::{bare_command, start_failure};
use crate::error::{Context as _, Failure};
use crate::exec::ExecRequest;
use crate::stream::{Channel, ProcessRequest, Terminal};
use crate::sys::terminal::{lead_session, open_terminal};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Shells for people, the best first.
const SHELLS: [&str; 3] = ["/bin/bash", "/usr/bin/bash", "/bin/sh"];

/// A process and the ends of its streams.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) sources: Vec<Source>,
    pub(super) sink: Sink,
}

/// Starts what `request` asks for as the leader of a session.
pub(super) fn start(children: &Arc<Children>, request: ProcessRequest) -> Result<Started, Failure> {
    let ProcessRequest { mut argv, environment, directory, terminal } = request;
    if argv.is_empty() {
        let shell = SHELLS.iter().find(|shell| Path::new(shell).exists()).unwrap_or(&"sh");
        argv.push((*shell).to_owned());
    }
    let directory = directory.or_else(home);
    let exec = ExecRequest { environment, directory, ..ExecRequest::new(argv) };
    let mut command = bare_command(&exec)?;
    lead_session(&mut command, terminal.is_some());
    match terminal {
        Some(terminal) => in_terminal(children, &exec, command, &terminal),
        None => in_pipes(children, &exec, command),
    }
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_dir())
}

fn in_terminal(
    children: &Arc<Children>,
    exec: &ExecRequest,
    mut command: Command,
    terminal: &Terminal,
) -> Result<Started, Failure> {
    let made = open_terminal(terminal.size).during("make a terminal")?;
    let (near, far) = made;
    let duplicate = |far: &OwnedFd| far.try_clone().during("duplicate a terminal");
    command.env("TERM", &terminal.name);
    command.stdin(duplicate(&far)?).stdout(duplicate(&far)?).stderr(far);
    let reading = near.try_clone().during("duplicate a terminal")?;
    let process = children.spawn(&mut command).map_err(|error| start_failure(exec, &error))?;
    // The end of the output shows only when nobody but the process holds the far side.
    drop(command);
    Ok(Started { process, sources: vec![Source::new(Channel::Output, reading)], sink: Sink::Terminal(near) })
}

fn in_pipes(children: &Arc<Children>, exec: &ExecRequest, mut command: Command) -> Result<Started, Failure> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = children.spawn(&mut command).map_err(|error| start_failure(exec, &error))?;
    let ends = (process.stdin.take(), process.stdout.take(), process.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = ends else {
        return Err(Failure::new("start a command", "it has no pipes"));
    };
    let file = |end: OwnedFd| File::from(end);
    let sources = vec![
        Source::new(Channel::Output, file(stdout.into())),
        Source::new(Channel::Error, file(stderr.into())),
    ];
    Ok(Started { process, sources, sink: Sink::Pipe(file(stdin.into())) })
}
