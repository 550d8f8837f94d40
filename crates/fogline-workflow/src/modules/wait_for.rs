//! `wait_for`: until a port answers or a file is there, on the host, with a deadline.

use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use fogline_agent::{ExecRequest, Exit};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(super) const MODULE: Module = Module { name: "wait_for", independent: true, parse };

/// `wait_for_connection`: until the host's agent answers.
pub(super) const CONNECTION: Module =
    Module { name: "wait_for_connection", independent: true, parse: parse_connection };

/// The first wait between two looks; it doubles up to `sleep`.
const FIRST_WAIT: Duration = Duration::from_millis(20);

struct WaitFor {
    target: Target,
    /// Whether the condition is that it is there, or that it is gone.
    present: bool,
    delay: Duration,
    wait_max: Duration,
    look_timeout: Duration,
    timeout: Duration,
    message: Option<String>,
}

enum Target {
    Port { host: String, port: u16 },
    Path(PathBuf),
    Agent,
}

fn seconds(args: &Args, name: &str, default: f64) -> Result<Duration, ArgError> {
    Ok(Duration::from_secs_f64(args.number(name)?.unwrap_or(default)))
}

fn with_times(args: &Args, target: Target, present: bool) -> Result<Box<dyn Action>, ArgError> {
    Ok(Box::new(WaitFor {
        target,
        present,
        delay: seconds(args, "delay", 0.0)?,
        wait_max: seconds(args, "sleep", 1.0)?.max(FIRST_WAIT),
        look_timeout: seconds(args, "connect_timeout", 5.0)?.max(Duration::from_millis(100)),
        timeout: seconds(args, "timeout", 300.0)?,
        message: args.text("msg")?,
    }))
}

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let present = match args.text("state")?.as_deref() {
        None | Some("started" | "present") => true,
        Some("stopped" | "absent") => false,
        Some(_) if !args.is_known("state") => true,
        Some(other) => {
            let states = "started, present, stopped, absent";
            return Err(args.error("state", format!("wait_for: state must be one of {states}, not {other}")));
        }
    };
    let target = match (args.number("port")?, args.text("path")?) {
        (Some(_), Some(_)) => return Err(args.error("path", "wait_for takes either port or path, not both")),
        (None, Some(path)) => Target::Path(path.into()),
        (None, None) => return Err(args.error("port", "wait_for needs port or path")),
        (Some(number), None) => {
            let whole = (number.fract() == 0.0 && (0.0..=65535.0).contains(&number)).then_some(number as u16);
            let Some(port) = whole.filter(|port| *port > 0 || !args.is_known("port")) else {
                return Err(
                    args.error("port", format!("wait_for: port must be from 1 to 65535, not {number}"))
                );
            };
            let host = args.text("host")?.unwrap_or_else(|| "127.0.0.1".to_owned());
            if !host.chars().all(|c| c.is_alphanumeric() || "._:-".contains(c)) && args.is_known("host") {
                return Err(args.error("host", format!("wait_for: {host:?} is no host name or address")));
            }
            Target::Port { host, port }
        }
    };
    with_times(args, target, present)
}

fn parse_connection(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    with_times(args, Target::Agent, true)
}

impl WaitFor {
    /// Whether the target is there now.
    fn look(&self, call: &Call<'_>) -> Result<bool, Stop> {
        match &self.target {
            Target::Path(path) => Ok(call.client.stat(path)?.is_some()),
            Target::Agent => Ok(call.client.info(self.look_timeout).is_ok()),
            Target::Port { host, port } => {
                // Bash opens the connection itself; every Debian has it, where nc and python may be missing.
                let script = "exec 3<>\"/dev/tcp/$1/$2\"";
                let words =
                    ["bash", "-c", script, "wait_for", host, &port.to_string()].map(ToOwned::to_owned);
                let request = ExecRequest { timeout: self.look_timeout, ..ExecRequest::new(words) };
                Ok(call.client.exec(&request)?.exit == Exit::Code(0))
            }
        }
    }

    fn condition(&self) -> String {
        match (&self.target, self.present) {
            (Target::Port { host, port }, true) => format!("{host}:{port} to answer"),
            (Target::Port { host, port }, false) => format!("{host}:{port} to close"),
            (Target::Path(path), true) => format!("{} to appear", path.display()),
            (Target::Path(path), false) => format!("{} to disappear", path.display()),
            (Target::Agent, _) => "the host to answer".to_owned(),
        }
    }
}

impl Action for WaitFor {
    fn summary(&self) -> String {
        self.condition()
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        let begin = Instant::now();
        call.cancel.wait(self.delay)?;
        let mut wait = FIRST_WAIT;
        while self.look(call)? != self.present {
            if begin.elapsed() >= self.timeout {
                let usual =
                    || format!("waited {} s in vain for {}", self.timeout.as_secs_f64(), self.condition());
                return Ok(Outcome::failed(self.message.clone().unwrap_or_else(usual)));
            }
            call.cancel.wait(wait.min(self.timeout.saturating_sub(begin.elapsed())))?;
            wait = (wait * 2).min(self.wait_max);
        }
        Ok(Outcome::default().field("elapsed", begin.elapsed().as_secs()))
    }
}
