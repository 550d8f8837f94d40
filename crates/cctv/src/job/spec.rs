//! What the job does, as a JSON document that two runners read: this one, and Flink.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::counters::CounterName;
use crate::exit::Failure;

/// The job, as `job.json` says it. Unknown fields are refused: a misspelt bound must not become a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobSpec {
    /// What the job is for; read by people only.
    #[serde(default)]
    pub(crate) about: String,
    /// Topic of frames.
    pub(crate) input_topic: String,
    /// Topic of windows.
    pub(crate) output_topic: String,
    /// Consumer group under which offsets are committed.
    pub(crate) group_id: String,
    /// Who counts the frames that carry no count yet.
    pub(crate) counter: CounterName,
    /// Check the counter with `nanodet` on one frame in this many of each camera; 0 never.
    #[serde(default)]
    pub(crate) detect_every: u64,
    /// How much earlier than the newest frame of its partition a frame may have been taken, in milliseconds.
    /// What is older is late when its window has closed.
    pub(crate) watermark_bound_ms: u64,
    /// After how long without records a partition no longer holds the watermark back, in milliseconds.
    pub(crate) idle_ms: u64,
    /// Length of the windows of event time, in milliseconds.
    pub(crate) window_ms: u64,
    /// What is promised when the job is killed and started again.
    pub(crate) guarantee: Guarantee,
    /// How often results and offsets are made final together, in milliseconds; with `exactly-once` no result can be
    /// read before that.
    #[serde(default = "checkpoint_ms")]
    pub(crate) checkpoint_ms: u64,
}

const fn checkpoint_ms() -> u64 {
    1000
}

/// A delivery guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Guarantee {
    /// Every frame is in some window; after a restart a window may come again
    AtLeastOnce,
    /// Every frame is in one window, and every window comes once; needs Apache Kafka
    ExactlyOnce,
}

/// One day: no span of time in a job is longer.
const SPAN_MS_MAX: u64 = 86_400_000;

impl JobSpec {
    /// Reads and checks a job file.
    ///
    /// # Errors When it cannot be read, is not such a document, or a value makes no sense; the message names
    /// the field.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::failed(format!("cannot read the job {}: {error}", path.display())))?;
        Self::parse(&text).map_err(|reason| Failure::usage(format!("{}: {reason}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let spec: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let names = [
            ("input_topic", &spec.input_topic),
            ("output_topic", &spec.output_topic),
            ("group_id", &spec.group_id),
        ];
        if let Some((field, _)) = names.iter().find(|(_, name)| name.is_empty()) {
            return Err(format!("`{field}` is empty"));
        }
        if spec.input_topic == spec.output_topic {
            return Err(format!("`input_topic` and `output_topic` are both {:?}", spec.input_topic));
        }
        let spans = [
            ("watermark_bound_ms", spec.watermark_bound_ms, 0),
            ("idle_ms", spec.idle_ms, 1),
            ("window_ms", spec.window_ms, 1),
            ("checkpoint_ms", spec.checkpoint_ms, 1),
        ];
        match spans.iter().find(|(_, span, least)| span < least || *span > SPAN_MS_MAX) {
            Some((field, span, least)) => {
                Err(format!("`{field}` is {span}; it must be from {least} to {SPAN_MS_MAX} milliseconds"))
            }
            None => Ok(spec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"input_topic":"in","output_topic":"out","group_id":"g","counter":"motion",
        "watermark_bound_ms":0,"idle_ms":5000,"window_ms":1000,"guarantee":"at-least-once"}"#;

    #[test]
    fn a_job_is_read_and_written() {
        let spec = JobSpec::parse(GOOD).unwrap();
        assert_eq!((spec.counter, spec.detect_every), (CounterName::Motion, 0));
        let exact = JobSpec::parse(&GOOD.replace("at-least-once", "exactly-once")).unwrap();
        assert_eq!((exact.guarantee, exact.checkpoint_ms), (Guarantee::ExactlyOnce, 1000));
        assert_eq!(JobSpec::parse(&serde_json::to_string(&spec).unwrap()), Ok(spec));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (from, to, named) in [
            ("\"window_ms\":1000", "\"window_ms\":0", "window_ms"),
            ("\"window_ms\":1000", "\"windows_ms\":1", "windows_ms"),
            ("\"motion\"", "\"yolo\"", "yolo"),
            ("\"out\"", "\"in\"", "output_topic"),
            ("at-least-once", "at-most-once", "at-most-once"),
            ("\"idle_ms\":5000,", "", "idle_ms"),
            ("\"g\"", "\"\"", "group_id"),
        ] {
            let reason = JobSpec::parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(reason.contains(named), "{to}: {reason}");
        }
    }

    #[test]
    fn the_scenario_s_job_is_a_job() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../scenarios/smart-surveillance/artifacts/job.json");
        let spec = JobSpec::read(&file).unwrap();
        assert_eq!((spec.input_topic.as_str(), spec.output_topic.as_str()), ("in-uni-data", "out-uni-data"));
    }
}
