//! `fogline shell` and `fogline ssh`: enters hosts of a running experiment, and forwards ports to them.

mod args;
mod exchange;
mod forward;
mod protocol;
mod serve;
mod session;

pub(crate) use args::{ShellArgs, SshArgs};
pub(crate) use protocol::ShownHost;
pub(crate) use serve::Hosts;

use crate::control::{self, Answer, Request, Trouble};
use crate::exit::Exit;
use crate::table::section;
use args::Entry;
use fogline_agent::stream::ProcessRequest;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs `fogline shell`.
pub(crate) fn run(args: &ShellArgs) -> ExitCode {
    match &args.host {
        Some(host) => enter(&args.scenario, host, &args.entry),
        None => list(&args.scenario).unwrap_or_else(Trouble::tell).into(),
    }
}

/// Runs `fogline ssh`.
pub(crate) fn run_ssh(args: &SshArgs) -> ExitCode {
    let (scenario, host) = match (&args.first, &args.second) {
        (Some(scenario), host @ Some(_)) => (PathBuf::from(scenario), host.clone()),
        (Some(only), None) if Path::new(only).is_dir() => (PathBuf::from(only), None),
        (only, _) => (default_scenario(), only.clone()),
    };
    if let (true, Some(local), Some(remote)) = (args.forward, args.local_port, args.remote_port) {
        let forwarded =
            control::running(&scenario).and_then(|folder| forward::forward(folder, host, local, remote));
        return forwarded.unwrap_or_else(Trouble::tell).into();
    }
    match host {
        Some(host) => enter(&scenario, &host, &args.entry),
        None => {
            eprintln!(
                "error: name the host to enter: `fogline shell --list` shows all; or forward a port with -f"
            );
            Exit::Refused.into()
        }
    }
}

fn default_scenario() -> PathBuf {
    std::env::var_os("FOGLINE_SCENARIO_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// Runs a command, or a shell, on a host; with its exit code.
fn enter(scenario: &Path, host: &str, entry: &Entry) -> ExitCode {
    let here = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let terminal = entry.tty || here && !entry.no_tty;
    let process = ProcessRequest {
        argv: entry.command.clone(),
        terminal: terminal.then(session::terminal_here),
        ..ProcessRequest::default()
    };
    let request = Request::Shell { host: host.to_owned(), process };
    let opened = control::running(scenario).and_then(|folder| control::open(&folder, &request));
    let ended = match opened {
        Ok((Answer::Open { .. }, conversation)) => session::talk(conversation, terminal),
        Ok((answer, _)) => Err(Trouble::from(answer).reason()),
        Err(trouble) => Err(trouble.reason()),
    };
    match ended {
        Ok(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(u8::MAX)),
        Err(reason) => {
            eprintln!("error: {reason}");
            Exit::Unreached.into()
        }
    }
}

/// Prints the hosts.
fn list(scenario: &Path) -> Result<Exit, Trouble> {
    let hosts = match control::ask(&control::running(scenario)?, &Request::Hosts)? {
        Answer::Hosts(hosts) => hosts,
        answer => return Err(answer.into()),
    };
    let service = |service: &protocol::ShownService| match service.port {
        Some(port) => format!("{} (port {port})", service.key),
        None => service.key.clone(),
    };
    let rows = hosts.into_iter().map(|host| {
        let services: Vec<String> = host.services.iter().map(service).collect();
        vec![host.name, host.address, services.join(", ")]
    });
    let mut text = String::new();
    section(&mut text, "Hosts", &["host", "address", "services"], rows.collect());
    // A reader that stops early (`fogline shell --list | head`) is no error.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(Exit::Success)
}
