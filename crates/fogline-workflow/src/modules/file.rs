//! `file`: folders, links, and the absence of files.

use super::mode::{self, Mode};
use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use fogline_agent::{ExecRequest, FileKind, FileStat};
use serde_json::json;
use std::path::{Path, PathBuf};

pub(super) const MODULE: Module = Module { name: "file", independent: false, parse };

struct File {
    path: PathBuf,
    state: State,
    mode: Option<Mode>,
    recurse: bool,
}

enum State {
    Directory,
    Absent,
    Touch,
    File,
    Link { target: String, symbolic: bool },
}

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let path = PathBuf::from(args.required_text("path")?);
    let recurse = args.flag("recurse", false)?;
    let state = match args.text("state")?.as_deref() {
        Some("directory") => State::Directory,
        Some("absent") => State::Absent,
        Some("touch") => State::Touch,
        Some("file") => State::File,
        Some("link") => State::Link { target: args.required_text("src")?, symbolic: true },
        Some("hard") => State::Link { target: args.required_text("src")?, symbolic: false },
        None if recurse => State::Directory,
        None => State::File,
        Some(_) if !args.is_known("state") => State::File,
        Some(other) => {
            let states = "directory, absent, touch, file, link, hard";
            return Err(args.error("state", format!("file: state must be one of {states}, not {other}")));
        }
    };
    if recurse && !matches!(state, State::Directory) {
        return Err(args.error("recurse", "file: recurse goes with state: directory"));
    }
    Ok(Box::new(File { path, state, mode: Mode::parse(args)?, recurse }))
}

impl File {
    fn apply_mode(&self, call: &Call<'_>) -> Result<bool, Stop> {
        let Some(mode) = &self.mode else { return Ok(false) };
        let text = mode.text();
        let command: &[&str] =
            if self.recurse { &["chmod", "-R", "-c", &text, "--"] } else { &["chmod", "-c", &text, "--"] };
        mode::chmod(command, &self.path, call)
    }

    fn directory(&self, call: &Call<'_>) -> Result<bool, Stop> {
        let made = call.client.make_directory(&self.path, None)?;
        Ok(self.apply_mode(call)? || made)
    }

    fn existing(&self, call: &Call<'_>) -> Result<FileStat, Stop> {
        let absent = || Stop::Failed(format!("{} does not exist, cannot continue", self.path.display()));
        call.client.stat(&self.path)?.ok_or_else(absent)
    }

    fn link(&self, target: &str, symbolic: bool, call: &Call<'_>) -> Result<bool, Stop> {
        let symbolically = r#"[ "$(readlink -- "$2")" = "$1" ] || { ln -sfn -- "$1" "$2" && echo changed; }"#;
        let hard = r#"[ "$1" -ef "$2" ] || { ln -f -- "$1" "$2" && echo changed; }"#;
        let script = if symbolic { symbolically } else { hard };
        let path = self.path.to_string_lossy().into_owned();
        let words = ["/bin/sh", "-c", script, "link", target, &path].map(ToOwned::to_owned);
        let said = mode::run(ExecRequest { timeout: call.timeout, ..ExecRequest::new(words) }, call)?;
        Ok(!said.is_empty())
    }
}

impl Action for File {
    fn summary(&self) -> String {
        let path = self.path.display();
        match &self.state {
            State::Directory => format!("folder {path}"),
            State::Absent => format!("no {path}"),
            State::Touch => format!("touch {path}"),
            State::File => format!("file {path}"),
            State::Link { target, .. } => format!("link {path} -> {target}"),
        }
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        let changed = match &self.state {
            State::Directory => self.directory(call)?,
            State::Absent => call.client.remove(&self.path)?,
            State::Touch => {
                let words = ["touch", "--", &self.path.to_string_lossy()].map(ToOwned::to_owned);
                mode::run(ExecRequest { timeout: call.timeout, ..ExecRequest::new(words) }, call)?;
                self.apply_mode(call)?;
                true
            }
            State::File => {
                if self.existing(call)?.kind == FileKind::Directory && self.mode.is_none() {
                    return Err(Stop::Failed(format!("{} is a folder", self.path.display())));
                }
                self.apply_mode(call)?
            }
            State::Link { target, symbolic } => self.link(target, *symbolic, call)?,
        };
        Ok(Outcome::changed(changed).field("path", json!(Path::new(&self.path))))
    }
}
