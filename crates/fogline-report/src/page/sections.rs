//! The sections of the page, in the order in which a reader asks.

use super::engines::ENGINES;
use super::table::{Table, number};
use crate::chart::{Chart, escape};
use crate::{Evaluation, hosts, latency, ledger, throughput};
use fogline_journal::Manifest;
use std::collections::BTreeMap;

pub(super) fn figure(chart: &Chart, caption: &str) -> String {
    format!("<figure>{}<figcaption>{caption}</figcaption></figure>", chart.svg())
}

/// Latencies: percentiles and CDF.
pub(super) fn latency(evaluation: &Evaluation) -> String {
    let mut table =
        Table::new(&["measured", "by", "#p50 ms", "#p90", "#p95", "#p99", "#p99.9", "#max", "#samples"]);
    for distribution in &evaluation.latencies {
        let mut cells = vec![distribution.tag.clone(), distribution.role.clone()];
        cells.extend(distribution.percentiles_ms().into_iter().map(|(_, ms)| number(ms, 1)));
        cells.push(number(distribution.latency.max().map(|max| max.as_secs_f64() * 1e3), 1));
        cells.push(distribution.latency.count().to_string());
        table.row(&cells);
    }
    let cloud =
        latency::cdf(&evaluation.latencies, "Latency at the sinks, cumulative", &["in-sink", "out-sink"]);
    let stages = latency::cdf(
        &evaluation.latencies,
        "Latency within the stages, cumulative",
        &["camera", "gateway", "job"],
    );
    format!(
        "<h2>Latency</h2>{}{}{}<p class=\"dim\">All times are counted from the <em>intended</em> capture time unless the name \
         says otherwise, so a stalled sender cannot hide a delay. A percentile with fewer than ten samples beyond it is not \
         shown. The end-to-end latency runs from the last frame of a window to the arrival of the window's record, and so \
         holds the wait for the window to close.</p>",
        table.finish(),
        figure(&cloud, "Fog to cloud, and end to end."),
        figure(&stages, "What each stage adds.")
    )
}

/// Throughput and CPU per tier.
pub(super) fn throughput(evaluation: &Evaluation, manifest: &Manifest) -> String {
    let cpu_all: f64 = evaluation.tiers.iter().map(|tier| tier.cpu_s).sum();
    let mut table = Table::new(&[
        "tier",
        "#processes",
        "#frames/s out",
        "#MB/s out",
        "#KB per frame",
        "#CPU s",
        "#CPU share",
        "#RSS max MiB",
    ]);
    for tier in &evaluation.tiers {
        table.row(&[
            tier.role.clone(),
            tier.processes.to_string(),
            number(Some(tier.frames_per_s()), 1),
            number(Some(tier.bytes_per_s() / 1e6), 2),
            number(tier.frame_bytes().map(|bytes| bytes / 1e3), 1),
            number(Some(tier.cpu_s), 1),
            format!("{:.0} %", 100.0 * tier.cpu_s / cpu_all.max(1e-9)),
            number(Some(tier.rss_kib_max as f64 / 1024.0), 0),
        ]);
    }
    format!(
        "<h2>Throughput</h2>{}{}<p class=\"dim\">Means over the first 99 % of a tier's frames, over TCP with {} on all hosts. \
         CPU shares are of the application's own processes; brokers, emulator and \
         agents are in the host table and below it.</p>",
        table.finish(),
        figure(&throughput::chart(&evaluation.tiers), "Frames that leave each tier, second by second."),
        escape(&manifest.congestion)
    )
}

/// How right the counts are, and what else the stages have to say.
pub(super) fn counts(evaluation: &Evaluation) -> String {
    let mut html = String::from("<h2>Counts</h2>");
    html.push_str(&count_errors(evaluation));
    let mut table = Table::new(&["process", "fact", "value"]);
    for account in evaluation.results.accounts.iter().filter(|account| account.role != "camera") {
        for (key, value) in &account.facts {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            table.row(&[format!("{} {}", account.role, account.instance), key.clone(), value]);
        }
    }
    html.push_str(&format!(
        "<details><summary>What the processes report of themselves</summary>{}</details>",
        table.finish()
    ));
    html
}

