//! Scenario folder to plan, with every problem found on the way.

use crate::cli::ScenarioArgs;
use fogline_plan::Plan;
use fogline_scenario::{Diagnostic, Severity, Source, Sources, TraceFile};
use fogline_workflow::Context;
use link::Congestion;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The service definitions that come with the program. A scenario's own `services/*.yaml` go before them.
const DEFINITIONS: [(&str, &str); 4] = [
    ("services/Default.yaml", include_str!("../../../services/Default.yaml")),
    ("services/Flink.yaml", include_str!("../../../services/Flink.yaml")),
    ("services/Kafka.yaml", include_str!("../../../services/Kafka.yaml")),
    ("services/Mosquitto.yaml", include_str!("../../../services/Mosquitto.yaml")),
];

/// Largest trace file that is read: a day of a link that delivers a packet each millisecond takes 0.8 GB, an hour 32 MB.
const TRACE_MAX: u64 = 64 << 20;

/// A scenario that can run.
pub(crate) struct Loaded {
    /// The plan.
    pub(crate) plan: Plan,
    /// What templates may ask for, all but the output folder.
    pub(crate) context: Context,
    /// The three documents and the traces as read, for the manifest's checksums.
    pub(crate) files: Vec<PathBuf>,
    /// Findings that do not stop the run.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Why a scenario cannot run.
pub(crate) enum LoadError {
    /// A file could not be read.
    Unreadable(PathBuf, io::Error),
    /// What is wrong with the files; at least one finding is an error.
    Invalid(Vec<Diagnostic>),
}

/// Reads, parses, plans and dry-renders the scenario; starts and writes nothing. `congestion` is the run's, as far as
/// known: some warnings hang on it.
///
/// # Errors
/// [`LoadError::Unreadable`] for a file that is missing or is not UTF-8, [`LoadError::Invalid`] with all findings.
pub(crate) fn load(args: &ScenarioArgs, congestion: Option<Congestion>) -> Result<Loaded, LoadError> {
    let folder = &args.scenario;
    let layers_path = folder.join("layers_services.yaml");
    let optional = ["network.yaml", "workflow.yaml"].map(|name| folder.join(name));
    let [network, workflow] = &optional;
    let network = read_if_there(network)?;
    let traces = network.as_ref().map_or_else(Vec::new, |network| traces(network, args));
    let sources = Sources {
        layers: read(&layers_path)?,
        network,
        workflow: read_if_there(workflow)?,
        services: definitions(folder)?,
        traces: traces.iter().map(|(trace, _)| trace.clone()).collect(),
    };
    let (scenario, mut findings) = fogline_scenario::parse(&sources);
    let name = absolute(folder)
        .file_name()
        .map_or_else(|| "scenario".to_owned(), |n| n.to_string_lossy().into_owned());
    let general = args.engines.iter().rev().find(|choice| choice.service.is_none());
    let single = args.engines.iter().filter_map(|c| Some((c.service.clone()?, c.engine.clone())));
    let options = fogline_plan::Options {
        scenario: name,
        congestion,
        engines: single.collect(),
        engine: general.map(|choice| choice.engine.clone()),
    };
    let plan = scenario.and_then(|scenario| {
        let (plan, more) = fogline_plan::plan(&scenario, &options);
        findings.extend(more);
        plan
    });
    let context = context(args);
    if let Some(plan) = &plan {
        findings.extend(plan.changes_after(units::Delay::from_millis(args.duration.saturating_mul(1000))));
        findings.extend(fogline_workflow::check(plan, &context));
    }
    findings.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.message.cmp(&b.message)));
    findings.dedup();
    let broken = findings.iter().any(|finding| finding.severity == Severity::Error);
    match plan {
        Some(plan) if !broken => {
            let traces = traces.into_iter().filter_map(|(_, path)| path);
            let files = [layers_path].into_iter().chain(optional).chain(traces);
            let files = files.filter(|path| path.is_file()).collect();
            Ok(Loaded { plan, context, files, warnings: findings })
        }
        _ => Err(LoadError::Invalid(findings)),
    }
}

/// The trace files that the network file names, from the artifacts folder or else the scenario's, and where each was
/// found.
fn traces(network: &Source, args: &ScenarioArgs) -> Vec<(TraceFile, Option<PathBuf>)> {
    let artifacts = args.artifacts.clone().unwrap_or_else(|| args.scenario.join("artifacts"));
    let find = |name: String| {
        let places = [artifacts.join(&name), args.scenario.join(&name)];
        let path = places.iter().find(|path| path.is_file());
        let source = match path {
            None => Err("there is no such file".to_owned()),
            Some(path) => bounded(path).map(|text| Source::new(path.to_string_lossy(), text)),
        };
        (TraceFile { name, source }, path.cloned())
    };
    fogline_scenario::traces_named(network).into_iter().map(find).collect()
}

/// The text of a file that is not too large to be held; why there is none.
fn bounded(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(TRACE_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > TRACE_MAX {
        return Err(format!("it is larger than {}", units::Size::from_bytes(TRACE_MAX)));
    }
    Ok(text)
}

/// What templates may ask for before there is a run folder: the output folder is named as if it were there.
fn context(args: &ScenarioArgs) -> Context {
    let scenario_dir = absolute(&args.scenario);
    let artifacts_dir = args.artifacts.as_deref().map_or_else(|| scenario_dir.join("artifacts"), absolute);
    let output_dir = scenario_dir.join("RUN");
    let mut context = Context::new(&scenario_dir, &artifacts_dir, &output_dir);
    context.duration_s = args.duration;
    context
}

/// The built-in definitions that the scenario does not replace, after the scenario's own.
fn definitions(folder: &Path) -> Result<Vec<Source>, LoadError> {
    let own = folder.join("services");
    let mut sources = Vec::new();
    if own.is_dir() {
        let entries = std::fs::read_dir(&own).map_err(|error| LoadError::Unreadable(own.clone(), error))?;
        let mut paths: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.retain(|path| {
            path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
        });
        paths.sort();
        for path in paths {
            sources.push(read(&path)?);
        }
    }
    let replaced = |name: &str| sources.iter().any(|own: &Source| file_name(&own.name) == file_name(name));
    let mut built_in = definitions_built_in();
    built_in.retain(|definition| !replaced(&definition.name));
    sources.extend(built_in);
    Ok(sources)
}

/// The definitions that come with the program.
pub(crate) fn definitions_built_in() -> Vec<Source> {
    DEFINITIONS.iter().map(|(name, text)| Source::new(*name, *text)).collect()
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default()
}

fn read_if_there(path: &Path) -> Result<Option<Source>, LoadError> {
    if path.exists() { read(path).map(Some) } else { Ok(None) }
}

fn read(path: &Path) -> Result<Source, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|error| LoadError::Unreadable(path.to_owned(), error))?;
    Ok(Source::new(path.to_string_lossy(), text))
}

/// The path from the root, links kept as they are.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
