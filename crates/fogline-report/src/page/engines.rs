//! The section on engines: which one ran each service, and what they said of themselves.

use super::sections::figure;
use super::table::{Table, number};
use crate::Evaluation;
use crate::engines::flink::Vertex;
use crate::engines::{EngineView, Series, kafka};
use fogline_journal::Manifest;
use serde_json::Value;
use std::collections::BTreeMap;

/// The manifest's fact that says which engine ran which service.
pub(super) const ENGINES: &str = "engines";

/// The whole section; empty for runs of versions that did not write which engines they had.
pub(super) fn engines(evaluation: &Evaluation, manifest: &Manifest) -> String {
    let view = &evaluation.engines;
    let chosen = chosen(manifest);
    if chosen.is_empty() && view.vertices.is_empty() && view.brokers.is_empty() {
        return String::new();
    }
    format!("<h2>Engines</h2>{chosen}{}{}", flink(view), brokers(view))
}

/// Engine by engine, what it ran; then the versions of what took part.
fn chosen(manifest: &Manifest) -> String {
    let Some(Value::Object(services)) = manifest.facts.get(ENGINES) else { return String::new() };
    let mut by_engine: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (service, engine) in services {
        by_engine.entry(engine.as_str().unwrap_or("?")).or_default().push(service);
    }
    let mut table = Table::new(&["engine", "services"]);
    for (engine, services) in by_engine {
        table.row(&[engine.to_owned(), services.join(", ")]);
    }
    let versions = manifest.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let versions = crate::chart::escape(&versions.collect::<Vec<_>>().join(", "));
    format!("{}<p class=\"dim\">Versions: {versions}.</p>", table.finish())
}

/// ms per second as per cent of the time.
fn percent(ms_per_s: Option<f64>) -> String {
    number(ms_per_s.map(|ms| ms / 10.0), 1)
}

fn flink(view: &EngineView) -> String {
    if view.vertices.is_empty() {
        return String::new();
    }
    let mut vertices = Table::new(&[
        "job",
        "vertex",
        "#subtasks",
        "#records/s in",
        "#max",
        "#records/s out",
        "#busy, % of the time",
        "#max",
        "#back-pressured, %",
        "#max",
        "#pending records, max",
        "#watermark behind, s, max",
    ]);
    for vertex in &view.vertices {
        let figure = |column| vertex.figure(column);
        let (busy, held) = (figure("busy_ms_per_s"), figure("backpressured_ms_per_s"));
        vertices.row(&[
            vertex.job.clone(),
            vertex.name.clone(),
            number(figure("subtasks").last(), 0),
            number(figure("records_in_per_s").mean(), 1),
            number(figure("records_in_per_s").max(), 1),
            number(figure("records_out_per_s").mean(), 1),
            percent(busy.mean()),
            percent(busy.max()),
            percent(held.mean()),
            percent(held.max()),
            number(figure("pending_records").max(), 0),
            number(figure("watermark_lag_ms").max().map(|ms| ms / 1e3), 1),
        ]);
    }
    format!(
        "<h3>Flink</h3>{}<p class=\"dim\">Means and maxima over all samples of a job that was not over. Busy and back-pressured \
         are shares of the time of the subtask that had the most.</p>{}{}",
        vertices.finish(),
        jobs(view),
        flink_charts(view)
    )
}

/// Checkpoints and restarts, job by job: every vertex has its job's figures, so the first one's are taken.
fn jobs(view: &EngineView) -> String {
    let mut table = Table::new(&[
        "job",
        "cluster",
        "#checkpoints",
        "#failed",
        "#duration ms, median",
        "#max",
        "#largest KiB",
        "#restarts",
        "#task managers' heap, MiB, max",
    ]);
    for vertex in first_of_jobs(view) {
        let figure = |column| vertex.figure(column);
        let durations = vertex.checkpoints_ms();
        table.row(&[
            vertex.job.clone(),
            vertex.cluster.clone(),
            number(figure("checkpoints_completed").max(), 0),
            number(figure("checkpoints_failed").max(), 0),
            number(durations.median(), 0),
            number(durations.max(), 0),
            number(figure("checkpoint_bytes").max().map(|bytes| bytes / 1024.0), 1),
            number(figure("restarts").max(), 0),
            number(figure("task_managers_heap_bytes").max().map(|bytes| bytes / f64::from(1 << 20)), 0),
        ]);
    }
    table.finish()
}

