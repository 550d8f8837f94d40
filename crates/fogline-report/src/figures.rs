//! A run in a few numbers, for those who compare runs.

use crate::Evaluation;
use crate::hosts::HostSeries;
use crate::latency::Distribution;
use fogline_journal::Manifest;
use serde::Serialize;

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Frames that all cameras sent.
    pub frames_sent: u64,
    /// Frames that the job counted.
    pub frames_counted: u64,
    /// Seconds from the second in which the last frame left its camera to the one in which the last window came to the
    /// collector; absent without either.
    pub drained_s: Option<f64>,
    /// Seconds from the run's begin to the start of the last camera; absent without cameras.
    pub cameras_started_s: Option<f64>,
    /// Latencies by who measured and what.
    pub latencies: Vec<LatencyFigures>,
    /// Hosts that were sampled, by name.
    pub hosts: Vec<HostFigures>,
    /// CPU seconds of the network's emulator; absent where there was none.
    pub emulator_cpu_s: Option<f64>,
}

/// One latency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyFigures {
    /// The role that measured.
    pub role: String,
    /// What was measured.
    pub tag: String,
    /// Samples taken.
    pub samples: u64,
    /// Median, ms; absent without enough samples, as in the report.
    pub p50_ms: Option<f64>,
    /// 99th percentile, ms; likewise.
    pub p99_ms: Option<f64>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostFigures {
    /// Its name.
    pub host: String,
    /// CPU seconds of its processes.
    pub cpu_s: f64,
    /// Largest resident memory of all its processes together, MiB.
    pub memory_mib_max: f64,
}

impl Evaluation {
    /// The run in numbers.
    pub fn figures(&self, manifest: &Manifest) -> Figures {
        let began = manifest.started_unix_ns;
        let started = self.results.started("camera");
        Figures {
            frames_sent: self.ledger.total("camera").frames_out,
            frames_counted: self.ledger.total("job").frames_out,
            drained_s: self.drained_s(),
            cameras_started_s: started.map(|(_, last)| last.saturating_sub(began) as f64 / 1e9),
            latencies: self.latencies.iter().map(latency).collect(),
            hosts: self.hosts.iter().map(host).collect(),
            emulator_cpu_s: self.network.account.as_ref().map(|account| account.cpu_s),
        }
    }

    fn drained_s(&self) -> Option<f64> {
        let last = |role: &str| {
            let seconds = self.results.seconds.get(role)?.iter();
            seconds
                .filter(|second| second.frames_out > 0 || second.frames_in > 0)
                .map(|second| second.second)
                .max()
        };
        Some(last("out-sink")?.saturating_sub(last("camera")?) as f64)
    }
}

fn latency(distribution: &Distribution) -> LatencyFigures {
    let shown = distribution.percentiles_ms();
    let at = |wanted: f64| shown.iter().find(|(percentile, _)| *percentile == wanted).and_then(|(_, ms)| *ms);
    LatencyFigures {
        role: distribution.role.clone(),
        tag: distribution.tag.clone(),
        samples: distribution.latency.count(),
        p50_ms: at(50.0),
        p99_ms: at(99.0),
    }
}

fn host(series: &HostSeries) -> HostFigures {
    HostFigures { host: series.host.clone(), cpu_s: series.cpu_s(), memory_mib_max: series.memory_mib_max() }
}
