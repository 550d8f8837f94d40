//! One sample of a cluster.

use super::columns::{COLUMNS, line};
use crate::flink::{self, Job, Vertex};
use crate::metrics;
use crate::rest::{Rest, RestError};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest wait for one answer: a cluster that is down must not hold up the next sample for long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Samples after which the names of a vertex's metrics are asked for again: Kafka's come with the first fetch.
const NAMES_KEPT: u32 = 10;
/// A lag beyond this is none: before its first record, a source's watermark is Java's smallest number.
const LAG_MS_MAX: f64 = 1e15;

const VERTEX: [&str; 5] = [
    "numRecordsIn",
    "numRecordsOut",
    "busyTimeMsPerSecond",
    "backPressuredTimeMsPerSecond",
    "idleTimeMsPerSecond",
];
/// Ends of the names of a source's metrics, which begin with the operator's name.
const SOURCE: [&str; 3] = [".pendingRecords", ".records-lag-max", ".watermarkLag"];
const JOB: [&str; 5] = [
    "numRestarts",
    "numberOfCompletedCheckpoints",
    "numberOfFailedCheckpoints",
    "lastCheckpointDuration",
    "lastCheckpointSize",
];
const HEAP: &str = "Status.JVM.Memory.Heap.Used";
const LOAD: &str = "Status.JVM.CPU.Load";
const CPU_NS: &str = "Status.JVM.CPU.Time";

/// A cluster that is sampled again and again.
pub(super) struct Cluster {
    rest: Rest,
    vertices: BTreeMap<(String, String), Known>,
}

/// What is kept of a vertex from sample to sample.
#[derive(Default)]
struct Known {
    /// Full names of [`SOURCE`], as far as it has them, and how many samples they are old.
    source: Vec<String>,
    age: Option<u32>,
    /// Time in ms, records in and out.
    before: Option<(u64, f64, f64)>,
}

impl Cluster {
    pub(super) fn new(rest: Rest) -> Self {
        Self { rest, vertices: BTreeMap::new() }
    }

    /// The lines of one sample at `now` (ms since the epoch).
    ///
    /// # Errors
    /// When the cluster does not answer, or stops answering meanwhile.
    pub(super) fn sample(&mut self, now: u64) -> Result<String, RestError> {
        let jobs = flink::jobs(&self.rest, PATIENCE)?;
        let processes = self.processes()?;
        let mut text = String::new();
        let mut seen = Vec::new();
        for job in jobs.iter().filter(|job| !job.state.is_end()) {
            let job = flink::job(&self.rest, &job.jid, PATIENCE)?;
            let of_job = self.of_job(&job.jid)?;
            for vertex in &job.vertices {
                let of_vertex = self.of_vertex(&job, vertex, now)?;
                seen.push((job.jid.clone(), vertex.id.clone()));
                text.push_str(&write(
                    now,
                    Some((&job, vertex)),
                    of_vertex.iter().chain(&of_job).chain(&processes),
                ));
            }
        }
        if text.is_empty() {
            text = write(now, None, processes.iter());
        }
        self.vertices.retain(|key, _| seen.contains(key));
        Ok(text)
    }

    /// Job manager and task managers.
    fn processes(&self) -> Result<Figures, RestError> {
        let manager = metrics::values(&self.rest, "/jobmanager/metrics", &[HEAP, LOAD], PATIENCE)?;
        let workers =
            metrics::aggregates(&self.rest, "/taskmanagers/metrics", &[HEAP, LOAD, CPU_NS], PATIENCE)?;
        let overview: flink::Overview = self.rest.get("/overview", &[], PATIENCE)?;
        let worker = |name: &str| workers.get(name).copied().unwrap_or_default();
        Ok(vec![
            ("job_manager_heap_bytes", manager.get(HEAP).copied()),
            ("job_manager_cpu_load", manager.get(LOAD).copied()),
            ("task_managers", Some(f64::from(overview.taskmanagers))),
            ("task_managers_heap_bytes", worker(HEAP).sum),
            ("task_managers_cpu_load", worker(LOAD).max),
            ("task_managers_cpu_s", worker(CPU_NS).sum.map(|nanos| nanos / 1e9)),
        ])
    }

    fn of_job(&self, id: &str) -> Result<Figures, RestError> {
        let found = metrics::values(&self.rest, &format!("/jobs/{id}/metrics"), &JOB, PATIENCE)?;
        // Before the first checkpoint, its duration is -1.
        let value = |name: &str| found.get(name).copied().filter(|value| *value >= 0.0);
        let completed = value("numberOfCompletedCheckpoints");
        let last = |name: &str| value(name).filter(|_| completed.is_some_and(|count| count > 0.0));
        Ok(vec![
            ("checkpoints_completed", completed),
            ("checkpoints_failed", value("numberOfFailedCheckpoints")),
            ("checkpoint_ms", last("lastCheckpointDuration")),
            ("checkpoint_bytes", last("lastCheckpointSize")),
            ("restarts", value("numRestarts")),
        ])
    }

