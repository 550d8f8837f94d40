//! The columns of the file.

use std::fmt::Write as _;

/// Every column in its place, with its unit and what it means. Files are read by their header, so that columns may be
/// added at the end; none is renamed or removed.
pub(crate) const COLUMNS: [(&str, &str); 27] = [
    ("time_unix_ms", "time of the sample, milliseconds since 1970-01-01T00:00:00Z"),
    ("job", "the job's name; empty on the one line of a cluster without a running job"),
    ("job_id", "the job's id"),
    ("state", "the job's state: RUNNING, RESTARTING, ..."),
    ("vertex", "the vertex: operators that run in one thread"),
    ("subtasks", "its parallelism"),
    ("records_in", "records that came in so far, all subtasks, since the vertex was last started"),
    ("records_out", "records that went out so far, likewise"),
    ("records_in_per_s", "records/s since the sample before"),
    ("records_out_per_s", "records/s since the sample before"),
    ("busy_ms_per_s", "ms/s that the busiest subtask worked"),
    ("backpressured_ms_per_s", "ms/s that the most held-up subtask waited for those after it"),
    ("idle_ms_per_s", "ms/s that the idlest subtask had nothing to do"),
    ("pending_records", "records in the source's partitions that it has not fetched yet, all subtasks"),
    ("records_lag_max", "records that the partition furthest behind is behind (Kafka's consumer)"),
    ("watermark_lag_ms", "ms by which the source's watermark is behind the clock, largest subtask"),
    ("checkpoints_completed", "the job's completed checkpoints so far"),
    ("checkpoints_failed", "the job's failed checkpoints so far"),
    ("checkpoint_ms", "ms that its last completed checkpoint took"),
    ("checkpoint_bytes", "bytes of its last completed checkpoint"),
    ("restarts", "how often the job was restarted so far"),
    ("job_manager_heap_bytes", "bytes of the job manager's Java heap in use"),
    ("job_manager_cpu_load", "share of the machine's processors that the job manager takes, 0 to 1"),
    ("task_managers", "task managers that are registered"),
    ("task_managers_heap_bytes", "bytes of Java heap in use, all task managers"),
    (
        "task_managers_cpu_load",
        "share of its machine's processors that the busiest task manager takes, 0 to 1",
    ),
    ("task_managers_cpu_s", "CPU seconds of all task managers since their start"),
];

/// The text below the options of `gauge sample --help`.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Example:\n  gauge sample flink http://10.0.0.2:8081 --every 1s --out /opt/monitoring/flink.csv\n\n\
         One line per vertex of every job that is not over. Samples that the cluster does not answer are left out, and \
         empty cells are figures that it does not have. Columns:\n",
    );
    let width = COLUMNS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, meaning) in COLUMNS {
        let _ = writeln!(text, "  {name:width$}  {meaning}");
    }
    text
}

/// The header line.
pub(crate) fn header() -> String {
    line(COLUMNS.iter().map(|(name, _)| (*name).to_owned()))
}

/// One line with its end: cells with commas, quotes or line ends are quoted (RFC 4180).
pub(crate) fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |cell: String| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    };
    let mut line = cells.map(quoted).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_vertices_stay_in_their_cell() {
        let cells = ["a", "b, c", "say \"d\""].map(str::to_owned);
        assert_eq!(line(cells.into_iter()), "a,\"b, c\",\"say \"\"d\"\"\"\n");
    }

    #[test]
    fn every_column_is_in_the_documentation() {
        let page = include_str!("../../../../docs/engines.md");
        for (name, _) in COLUMNS {
            assert!(page.contains(&format!("`{name}`")), "docs/engines.md does not explain `{name}`");
        }
    }
}
