//! The CSV of `gauge sample flink`.

use super::Series;
use crate::ReportError;
use crate::sampled::subject;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What is read besides `time_unix_ms`, `job` and `vertex`.
const FIGURES: [&str; 13] = [
    "subtasks",
    "records_in_per_s",
    "records_out_per_s",
    "busy_ms_per_s",
    "backpressured_ms_per_s",
    "pending_records",
    "watermark_lag_ms",
    "checkpoints_completed",
    "checkpoints_failed",
    "checkpoint_ms",
    "checkpoint_bytes",
    "restarts",
    "task_managers_heap_bytes",
];

/// One vertex of one job, with the figures of its job beside its own.
#[derive(Debug)]
pub(crate) struct Vertex {
    /// The cluster: the file's name.
    pub(crate) cluster: String,
    /// The job's name.
    pub(crate) job: String,
    /// Its own name.
    pub(crate) name: String,
    /// Time of its first sample, seconds since 1970.
    pub(crate) start_s: f64,
    figures: BTreeMap<&'static str, Series>,
}

impl Vertex {
    /// A figure over time, by its column; samples without it are left out.
    pub(crate) fn figure(&self, column: &str) -> Series {
        self.figures.get(column).cloned().unwrap_or_default()
    }

    /// Durations (ms) of the job's checkpoints, as far as they were seen: one per sample after which there was one more.
    pub(crate) fn checkpoints_ms(&self) -> Series {
        let completed: BTreeMap<u64, f64> =
            self.figure("checkpoints_completed").0.iter().map(|(at, count)| (at.to_bits(), *count)).collect();
        let mut seen = 0.0;
        let more = |(at, _): &(f64, f64)| {
            let count = completed.get(&at.to_bits()).copied().unwrap_or(seen);
            let more = count != seen;
            seen = count;
            more
        };
        Series(self.figure("checkpoint_ms").0.into_iter().filter(more).collect())
    }
}

/// Reads one file. A last line that was cut off is left out.
pub(super) fn read(path: &Path) -> Result<Vec<Vertex>, ReportError> {
    let text = fs::read_to_string(path).map_err(ReportError::read(path))?;
    let broken = |reason: String| ReportError::Content { path: path.to_owned(), reason };
    let mut lines = text.lines();
    let header = cells(lines.next().unwrap_or_default());
    let column = |name: &str| {
        header.iter().position(|found| found == name).ok_or_else(|| broken(format!("has no column `{name}`")))
    };
    let (time, job, name) = (column("time_unix_ms")?, column("job")?, column("vertex")?);
    let columns = FIGURES.map(|figure| column(figure).map(|at| (figure, at)));
    let columns = columns.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut vertices: Vec<Vertex> = Vec::new();
    for line in lines.map(cells).filter(|line| line.len() == header.len() && !line[job].is_empty()) {
        let number = |at: usize| {
            line[at]
                .parse::<f64>()
                .map_err(|_| broken(format!("`{}` in column `{}` is no number", line[at], header[at])))
        };
        let at_s = number(time)? / 1e3;
        let known = vertices.iter().position(|vertex| vertex.job == line[job] && vertex.name == line[name]);
        let index = known.unwrap_or_else(|| {
            let (job, name) = (line[job].clone(), line[name].clone());
            vertices.push(Vertex {
                cluster: subject(path),
                job,
                name,
                start_s: at_s,
                figures: BTreeMap::new(),
            });
            vertices.len() - 1
        });
        for (figure, at) in columns.iter().filter(|(_, at)| !line[*at].is_empty()) {
            vertices[index].figures.entry(*figure).or_default().0.push((at_s, number(*at)?));
        }
    }
    Ok(vertices)
}

/// The cells of a line (RFC 4180); within quotes, commas are text and a quote is written twice.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let twice = quoted && c == '"' && rest.peek() == Some(&'"');
        match c {
            '"' if !twice => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => {
                if twice {
                    rest.next();
                }
                if let Some(cell) = cells.last_mut() {
                    cell.push(c);
                }
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_commas_and_quotes() {
        assert_eq!(cells("a,\"b, \"\"c\"\"\",,d"), ["a", "b, \"c\"", "", "d"]);
        assert_eq!(cells(""), [""]);
    }
}
