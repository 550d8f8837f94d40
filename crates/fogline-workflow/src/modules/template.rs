//! `template`: a local file, rendered, onto the host.

use super::copy::{Source, base_name, target};
use super::mode::Mode;
use super::{Action, Call, Module, Outcome, Rehearsal, Stop};
use crate::args::{ArgError, Args};
use crate::template::TemplateError;
use serde_json::json;
use std::fs;
use std::path::Path;

pub(super) const MODULE: Module = Module { name: "template", independent: false, parse };

struct Template {
    source: Source,
    destination: String,
    mode: Option<Mode>,
    force: bool,
}

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    Ok(Box::new(Template {
        source: Source::parse(args)?,
        destination: args.required_text("dest")?,
        mode: Mode::parse(args)?,
        force: args.flag("force", true)?,
    }))
}

/// Says where in the template file the error is.
fn located(path: &Path, error: &TemplateError) -> String {
    match error.line {
        Some(line) => format!("{}:{line}: {}", path.display(), error.message),
        None => format!("{}: {}", path.display(), error.message),
    }
}

impl Action for Template {
    fn summary(&self) -> String {
        format!("{} -> {}", self.source.path, self.destination)
    }

    fn dry(&self, rehearsal: &Rehearsal<'_>) -> Result<(), ArgError> {
        let Some(path) = self.source.find(rehearsal)? else { return Ok(()) };
        let wrong = |message: String, hint| ArgError { place: self.source.place.clone(), message, hint };
        let text = fs::read_to_string(&path)
            .map_err(|e| wrong(format!("cannot read the template {}: {e}", path.display()), None))?;
        rehearsal.scope.take_touched();
        match rehearsal.engine.text(&text, rehearsal.scope) {
            Err(error) if error.undefined || !rehearsal.scope.take_touched() => {
                Err(wrong(located(&path, &error), error.hint))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        let local = self.source.open(call)?;
        let text = fs::read_to_string(&local)
            .map_err(|e| Stop::Failed(format!("cannot read the template {}: {e}", local.display())))?;
        let rendered =
            call.engine.text(&text, call.scope).map_err(|error| Stop::Failed(located(&local, &error)))?;
        let name = base_name(&local).map(|name| name.trim_end_matches(".j2").to_owned());
        let path = target(&self.destination, name.as_deref(), call)?;
        if !self.force && call.client.stat(&path)?.is_some() {
            return Ok(Outcome::changed(false).field("dest", json!(path)));
        }
        let put = call.client.put_bytes(rendered.as_bytes(), &path, Mode::bits(self.mode.as_ref()))?;
        let changed = Mode::apply_symbolic(self.mode.as_ref(), &path, call)? || put.changed;
        Ok(Outcome::changed(changed).field("dest", json!(path)).field("size", put.bytes))
    }
}
