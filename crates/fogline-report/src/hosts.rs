//! CPU and memory of every host over time, from `dstat/<host>.csv`.

use crate::ReportError;
use crate::chart::{Chart, Line, Scale};
use crate::sampled::{files, subject};
use std::fs;
use std::path::Path;

/// One host's samples.
#[derive(Debug)]
pub(crate) struct HostSeries {
    /// The host's name.
    pub(crate) host: String,
    /// Unix time in seconds, CPU in per cent of one core, resident memory in MiB.
    pub(crate) samples: Vec<(f64, f64, f64)>,
}

impl HostSeries {
    /// Mean CPU over the run, per cent of one core.
    pub(crate) fn cpu_percent_mean(&self) -> f64 {
        let sum: f64 = self.samples.iter().map(|sample| sample.1).sum();
        sum / (self.samples.len().max(1)) as f64
    }

    /// CPU time of all samples, seconds. Each sample's load is over the time since the one before; the first one's, over
    /// as long as the second one's.
    pub(crate) fn cpu_s(&self) -> f64 {
        let spans = || self.samples.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let spans = spans().take(1).chain(spans());
        spans.zip(&self.samples).map(|(span, sample)| span * sample.1 / 100.0).sum()
    }

    /// Largest resident memory, MiB.
    pub(crate) fn memory_mib_max(&self) -> f64 {
        self.samples.iter().map(|sample| sample.2).fold(0.0, f64::max)
    }
}

/// Reads every CSV in `folder`, by host name; a missing folder has none.
pub(crate) fn read(folder: &Path) -> Result<Vec<HostSeries>, ReportError> {
    files(folder)?.iter().map(|path| read_host(path)).collect()
}

fn read_host(path: &Path) -> Result<HostSeries, ReportError> {
    let text = fs::read_to_string(path).map_err(ReportError::read(path))?;
    let broken = |reason: String| ReportError::Content { path: path.to_owned(), reason };
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        header
            .iter()
            .position(|found| *found == name)
            .ok_or_else(|| broken(format!("has no column `{name}`")))
    };
    let columns = [column("time_unix_s")?, column("cpu_percent")?, column("rss_kib")?];
    // The sampler may have been cut off within its last line.
    let whole =
        lines.map(|line| line.split(',').collect::<Vec<_>>()).filter(|cells| cells.len() == header.len());
    let mut samples = Vec::new();
    for cells in whole {
        let number = |at: usize| {
            cells[at]
                .parse::<f64>()
                .map_err(|_| broken(format!("`{}` in column `{}` is no number", cells[at], header[at])))
        };
        samples.push((number(columns[0])?, number(columns[1])?, number(columns[2])? / 1024.0));
    }
    Ok(HostSeries { host: subject(path), samples })
}

/// One value of every host over time; `value` picks it from a sample.
pub(crate) fn chart(
    hosts: &[HostSeries],
    title: &str,
    unit: &str,
    value: impl Fn(&(f64, f64, f64)) -> f64,
) -> Chart {
    let start =
        hosts.iter().filter_map(|host| host.samples.first()).map(|s| s.0).fold(f64::INFINITY, f64::min);
    let line = |host: &HostSeries| Line {
        name: host.host.clone(),
        points: host.samples.iter().map(|sample| (sample.0 - start, value(sample))).collect(),
        steps: false,
    };
    Chart {
        title: title.to_owned(),
        x_name: "seconds since the hosts came up".to_owned(),
        y_name: unit.to_owned(),
        x_scale: Scale::Linear,
        y_top: None,
        lines: hosts.iter().map(line).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_load_times_the_time_before_it() {
        let host =
            |samples: &[(f64, f64, f64)]| HostSeries { host: String::new(), samples: samples.to_vec() };
        assert_eq!(host(&[(10.0, 50.0, 0.0), (12.0, 100.0, 0.0), (13.0, 200.0, 0.0)]).cpu_s(), 5.0);
        assert_eq!([host(&[]).cpu_s(), host(&[(1.0, 50.0, 0.0)]).cpu_s()], [0.0, 0.0]);
    }
}