    fn of_vertex(&mut self, job: &Job, vertex: &Vertex, now: u64) -> Result<Figures, RestError> {
        let path = format!("/jobs/{}/vertices/{}/subtasks/metrics", job.jid, vertex.id);
        let known = self.vertices.entry((job.jid.clone(), vertex.id.clone())).or_default();
        if known.age.is_none_or(|age| age >= NAMES_KEPT) {
            known.source = source_names(metrics::names(&self.rest, &path, PATIENCE)?);
            known.age = Some(0);
        }
        known.age = known.age.map(|age| age + 1);
        let asked: Vec<&str> = VERTEX.into_iter().chain(known.source.iter().map(String::as_str)).collect();
        let found = metrics::aggregates(&self.rest, &path, &asked, PATIENCE)?;
        let get = |name: &str| found.get(name).copied().unwrap_or_default();
        let of_source = |end: &str| {
            let name = known.source.iter().find(|name| name.ends_with(end));
            name.map(|name| get(name)).unwrap_or_default()
        };
        let (records_in, records_out) = (get(VERTEX[0]).sum, get(VERTEX[1]).sum);
        let totals = records_in.zip(records_out).map(|(come, gone)| (now, come, gone));
        let rates = known.before.zip(totals).and_then(|(before, after)| rates(before, after));
        known.before = totals;
        let lag = of_source(SOURCE[2]).max.filter(|lag| lag.abs() < LAG_MS_MAX);
        Ok(vec![
            ("records_in", records_in),
            ("records_out", records_out),
            ("records_in_per_s", rates.map(|rates| rates.0)),
            ("records_out_per_s", rates.map(|rates| rates.1)),
            ("busy_ms_per_s", get(VERTEX[2]).max),
            ("backpressured_ms_per_s", get(VERTEX[3]).max),
            ("idle_ms_per_s", get(VERTEX[4]).max),
            ("pending_records", of_source(SOURCE[0]).sum),
            ("records_lag_max", of_source(SOURCE[1]).max),
            ("watermark_lag_ms", lag),
        ])
    }
}

/// Figures by their columns.
type Figures = Vec<(&'static str, Option<f64>)>;

/// Those of a vertex's metrics that are a source's. Names with a comma cannot be asked for.
fn source_names(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| !name.contains(',') && SOURCE.iter().any(|end| name.ends_with(end)));
    names
}

/// Records in and out per second; `None` when the vertex began anew between the two.
fn rates(before: (u64, f64, f64), after: (u64, f64, f64)) -> Option<(f64, f64)> {
    let seconds = after.0.checked_sub(before.0).filter(|ms| *ms > 0)? as f64 / 1e3;
    let (come, gone) = (after.1 - before.1, after.2 - before.2);
    (come >= 0.0 && gone >= 0.0).then_some((come / seconds, gone / seconds))
}

fn write<'a>(
    now: u64,
    of: Option<(&Job, &Vertex)>,
    figures: impl Iterator<Item = &'a (&'static str, Option<f64>)>,
) -> String {
    let mut cells: BTreeMap<&str, String> = BTreeMap::from([("time_unix_ms", now.to_string())]);
    if let Some((job, vertex)) = of {
        cells.insert("job", job.name.clone());
        cells.insert("job_id", job.jid.clone());
        cells.insert("state", job.state.0.clone());
        cells.insert("vertex", vertex.name.clone());
        cells.insert("subtasks", vertex.parallelism.to_string());
    }
    cells.extend(figures.filter_map(|(column, value)| Some((*column, short((*value)?)))));
    line(COLUMNS.iter().map(|(column, _)| cells.remove(column).unwrap_or_default()))
}

/// Whole numbers as such, others with three decimals.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertex_that_began_anew_has_no_rate() {
        assert_eq!(rates((1000, 10.0, 5.0), (3000, 110.0, 5.0)), Some((50.0, 0.0)));
        assert_eq!(rates((1000, 10.0, 5.0), (3000, 9.0, 6.0)), None);
        assert_eq!(rates((1000, 10.0, 5.0), (1000, 11.0, 6.0)), None);
    }

    #[test]
    fn figures_stand_in_their_columns() {
        let figures =
            [("restarts", Some(2.0)), ("task_managers_cpu_load", Some(0.023_72)), ("records_in", None)];
        let written = write(7, None, figures.iter());
        let cells: Vec<&str> = written.trim_end().split(',').collect();
        assert_eq!(cells.len(), COLUMNS.len());
        let cell = |name: &str| cells[COLUMNS.iter().position(|(column, _)| *column == name).expect(name)];
        assert_eq!(
            ["time_unix_ms", "restarts", "task_managers_cpu_load", "records_in"].map(cell),
            ["7", "2", "0.024", ""]
        );
    }

    #[test]
    fn whole_numbers_stay_whole() {
        assert_eq!([0.0, 100.0, 1.5, 8.210_52e7].map(short), ["0", "100", "1.5", "82105200"]);
    }

    #[test]
    fn a_source_is_known_by_its_metrics() {
        let names = [
            "Source__frames.pendingRecords",
            "numRecordsIn",
            "a,b.watermarkLag",
            "S.K.KafkaConsumer.records-lag-max",
        ];
        let found = source_names(names.map(str::to_owned).to_vec());
        assert_eq!(found, ["Source__frames.pendingRecords", "S.K.KafkaConsumer.records-lag-max"]);
    }
}
