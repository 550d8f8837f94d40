//! `fetch`: a file from the host.

use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use fogline_agent::{AgentError, FileKind};
use serde_json::json;
use std::path::{Component, Path, PathBuf};

pub(super) const MODULE: Module = Module {
    name: "fetch",

    // Each item is a file of its own.
    independent: true,
    parse,
};

struct Fetch {
    source: String,
    destination: String,
    flat: bool,
    fail_on_missing: bool,
}

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    Ok(Box::new(Fetch {
        source: args.required_text("src")?,
        destination: args.required_text("dest")?,
        flat: args.flag("flat", false)?,
        fail_on_missing: args.flag("fail_on_missing", true)?,
    }))
}

impl Fetch {
    /// Not flat: `dest/<inventory_hostname>/<path on the host>`. Flat: `dest`, or a file in it when it ends in a slash.
    fn local(&self, host: &str, output_dir: &Path) -> PathBuf {
        let destination = output_dir.join(&self.destination);
        let source = Path::new(&self.source);
        // Only the names: neither the root nor `..` may lead out of the host's own folder.
        let names = source.components().filter(|part| matches!(part, Component::Normal(_)));
        if !self.flat {
            return destination.join(host).join(names.collect::<PathBuf>());
        }
        match source.file_name() {
            Some(name) if self.destination.ends_with('/') => destination.join(name),
            _ => destination,
        }
    }
}

impl Action for Fetch {
    fn summary(&self) -> String {
        format!("{} <- {}", self.destination, self.source)
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        let local = self.local(call.client.host(), &call.context.output_dir);
        let source = Path::new(&self.source);
        match call.client.get_file(source, &local) {
            Ok(bytes) => Ok(Outcome::changed(true).field("dest", json!(local)).field("size", bytes)),
            Err(error) if is_missing(&error) => {
                let message = format!("the file {} does not exist on the host", self.source);
                if self.fail_on_missing { Err(Stop::Failed(message)) } else { Ok(Outcome::skipped(message)) }
            }
            Err(error) => match call.client.stat(source) {
                Ok(Some(stat)) if stat.kind == FileKind::Directory => {
                    Err(Stop::Failed(format!("{} is a folder; fetch takes files", self.source)))
                }
                _ => Err(error.into()),
            },
        }
    }
}

fn is_missing(error: &AgentError) -> bool {
    // ENOENT, and ENOTDIR for a file where a folder should be.
    matches!(error, AgentError::Refused { failure, .. } if matches!(failure.errno, Some(2 | 20)))
}
