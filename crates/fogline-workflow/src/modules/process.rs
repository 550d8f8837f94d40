//! A command on a host, as `shell` and `command` run it.

use super::{Action, Call, Outcome, Stop};
use crate::args::{ArgError, Args};
use fogline_agent::{ExecRequest, ExecResult, Exit};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A command with what stands around it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(super) argv: Vec<String>,
    /// The command as the user wrote it.
    pub(super) line: String,
    directory: Option<PathBuf>,
    stdin: Vec<u8>,
    creates: Option<PathBuf>,
    removes: Option<PathBuf>,
}

impl Process {
    pub(super) fn parse(args: &Args, argv: Vec<String>, line: String) -> Result<Self, ArgError> {
        let directory = args.text("chdir")?.map(PathBuf::from);
        let within = |path: String| directory.as_deref().unwrap_or(Path::new("")).join(path);
        let mut stdin = args.text("stdin")?;
        if args.flag("stdin_add_newline", true)?
            && let Some(text) = stdin.as_mut().filter(|text| !text.ends_with('\n'))
        {
            text.push('\n');
        }
        Ok(Self {
            creates: args.text("creates")?.map(within),
            removes: args.text("removes")?.map(within),
            stdin: stdin.unwrap_or_default().into_bytes(),
            directory,
            argv,
            line,
        })
    }

    /// The request to an agent.
    pub(crate) fn request(&self, environment: Vec<(String, String)>, timeout: Duration) -> ExecRequest {
        ExecRequest {
            argv: self.argv.clone(),
            environment,
            directory: self.directory.clone(),
            stdin: self.stdin.clone(),
            timeout,
        }
    }

    /// Why the command need not run: `creates` is there, or `removes` is not.
    pub(crate) fn spared(&self, call: &Call<'_>) -> Result<Option<Outcome>, Stop> {
        let there = |path: &Option<PathBuf>| path.as_ref().map(|path| call.client.stat(path)).transpose();
        let spared = |text: String| {
            let outcome =
                Outcome { rc: Some(0), stdout: format!("skipped, since {text}"), ..Outcome::default() };
            Ok(Some(outcome.field("cmd", self.line.clone())))
        };
        if let (Some(path), Some(Some(_))) = (&self.creates, there(&self.creates)?) {
            return spared(format!("{} exists", path.display()));
        }
        if let (Some(path), Some(None)) = (&self.removes, there(&self.removes)?) {
            return spared(format!("{} does not exist", path.display()));
        }
        Ok(None)
    }
}

impl Action for Process {
    fn summary(&self) -> String {
        self.line.trim().to_owned()
    }

    fn process(&self) -> Option<&Process> {
        Some(self)
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        if let Some(outcome) = self.spared(call)? {
            return Ok(outcome);
        }
        let result = call.client.exec(&self.request(call.environment.clone(), call.timeout))?;
        Ok(outcome(&result, call.timeout).field("cmd", self.line.clone()))
    }
}

/// The outcome of a command: failed unless it exits with 0.
pub(super) fn outcome(result: &ExecResult, timeout: Duration) -> Outcome {
    let rc = result.exit.rc();
    let message = match result.exit {
        Exit::Code(0) => None,
        Exit::Code(_) => Some("non-zero return code".to_owned()),
        Exit::Signal(signal) => Some(format!("killed by signal {signal}")),
        Exit::TimedOut => Some(format!("did not end within {} s and was killed", timeout.as_secs_f64())),
    };
    let outcome = Outcome {
        changed: true,
        failed: !result.exit.is_success(),
        rc: Some(rc),
        message,
        stdout: text(&result.stdout),
        stderr: text(&result.stderr),
        ..Outcome::default()
    };
    let outcome = outcome.field("elapsed_ms", json!(result.elapsed.as_millis() as u64));
    if result.truncated { outcome.field("truncated", true) } else { outcome }
}

/// Output as text, without the newlines at its end.
pub(super) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(['\n', '\r']).to_owned()
}