fn first_of_jobs(view: &EngineView) -> impl Iterator<Item = &Vertex> {
    let same = |a: &Vertex, b: &Vertex| (&a.cluster, &a.job) == (&b.cluster, &b.job);
    let vertices = view.vertices.iter().enumerate();
    vertices
        .filter(move |(at, vertex)| !view.vertices[..*at].iter().any(|before| same(before, vertex)))
        .map(|(_, vertex)| vertex)
}

fn flink_charts(view: &EngineView) -> String {
    let vertices = |column: &'static str| {
        view.vertices.iter().map(move |vertex| (vertex.name.clone(), vertex.figure(column)))
    };
    let records =
        view.chart("Records that enter each vertex", "records/s", 1.0, vertices("records_in_per_s"));
    let pending = view.chart("Records that wait in Kafka", "records", 1.0, vertices("pending_records"));
    let held = view.chart("Back-pressure", "% of the time", 0.1, vertices("backpressured_ms_per_s"));
    let durations = first_of_jobs(view).map(|vertex| (vertex.job.clone(), vertex.checkpoints_ms()));
    let checkpoints = view.chart("Duration of checkpoints", "ms", 1.0, durations);
    [
        figure(&records, "Records that enter each vertex of the jobs, all subtasks."),
        figure(&pending, "Lag: records in Kafka that the sources have not fetched yet."),
        figure(
            &held,
            "How much of the time the most held-up subtask of each vertex waits for those after it.",
        ),
        figure(&checkpoints, "How long each checkpoint took."),
    ]
    .concat()
}

fn brokers(view: &EngineView) -> String {
    if view.brokers.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "broker",
        "#records in",
        "#MB in",
        "#MB out",
        "#produce requests",
        "#p99 ms, max",
        "#fetch requests",
        "#p99 ms, max",
        "#under-replicated, max",
        "#offline, max",
        "#CPU s",
        "#heap MiB, max",
    ]);
    for broker in &view.brokers {
        let figure = |name| broker.figure(name);
        let grown =
            |name: &'static str, unit: f64, digits| number(Some(figure(name).growth() / unit), digits);
        table.row(&[
            broker.name.clone(),
            grown(kafka::MESSAGES_IN, 1.0, 0),
            grown(kafka::BYTES_IN, 1e6, 1),
            grown(kafka::BYTES_OUT, 1e6, 1),
            grown(kafka::PRODUCE_REQUESTS, 1.0, 0),
            number(figure(kafka::PRODUCE_P99_MS).max(), 1),
            grown(kafka::FETCH_REQUESTS, 1.0, 0),
            number(figure(kafka::FETCH_P99_MS).max(), 1),
            number(figure(kafka::UNDER_REPLICATED).max(), 0),
            number(figure(kafka::OFFLINE).max(), 0),
            grown(kafka::CPU_NS, 1e9, 1),
            number(figure(kafka::HEAP).max().map(|bytes| bytes / f64::from(1 << 20)), 0),
        ]);
    }
    let each = |what: &'static str, series: fn(&kafka::Broker) -> Series| {
        view.brokers
            .iter()
            .map(move |broker| (format!("{} {what}", broker.name).trim_end().to_owned(), series(broker)))
    };
    let rates = each("in", |broker| broker.figure(kafka::BYTES_IN).per_second())
        .chain(each("out", |broker| broker.figure(kafka::BYTES_OUT).per_second()));
    let traffic = view.chart("Traffic of the brokers", "MB/s", 1e-6, rates);
    let times = each("produce p99", |broker| broker.figure(kafka::PRODUCE_P99_MS));
    let produce = view.chart("Time of requests to produce", "ms", 1.0, times);
    let load = each("", |broker| broker.figure(kafka::CPU_LOAD));
    let load = view.chart("CPU of the brokers", "% of the machine", 100.0, load);
    format!(
        "<h3>Kafka</h3>{}<p class=\"dim\">Sums from the first sample to the last. A fetch waits until there is something to \
         fetch, so its time says little.</p>{}{}{}",
        table.finish(),
        figure(&traffic, "Bytes that come from producers and go to consumers."),
        figure(
            &produce,
            "99th percentile of the time from a request to its answer, as the broker counts it."
        ),
        figure(&load, "Share of all processors of the machine that each broker takes.")
    )
}
