//! The report as one self-contained HTML page: no script, no request to anywhere.

mod engines;
mod network;
mod sections;
mod table;

use crate::Evaluation;
use crate::chart::escape;
use fogline_journal::{Manifest, Verdict};
use std::time::Duration;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(crate) fn render(evaluation: &Evaluation, run: &str, manifest: &Manifest) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{scenario} {run}</title><style>{STYLE}</style></head><body><main>",
        scenario = escape(&manifest.scenario),
        run = escape(run),
    );
    page.push_str(&head(run, manifest));
    page.push_str(&verdict(evaluation, manifest));
    for section in [
        sections::latency(evaluation),
        sections::throughput(evaluation, manifest),
        sections::counts(evaluation),
        sections::ledger(evaluation),
        engines::engines(evaluation, manifest),
        network::network(evaluation, manifest),
        sections::hosts(evaluation),
        sections::provenance(manifest),
    ] {
        page.push_str(&section);
    }
    page.push_str("</main></body></html>\n");
    page
}

fn head(run: &str, manifest: &Manifest) -> String {
    let machine = &manifest.machine;
    let lasted =
        manifest.ended_unix_ns.map(|end| Duration::from_nanos(end.saturating_sub(manifest.started_unix_ns)));
    let lasted = lasted.map_or_else(String::new, |time| format!(", {:.0} s in all", time.as_secs_f64()));
    format!(
        "<h1>{}</h1><p class=\"dim\">Run {} of {}{lasted}; {} cores, {} GiB, {}, Linux {}.</p>",
        escape(&manifest.scenario),
        escape(run),
        escape(&manifest.started),
        machine.cores,
        machine.memory_kib >> 20,
        escape(&machine.cpu_model),
        escape(&machine.kernel),
    )
}

fn verdict(evaluation: &Evaluation, manifest: &Manifest) -> String {
    let (class, words) = match manifest.verdict {
        Some(Verdict::Passed) => ("passed", "Everything asked for was done, and the results can be trusted."),
        Some(Verdict::Invalid) => {
            ("invalid", "INVALID: the run went through, but its results must not be used.")
        }
        Some(Verdict::Failed) => ("failed", "The run failed."),
        Some(Verdict::Interrupted) => ("interrupted", "The run was stopped from outside."),
        None => ("failed", "The run has not ended, or its runner was killed."),
    };
    let reasons = if manifest.reasons.is_empty() { evaluation.reasons() } else { &manifest.reasons };
    let mut html = format!("<div class=\"verdict {class}\"><strong>{words}</strong>");
    if !reasons.is_empty() {
        let items: String = reasons.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
        html.push_str(&format!("<ul>{items}</ul>"));
    }
    let ledger = evaluation.ledger();
    if !ledger.is_empty() {
        for line in [Some(ledger.summary()), evaluation.start_up(manifest)].into_iter().flatten() {
            html.push_str(&format!("<p>{}.</p>", escape(&line)));
        }
    }
    html.push_str("</div>");
    html
}
