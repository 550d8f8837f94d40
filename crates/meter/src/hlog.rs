//! Interval logs of HDR histograms: format 1.3 of `HistogramLogWriter`, as the tools of HdrHistogram read it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, LogIteratorError, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use crate::error::MeterError;
use crate::latency::Latency;

/// The log's column of maxima is in milliseconds; everything else in it is in nanoseconds.
const MAX_VALUE_DIVISOR: f64 = 1e6;

/// The latencies of one tag within one interval of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// What was measured, for instance `fog-to-cloud`; empty when the log does not say.
    pub tag: String,
    /// Start, nanoseconds since the Unix epoch (the log keeps milliseconds).
    pub start_unix_ns: u64,
    /// Length of the interval.
    pub duration: Duration,
    /// The samples.
    pub latency: Latency,
}

/// Appends intervals to a log file.
pub(crate) struct HistogramLog {
    file: File,
    path: PathBuf,
    serializer: V2DeflateSerializer,
    lines: Vec<u8>,
}

impl HistogramLog {
    pub(crate) fn create(path: PathBuf, started_unix_ns: u64) -> Result<Self, MeterError> {
        let mut file = File::create(&path).map_err(MeterError::io("create", &path))?;
        let start = Duration::from_nanos(started_unix_ns).as_secs_f64();
        let header = format!(
            "#[Histogram log format version 1.3]\n\
             #[StartTime: {start:.3} (seconds since epoch)]\n\
             #[Values are nanoseconds; Interval_Max is in milliseconds]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
        );
        file.write_all(header.as_bytes()).map_err(MeterError::io("write", &path))?;
        Ok(Self { file, path, serializer: V2DeflateSerializer::new(), lines: Vec::new() })
    }

    /// Prepares one interval; [`Self::flush`] writes what is prepared.
    pub(crate) fn add(
        &mut self,
        tag: &str,
        start_unix_ns: u64,
        duration: Duration,
        latency: &Latency,
    ) -> Result<(), MeterError> {
        let tag = Tag::new(tag).ok_or_else(|| {
            MeterError::content(&self.path, 0, format!("{tag:?} is no tag: no space, no comma"))
        })?;
        let mut builder = IntervalLogWriterBuilder::new();
        builder.with_max_value_divisor(MAX_VALUE_DIVISOR);
        // The builder would write its header lines before every interval; they are cut off again.
        let begin = self.lines.len();
        let mut writer = builder
            .begin_log_with(&mut self.lines, &mut self.serializer)
            .map_err(MeterError::io("write", &self.path))?;
        let start = Duration::from_nanos(start_unix_ns);
        let written = writer.write_histogram(latency.histogram(), start, duration, Some(tag));
        written.map_err(|error| MeterError::content(&self.path, 0, error.to_string()))?;
        let header_end = self.lines[begin..].iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.lines.drain(begin..begin + header_end);
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> Result<(), MeterError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.lines).map_err(MeterError::io("write", &self.path));
        self.lines.clear();
        written
    }
}

/// Reads an interval log. A last line without line end, as a killed process leaves it, is left out.
///
/// Logs of other writers are understood too: with a base time, without tags, with other histogram bounds.
///
/// # Errors
/// When the file cannot be read, or a line is no interval; the message names file and line.
pub fn read_intervals(path: &Path) -> Result<Vec<Interval>, MeterError> {
    let bytes = fs::read(path).map_err(MeterError::io("read", path))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &bytes[..=end]);
    let mut deserializer = Deserializer::new();
    let mut base = Duration::ZERO;
    let mut intervals = Vec::new();
    for entry in IntervalLogIterator::new(whole) {
        let entry = entry.map_err(|LogIteratorError::ParseError { offset }| {
            let line = 1 + whole[..offset].iter().filter(|byte| **byte == b'\n').count();
            MeterError::content(path, line, "not a line of a histogram log (format 1.3)")
        })?;
        match entry {
            LogEntry::StartTime(_) => {}
            LogEntry::BaseTime(time) => base = time,
            LogEntry::Interval(interval) => {
                let encoded = interval.encoded_histogram();
                let histogram = decode(&mut deserializer, encoded).map_err(|reason| {
                    let offset = encoded.as_ptr() as usize - whole.as_ptr() as usize;
                    let line = 1 + whole[..offset].iter().filter(|byte| **byte == b'\n').count();
                    MeterError::content(path, line, reason)
                })?;
                let start = base.saturating_add(interval.start_timestamp());
                intervals.push(Interval {
                    tag: interval.tag().map_or(String::new(), |tag| tag.as_str().to_owned()),
                    start_unix_ns: u64::try_from(start.as_nanos()).unwrap_or(u64::MAX),
                    duration: interval.duration(),
                    latency: Latency::from_histogram(&histogram),
                });
            }
        }
    }
    Ok(intervals)
}

fn decode(deserializer: &mut Deserializer, encoded: &str) -> Result<Histogram<u64>, String> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded)
        .map_err(|error| format!("the histogram is not base64: {error}"))?;
    deserializer.deserialize(&mut bytes.as_slice()).map_err(|error| format!("not an HDR histogram: {error}"))
}
