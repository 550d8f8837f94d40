//! The table and the JSON.

use super::row::Row;
use fogline_journal::{Clock, Machine};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// All that was measured, and where.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// Version of this format.
    format: u32,
    version: &'static str,
    started: String,
    machine: Machine,
    /// Load averages over 1, 5 and 15 minutes before the first measurement: above 0.5 or so, figures say more about
    /// the machine's other work.
    load_before: Vec<f64>,
    /// Whether it was only a quick look, whose bounds are not judged.
    quick: bool,
    pub(super) rows: Vec<Row>,
}

impl Outcome {
    /// Nothing measured yet, on this machine.
    pub(super) fn begin(quick: bool) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load_before = load.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect();
        Self {
            format: 1,
            version: env!("CARGO_PKG_VERSION"),
            started: Clock::system().rfc3339(),
            machine: Machine::read(),
            load_before,
            quick,
            rows: Vec::new(),
        }
    }

    /// Prints the table, and writes the JSON where it is wanted.
    ///
    /// # Errors
    /// When the file or the standard output cannot be written.
    pub(super) fn tell(&self, json: Option<&Path>) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)? + "\n";
        match json {
            Some(path) if path == Path::new("-") => {
                eprint!("{}", self.table());
                io::stdout().write_all(text.as_bytes())
            }
            Some(path) => {
                print!("{}", self.table());
                let failed = |error| io::Error::other(format!("cannot write {}: {error}", path.display()));
                std::fs::write(path, text).map_err(failed)
            }
            None => {
                print!("{}", self.table());
                Ok(())
            }
        }
    }

    fn table(&self) -> String {
        let Machine { cpu_model, cores, kernel, system, .. } = &self.machine;
        let load: Vec<String> = self.load_before.iter().map(f64::to_string).collect();
        let mut text = format!(
            "{cpu_model}, {cores} cores, {system}, Linux {kernel}; load before: {}\n",
            load.join(" ")
        );
        let head = ["measurement", "bridge / asked", "emulator", "compared", "bound", ""].map(str::to_owned);
        let rows = self.rows.iter().map(|row| {
            let [reference, emulator, compared, bound, verdict] = row.cells();
            [row.what.clone(), reference, emulator, compared, bound, verdict]
        });
        let lines: Vec<[String; 6]> = std::iter::once(head).chain(rows).collect();
        let widths: Vec<usize> = (0..6)
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut outcome = Outcome::begin(true);
        outcome.rows =
            vec![Row::new("a", "short", "s", vec![1.0]), Row::new("b", "a longer name", "s", vec![2.0])];
        let table = outcome.table();
        let starts: Vec<Option<usize>> = ["emulator", "1 s", "2 s"]
            .iter()
            .zip(table.lines().skip(1))
            .map(|(cell, line)| line.find(cell))
            .collect();
        assert!(starts[0].is_some() && starts.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    }
}
