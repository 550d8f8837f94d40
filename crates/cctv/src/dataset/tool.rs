//! Running the programs of the system that the preparation needs.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::exit::Failure;

/// How much of a failed program's own words is shown, in lines.
const WORDS_LINES: usize = 6;

/// Runs a program to its end and returns what it wrote to standard output. `package` is what to install
/// when it is not there.
///
/// # Errors
/// When the program is missing or ends with a failure; the message carries its last words.
pub(super) fn run(command: &mut Command, package: &str) -> Result<String, Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    // Messages are searched for words, so they must be in one language.
    command.env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::failed(format!("`{name}` is missing; install the package {package}"))
        }
        _ => Failure::failed(format!("cannot start `{name}`: {error}")),
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let mut last: Vec<&str> =
        words.lines().filter(|line| !line.trim().is_empty()).rev().take(WORDS_LINES).collect();
    last.reverse();
    Err(Failure::failed(format!(
        "`{name} {}` ended with {}:\n{}",
        shown(command),
        output.status,
        last.join("\n")
    )))
}

/// The arguments that tell one call from another: the first few, without `-o SETTING` pairs.
fn shown(command: &Command) -> String {
    let mut shown = Vec::new();
    let mut args = command.get_args();
    while let Some(arg) = args.next() {
        if arg == "-o" {
            args.next();
        } else if shown.len() < 8 {
            shown.push(arg.to_string_lossy());
        }
    }
    shown.join(" ")
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn sha256(file: &Path) -> Result<String, Failure> {
    let text = run(Command::new("sha256sum").arg("--").arg(file), "coreutils")?;
    // A name with a backslash or a line end makes sha256sum put a backslash in front of the sum.
    let sum = text.trim_start_matches('\\').split_ascii_whitespace().next().unwrap_or_default();
    Ok(sum.to_owned())
}

/// A file operation's error, with the file's name.
pub(super) fn io_failure(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let message = format!("cannot {action} {}", path.display());
    move |error| Failure::failed(format!("{message}: {error}"))
}
