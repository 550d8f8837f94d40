//! Run folder to frames ledger, statistics, charts and one self-contained HTML page.
//!
//! Reads the run folder alone and starts nothing, so that a report can be built again on another machine, years
//! later. [`Evaluation::of`] reads and judges; [`Evaluation::write`] writes `fogline/ledger.csv` and `report.html`.

mod chart;
mod engines;
mod error;
mod figures;
mod hosts;
mod latency;
mod ledger;
mod network;
mod page;
mod results;
mod sampled;
mod throughput;

pub use error::ReportError;
pub use figures::{Figures, HostFigures, LatencyFigures};
pub use ledger::{Ledger, LedgerRow};

use engines::EngineView;
use fogline_journal::{Manifest, RunFolder};
use hosts::HostSeries;
use latency::Distribution;
use network::NetworkView;
use results::Results;
use throughput::Tier;

/// Everything that a run folder says, read and judged.
#[derive(Debug)]
pub struct Evaluation {
    ledger: Ledger,
    latencies: Vec<Distribution>,
    tiers: Vec<Tier>,
    hosts: Vec<HostSeries>,
    engines: EngineView,
    network: NetworkView,
    results: Results,
    reasons: Vec<String>,
}

impl Evaluation {
    /// Reads and judges a run.
    ///
    /// # Errors
    /// When a file of the run folder cannot be read or is broken; the message names it.
    pub fn of(folder: &RunFolder) -> Result<Self, ReportError> {
        let results = Results::read(&folder.experiment_results())?;
        let ledger = Ledger::from_accounts(&results.accounts);
        let network = NetworkView::read(folder)?;
        let mut reasons = ledger.reasons();
        reasons.extend(results.incomplete());
        reasons.extend(network.reasons());
        Ok(Self {
            latencies: latency::distributions(&results.latencies),
            tiers: throughput::tiers(&results),
            hosts: hosts::read(&folder.dstat())?,
            engines: EngineView::read(folder)?,
            ledger,
            network,
            results,
            reasons,
        })
    }

    /// The frames ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Why the results are not to be trusted, a sentence each; empty when they are.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    /// What the run came to in a few lines of text, for a terminal.
    pub fn summary(&self, manifest: &Manifest) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.ledger.is_empty() {
            lines.push(self.ledger.summary());
        }
        lines.extend(self.start_up(manifest));
        lines.extend(self.latencies.iter().map(Distribution::summary));
        lines.extend(self.tiers.iter().map(Tier::summary));
        lines
    }

    /// How long the cameras took to start, in words; `None` without cameras.
    fn start_up(&self, manifest: &Manifest) -> Option<String> {
        let (first, last) = self.results.started("camera")?;
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9;
        Some(format!(
            "start: the last camera started {:.1} s after the run began, {:.1} s after the first one",
            seconds(manifest.started_unix_ns, last),
            seconds(first, last)
        ))
    }

    /// Writes `fogline/ledger.csv` and `report.html`.
    ///
    /// # Errors
    /// When one of them cannot be written.
    pub fn write(&self, folder: &RunFolder, manifest: &Manifest) -> Result<(), ReportError> {
        fogline_journal::write_file(&folder.ledger(), self.ledger.to_csv().as_bytes())?;
        let page = page::render(self, folder.name(), manifest);
        fogline_journal::write_file(&folder.report(), page.as_bytes())?;
        Ok(())
    }
}
