//! What engines said of themselves while the run lasted: `monitoring-data/`. `docs/engines.md` describes the files.

pub(crate) mod flink;
pub(crate) mod kafka;
mod series;

pub(crate) use series::Series;

use crate::ReportError;
use crate::chart::{Chart, Line, Scale};
use crate::sampled::files;
use flink::Vertex;
use fogline_journal::RunFolder;
use kafka::Broker;

/// All that engines said.
#[derive(Debug, Default)]
pub(crate) struct EngineView {
    /// Vertices of Flink's jobs, in the order in which they were first seen.
    pub(crate) vertices: Vec<Vertex>,
    /// Kafka's brokers by name.
    pub(crate) brokers: Vec<Broker>,
}

impl EngineView {
    /// Reads the folders that are there.
    pub(crate) fn read(folder: &RunFolder) -> Result<Self, ReportError> {
        let mut view = Self::default();
        for path in files(&folder.flink_metrics())? {
            view.vertices.extend(flink::read(&path)?);
        }
        for path in files(&folder.kafka_metrics())? {
            view.brokers.extend(kafka::read(&path)?);
        }
        Ok(view)
    }

    /// Time of the first sample of all, in seconds since 1970: the zero of the charts.
    pub(crate) fn start_s(&self) -> f64 {
        let vertices = self.vertices.iter().map(|vertex| vertex.start_s);
        let brokers = self.brokers.iter().map(|broker| broker.start_s);
        vertices.chain(brokers).fold(f64::INFINITY, f64::min)
    }

    /// A chart over time of named series; `scale` is what values are multiplied by.
    pub(crate) fn chart(
        &self,
        title: &str,
        unit: &str,
        scale: f64,
        lines: impl Iterator<Item = (String, Series)>,
    ) -> Chart {
        let start = self.start_s();
        let line = |(name, series): (String, Series)| Line {
            name,
            points: series.0.iter().map(|(at, value)| (at - start, value * scale)).collect(),
            steps: false,
        };
        Chart {
            title: title.to_owned(),
            x_name: "seconds since the first sample".to_owned(),
            y_name: unit.to_owned(),
            x_scale: Scale::Linear,
            y_top: None,
            lines: lines.map(line).filter(|line| !line.points.is_empty()).collect(),
        }
    }
}
