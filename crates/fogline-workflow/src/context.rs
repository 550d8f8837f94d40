//! What a run gives to all its tasks.

use crate::suggest;
use fogline_journal::RunPhase;
use fogline_plan::Variables;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folders, times and variables that all tasks of a run share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The scenario's folder, absolute: `scenario_dir`.
    pub scenario_dir: PathBuf,
    /// The folder with the files that tasks copy to hosts, absolute: `artifacts_dir`.
    pub artifacts_dir: PathBuf,
    /// The run folder, absolute; relative destinations of `fetch` begin here.
    pub output_dir: PathBuf,
    /// Seconds between launch and finalize: `duration`.
    pub duration_s: u64,
    /// Which run of a repetition, from 1: `current_repeat`.
    pub current_repeat: u32,
    /// Further variables for all tasks, such as `env_<key>` and `app_conf`; they win over a play's own.
    pub variables: Variables,
    /// How long one command may take unless `async` says otherwise.
    pub task_timeout: Duration,
}

/// A file that a task names is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingSource {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Context {
    /// Ten minutes: the usual limit of one command.
    pub const TASK_TIMEOUT: Duration = Duration::from_secs(600);

    /// A context for the first run, of 60 seconds, without further variables.
    pub fn new(scenario_dir: &Path, artifacts_dir: &Path, output_dir: &Path) -> Self {
        Self {
            scenario_dir: scenario_dir.to_path_buf(),
            artifacts_dir: artifacts_dir.to_path_buf(),
            output_dir: output_dir.to_path_buf(),
            duration_s: 60,
            current_repeat: 1,
            variables: Variables::new(),
            task_timeout: Self::TASK_TIMEOUT,
        }
    }

    /// `working_dir`, as E2Clab means it: the run folder in finalize and after it, the artifacts folder before.
    pub fn working_dir(&self, phase: RunPhase) -> &Path {
        let over = matches!(phase, RunPhase::Finalize | RunPhase::Collect);
        if over { &self.output_dir } else { &self.artifacts_dir }
    }

    /// The variables that all tasks of `phase` share; they win over all others.
    pub(crate) fn extra_vars(&self, phase: RunPhase) -> Variables {
        let mut vars = Variables::new();
        vars.insert("working_dir".into(), json!(self.working_dir(phase).to_string_lossy()));
        vars.insert("scenario_dir".into(), json!(self.scenario_dir.to_string_lossy()));
        vars.insert("artifacts_dir".into(), json!(self.artifacts_dir.to_string_lossy()));
        vars.insert("current_repeat".into(), json!(self.current_repeat));
        vars.insert("duration".into(), json!(self.duration_s));
        vars.extend(self.variables.clone());
        vars
    }

    /// The local file or folder that a task names by `source`: relative ones lie in the artifacts folder, else in the
    /// scenario folder.
    pub(crate) fn source(&self, source: &str) -> Result<PathBuf, MissingSource> {
        let candidates = [self.artifacts_dir.join(source), self.scenario_dir.join(source)];
        if let Some(found) = candidates.iter().find(|path| path.exists()) {
            return Ok(found.clone());
        }
        let message = format!("there is no file {}", candidates[0].display());
        Err(MissingSource { message, hint: neighbours(&candidates[0], &self.artifacts_dir) })
    }
}

/// What there is instead of a missing file.
fn neighbours(missing: &Path, artifacts_dir: &Path) -> Option<String> {
    if !artifacts_dir.is_dir() && missing.starts_with(artifacts_dir) {
        return Some(format!("the artifacts folder {} does not exist", artifacts_dir.display()));
    }
    let folder = missing.parent()?;
    let Ok(entries) = folder.read_dir() else {
        return Some(format!("the folder {} does not exist", folder.display()));
    };
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    let wanted = missing.file_name()?.to_string_lossy();
    Some(match suggest::nearest(&wanted, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => format!("{} is empty", folder.display()),
        None => format!("{} has {}", folder.display(), suggest::listed(&names)),
    })
}
