//! The per-second file: one line of CSV for each second of a process.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::error::MeterError;
use crate::latency::Latency;

/// What one process did within one second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    /// Unix time of its start, in seconds.
    pub second: u64,
    /// Frames that entered.
    pub frames_in: u64,
    /// Frames that left.
    pub frames_out: u64,
    /// Frames that ended here.
    pub dropped: u64,
    /// Bytes of the frames that entered.
    pub bytes_in: u64,
    /// Bytes of the frames that left.
    pub bytes_out: u64,
    /// Latency samples taken.
    pub latency_count: u64,
    /// Median latency in milliseconds; absent without samples.
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile in milliseconds; absent without samples.
    pub latency_p99_ms: Option<f64>,
    /// Largest latency in milliseconds; absent without samples.
    pub latency_max_ms: Option<f64>,
    /// CPU time of the process within this second, in milliseconds.
    pub cpu_ms: f64,
    /// Resident memory at its end, in KiB.
    pub rss_kib: u64,
}

impl Second {
    /// The header line of the CSV file, without line end.
    pub const CSV_HEADER: &'static str = "second,frames_in,frames_out,dropped,bytes_in,bytes_out,\
        latency_count,latency_p50_ms,latency_p99_ms,latency_max_ms,cpu_ms,rss_kib";

    pub(crate) fn set_latency(&mut self, latency: &Latency) {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        self.latency_count = latency.count();
        self.latency_p50_ms = latency.percentile(50.0).map(milliseconds);
        self.latency_p99_ms = latency.percentile(99.0).map(milliseconds);
        self.latency_max_ms = latency.max().map(milliseconds);
    }

    /// Appends this second as a line of CSV.
    pub(crate) fn append_to(&self, text: &mut String) {
        let counts = [
            self.frames_in,
            self.frames_out,
            self.dropped,
            self.bytes_in,
            self.bytes_out,
            self.latency_count,
        ];
        // Writing to a String cannot fail.
        let _ = write!(text, "{}", self.second);
        for count in counts {
            let _ = write!(text, ",{count}");
        }
        for latency in [self.latency_p50_ms, self.latency_p99_ms, self.latency_max_ms] {
            text.push(',');
            if let Some(milliseconds) = latency {
                let _ = write!(text, "{milliseconds:.3}");
            }
        }
        let _ = writeln!(text, ",{:.3},{}", self.cpu_ms, self.rss_kib);
    }

    fn parse(line: &str) -> Result<Self, String> {
        let columns: Vec<&str> = line.split(',').collect();
        let names: Vec<&str> = Self::CSV_HEADER.split(',').collect();
        if columns.len() != names.len() {
            return Err(format!("{} columns, expected {}", columns.len(), names.len()));
        }
        let whole = |index: usize| -> Result<u64, String> {
            let (name, text) = (names[index], columns[index]);
            text.parse().map_err(|_| format!("{name} is {text:?}, expected a whole number"))
        };
        let decimal = |index: usize| -> Result<f64, String> {
            let (name, text) = (names[index], columns[index]);
            let number = text.parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| format!("{name} is {text:?}, expected a number"))
        };
        let optional = |index: usize| {
            if columns[index].is_empty() { Ok(None) } else { decimal(index).map(Some) }
        };
        Ok(Self {
            second: whole(0)?,
            frames_in: whole(1)?,
            frames_out: whole(2)?,
            dropped: whole(3)?,
            bytes_in: whole(4)?,
            bytes_out: whole(5)?,
            latency_count: whole(6)?,
            latency_p50_ms: optional(7)?,
            latency_p99_ms: optional(8)?,
            latency_max_ms: optional(9)?,
            cpu_ms: decimal(10)?,
            rss_kib: whole(11)?,
        })
    }
}

/// Reads a per-second file. A last line without line end, as a killed process leaves it, is left out.
///
/// # Errors
/// When the file cannot be read, has another header, or a line is broken; the message names file and line.
pub fn read_seconds(path: &Path) -> Result<Vec<Second>, MeterError> {
    let text = fs::read_to_string(path).map_err(MeterError::io("read", path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = whole.lines();
    if lines.next() != Some(Second::CSV_HEADER) {
        let reason = format!("not a per-second file; its first line should be `{}`", Second::CSV_HEADER);
        return Err(MeterError::content(path, 1, reason));
    }
    let seconds = lines.enumerate().map(|(index, line)| {
        Second::parse(line).map_err(|reason| MeterError::content(path, index + 2, reason))
    });
    seconds.collect()
}
