//! Permission bits as users write them.

use super::{Call, Stop};
use crate::args::{ArgError, Args};
use fogline_agent::ExecRequest;
use std::path::Path;

/// A file mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `0644`, also without quotes or leading zero.
    Octal(u32),
    /// `u+x`: `chmod` on the host reads it.
    Symbolic(String),
}

impl Mode {
    /// The argument `mode`. `preserve` is the same as none: that is what a copy does.
    pub(super) fn parse(args: &Args) -> Result<Option<Self>, ArgError> {
        let Some(text) = args.text("mode")?.filter(|text| text != "preserve") else { return Ok(None) };
        if let Some(bits) = u32::from_str_radix(&text, 8).ok().filter(|bits| *bits <= 0o7777) {
            return Ok(Some(Self::Octal(bits)));
        }
        let symbolic = text.contains(['+', '-', '=']) && text.chars().all(|c| "ugoa+-=rwxXst,".contains(c));
        if symbolic || !args.is_known("mode") {
            return Ok(Some(Self::Symbolic(text)));
        }
        Err(args.error(
            "mode",
            format!("mode must be octal such as \"0644\", or symbolic such as u+x, not {text}"),
        ))
    }

    /// The bits, where they are known here.
    pub(super) fn bits(mode: Option<&Self>) -> Option<u32> {
        match mode {
            Some(Self::Octal(bits)) => Some(*bits),
            _ => None,
        }
    }

    /// Applies what [`Mode::bits`] leaves out; whether anything changed.
    pub(super) fn apply_symbolic(mode: Option<&Self>, path: &Path, call: &Call<'_>) -> Result<bool, Stop> {
        match mode {
            Some(Self::Symbolic(text)) => chmod(&["chmod", "-c", text, "--"], path, call),
            _ => Ok(false),
        }
    }

    /// As `chmod` takes it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Octal(bits) => format!("{bits:04o}"),
            Self::Symbolic(text) => text.clone(),
        }
    }
}

/// Runs a `chmod -c` on `path`; whether it says that it changed something.
pub(super) fn chmod(command: &[&str], path: &Path, call: &Call<'_>) -> Result<bool, Stop> {
    let words = command.iter().map(|word| (*word).to_owned()).chain([path.to_string_lossy().into_owned()]);
    run(ExecRequest { timeout: call.timeout, ..ExecRequest::new(words) }, call).map(|said| !said.is_empty())
}

/// Runs a small command of a module; its output, or its complaint as the task's failure.
pub(super) fn run(request: ExecRequest, call: &Call<'_>) -> Result<String, Stop> {
    let result = call.client.exec(&request)?;
    if result.exit.is_success() {
        return Ok(super::process::text(&result.stdout));
    }
    let said = super::process::text(&result.stderr);
    Err(Stop::Failed(if said.is_empty() { format!("{} failed", request.argv[0]) } else { said }))
}