/// The jobs' facts `truth_frames.<counter>`, `abs_error_sum.<counter>` and `error_sum.<counter>`, added up.
fn count_errors(evaluation: &Evaluation) -> String {
    let mut errors: BTreeMap<&str, [f64; 3]> = BTreeMap::new();
    for account in evaluation.results.of_role("job") {
        for (key, value) in &account.facts {
            let Some((kind, counter)) = key.split_once('.') else { continue };
            let kinds = ["truth_frames", "abs_error_sum", "error_sum"];
            if let (Some(at), Some(value)) = (kinds.iter().position(|name| *name == kind), value.as_f64()) {
                errors.entry(counter).or_default()[at] += value;
            }
        }
    }
    let mut table =
        Table::new(&["counter", "#frames with known truth", "#mean absolute error, people", "#bias, people"]);
    for (counter, [frames, absolute, signed]) in errors.iter().filter(|(_, [frames, ..])| *frames > 0.0) {
        let (mean, bias) = (absolute / frames, signed / frames);
        table.row(&[
            (*counter).to_owned(),
            number(Some(*frames), 0),
            number(Some(mean), 2),
            number(Some(bias), 2),
        ]);
    }
    if errors.is_empty() {
        return String::from("<p class=\"none\">No frame with a known number of people was counted.</p>");
    }
    format!(
        "{}<p class=\"dim\">Error against hand counts of the data set, where a frame has one. Always \
         answering 6 would score about 1.0 on this scene.</p>",
        table.finish()
    )
}

/// Where the frames went.
pub(super) fn ledger(evaluation: &Evaluation) -> String {
    let ledger = evaluation.ledger();
    if ledger.is_empty() {
        return String::from(
            "<h2>Frames ledger</h2><p class=\"none\">No process left an account of frames.</p>",
        );
    }
    let mut stages = Table::new(&["stage", "#in", "#out", "dropped", "#duplicates", "#unexplained"]);
    for (stage, account) in ledger.stage_totals() {
        stages.row(&[
            stage.to_owned(),
            account.frames_in.to_string(),
            account.frames_out.to_string(),
            ledger::drops(&account),
            account.duplicates.to_string(),
            account.unexplained().to_string(),
        ]);
    }
    let mut cameras = Table::new(&[
        "camera",
        "#due",
        "#sent",
        "#at gateway",
        "#forwarded",
        "#counted",
        "#in windows",
        "#unexplained",
    ]);
    for (camera, row) in ledger.rows() {
        let entered = |role: &str| row.stage(role).map_or(0, |account| account.frames_in).to_string();
        let left = |role: &str| row.stage(role).map_or(0, |account| account.frames_out).to_string();
        cameras.row(&[
            camera.to_owned(),
            entered("camera"),
            left("camera"),
            entered("gateway"),
            left("gateway"),
            left("job"),
            entered("out-sink"),
            row.unexplained().to_string(),
        ]);
    }
    format!(
        "<h2>Frames ledger</h2>{}<details><summary>All cameras</summary>{}</details>",
        stages.finish(),
        cameras.finish()
    )
}

/// CPU and memory of the hosts.
pub(super) fn hosts(evaluation: &Evaluation) -> String {
    let series = &evaluation.hosts;
    let mut table = Table::new(&["host", "#CPU mean, % of a core", "#memory max, MiB"]);
    for host in series {
        table.row(&[
            host.host.clone(),
            number(Some(host.cpu_percent_mean()), 1),
            number(Some(host.memory_mib_max()), 0),
        ]);
    }
    let cpu = hosts::chart(series, "CPU per host", "% of a core", |sample| sample.1);
    let memory = hosts::chart(series, "Memory per host", "MiB resident", |sample| sample.2);
    format!(
        "<h2>Hosts</h2>{}{}{}",
        figure(&cpu, "CPU of each host's processes."),
        figure(&memory, "Resident memory of each host's processes."),
        table.finish()
    )
}

/// What is needed to do it again.
pub(super) fn provenance(manifest: &Manifest) -> String {
    let mut table = Table::new(&["what", "value"]);
    let mut row = |what: &str, value: String| table.row(&[what.to_owned(), value]);
    row("command", manifest.command_line.join(" "));
    row("seed", manifest.seed.to_string());
    row("duration", format!("{} s", manifest.duration_s));
    row("congestion control", manifest.congestion.clone());
    row("clock", manifest.clock.clone());
    row("system", manifest.machine.system.clone());
    for (name, version) in &manifest.versions {
        row(name, version.clone());
    }
    for file in &manifest.scenario_files {
        row(&file.name, format!("sha256 {}", file.sha256));
    }
    // The engines have a section of their own.
    for (name, value) in manifest.facts.iter().filter(|(name, _)| *name != ENGINES) {
        row(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    format!("<h2>Provenance</h2>{}", table.finish())
}
