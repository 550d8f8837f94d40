//! `copy`: a local file, a folder, or a text onto the host.

use super::mode::{self, Mode};
use super::{Action, Call, Module, Outcome, Rehearsal, Stop};
use crate::args::{ArgError, Args};
use fogline_agent::{ExecRequest, FileKind};
use fogline_scenario::Place;
use serde_json::json;
use std::path::{Path, PathBuf};

pub(super) const MODULE: Module = Module { name: "copy", independent: false, parse };

struct Copy {
    from: From,
    destination: String,
    mode: Option<Mode>,
    /// Whether an existing file of other content is replaced.
    force: bool,
}

enum From {
    Content(String),
    Local(Source),
    Host(String),
}

/// A local file or folder as the user names it.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) place: Place,
    /// False when only the run will know it.
    pub(super) known: bool,
}

impl Source {
    pub(super) fn parse(args: &Args) -> Result<Self, ArgError> {
        let path = args.required_text("src")?;
        Ok(Self { path, place: args.place("src").clone(), known: args.is_known("src") })
    }

    /// Whether it is there, unless it will be made by the run.
    pub(super) fn find(&self, rehearsal: &Rehearsal<'_>) -> Result<Option<PathBuf>, ArgError> {
        if !self.known || Path::new(&self.path).starts_with(&rehearsal.context.output_dir) {
            return Ok(None);
        }
        let missing = |missing: crate::context::MissingSource| ArgError {
            place: self.place.clone(),
            message: format!("missing artifact: {}", missing.message),
            hint: missing.hint,
        };
        rehearsal.context.source(&self.path).map(Some).map_err(missing)
    }

    pub(super) fn open(&self, call: &Call<'_>) -> Result<PathBuf, Stop> {
        call.context.source(&self.path).map_err(|missing| Stop::Failed(missing.message))
    }
}

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let from = match (args.value("content"), args.value("src")) {
        (Some(_), Some(_)) => return Err(args.error("content", "copy takes either src or content, not both")),
        // Data becomes JSON, as Ansible does it.
        (Some(content), None) => {
            From::Content(content.as_str().map_or_else(|| content.to_string(), ToOwned::to_owned))
        }
        (None, _) if args.flag("remote_src", false)? => From::Host(args.required_text("src")?),
        (None, Some(_)) => From::Local(Source::parse(args)?),
        (None, None) => return Err(args.error("src", "copy needs src or content")),
    };
    let destination = args.required_text("dest")?;
    if matches!(from, From::Content(_)) && destination.ends_with('/') {
        return Err(args.error("dest", "copy with content needs a file as dest, not a folder"));
    }
    Ok(Box::new(Copy { from, destination, mode: Mode::parse(args)?, force: args.flag("force", true)? }))
}

/// The file that a file of `name` becomes: inside `destination` when that is a folder (or says so by a slash).
pub(super) fn target(destination: &str, name: Option<&str>, call: &Call<'_>) -> Result<PathBuf, Stop> {
    let path = Path::new(destination);
    let Some(name) = name else { return Ok(path.to_path_buf()) };
    let is_folder = destination.ends_with('/')
        || call.client.stat(path)?.is_some_and(|stat| stat.kind == FileKind::Directory);
    Ok(if is_folder { path.join(name) } else { path.to_path_buf() })
}

pub(super) fn base_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

impl Copy {
    fn folder(&self, source: &Path, contents_only: bool, call: &Call<'_>) -> Result<Outcome, Stop> {
        let destination = Path::new(&self.destination);
        let put = call.client.put_directory(source, destination, contents_only)?;
        let mut changed = put.changed;
        if let Some(mode) = &self.mode {
            let root = match base_name(source) {
                Some(name) if !contents_only => destination.join(name),
                _ => destination.to_path_buf(),
            };
            let find = [
                "find",
                &root.to_string_lossy(),
                "-type",
                "f",
                "-exec",
                "chmod",
                "-c",
                &mode.text(),
                "{}",
                "+",
            ]
            .map(ToOwned::to_owned);
            let said = mode::run(ExecRequest { timeout: call.timeout, ..ExecRequest::new(find) }, call)?;
            changed |= !said.is_empty();
        }
        Ok(Outcome::changed(changed).field("dest", self.destination.clone()).field("size", put.bytes))
    }

    fn within_host(&self, source: &str, call: &Call<'_>) -> Result<Outcome, Stop> {
        // Slashes mean to Ansible what they mean to rsync: with one, the contents.
        let source = if source.ends_with('/') { format!("{source}.") } else { source.to_owned() };
        let make = "mkdir -p -- \"$2\" && cp -R -- \"$1\" \"$2\"";
        let plain = "mkdir -p -- \"$(dirname -- \"$2\")\" && cp -R -- \"$1\" \"$2\"";
        let script = if source.ends_with("/.") || self.destination.ends_with('/') { make } else { plain };
        let words = ["/bin/sh", "-c", script, "copy", &source, &self.destination].map(ToOwned::to_owned);
        mode::run(ExecRequest { timeout: call.timeout, ..ExecRequest::new(words) }, call)?;
        if let Some(mode) = &self.mode {
            mode::chmod(&["chmod", "-c", &mode.text(), "--"], Path::new(&self.destination), call)?;
        }
        Ok(Outcome::changed(true).field("dest", self.destination.clone()))
    }
}

impl Action for Copy {
    fn summary(&self) -> String {
        match &self.from {
            From::Content(text) => format!("{} bytes of text -> {}", text.len(), self.destination),
            From::Local(source) => format!("{} -> {}", source.path, self.destination),
            From::Host(source) => format!("host:{source} -> {}", self.destination),
        }
    }

    fn dry(&self, rehearsal: &Rehearsal<'_>) -> Result<(), ArgError> {
        match &self.from {
            From::Local(source) => source.find(rehearsal).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        let bits = Mode::bits(self.mode.as_ref());
        let (path, put) = match &self.from {
            From::Host(source) => return self.within_host(source, call),
            From::Content(text) => {
                let path = PathBuf::from(&self.destination);
                if !self.force && call.client.stat(&path)?.is_some() {
                    return Ok(Outcome::changed(false).field("dest", json!(path)));
                }
                let put = call.client.put_bytes(text.as_bytes(), &path, bits)?;
                (path, put)
            }
            From::Local(source) => {
                let local = source.open(call)?;
                if local.is_dir() {
                    return self.folder(&local, source.path.ends_with('/'), call);
                }
                let path = target(&self.destination, base_name(&local).as_deref(), call)?;
                if !self.force && call.client.stat(&path)?.is_some() {
                    return Ok(Outcome::changed(false).field("dest", json!(path)));
                }
                let put = call.client.put_file(&local, &path, bits)?;
                (path, put)
            }
        };
        let changed = Mode::apply_symbolic(self.mode.as_ref(), &path, call)? || put.changed;
        Ok(Outcome::changed(changed).field("dest", json!(path)).field("size", put.bytes))
    }
}
