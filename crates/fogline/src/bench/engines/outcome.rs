//! The tables and the JSON.

use super::EngineBenchArgs;
use super::trial::Trial;
use crate::bench::row::short;
use crate::bench::statistics::median;
use crate::exit::Exit;
use crate::table::section;
use fogline_journal::{Clock, Machine, Verdict, write_json};
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// All that was run, and where.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// Version of this format.
    format: u32,
    version: &'static str,
    started: String,
    machine: Machine,
    /// Load averages over 1, 5 and 15 minutes before the first run.
    load_before: Vec<f64>,
    scenario: String,
    duration_s: u64,
    rounds: u32,
    /// Further options that every run had.
    options: Vec<String>,
    engines: Vec<OfEngine>,
}

/// The runs of one choice.
#[derive(Debug, Serialize)]
struct OfEngine {
    engine: String,
    /// Over the runs that passed.
    medians: Vec<Median>,
    runs: Vec<Trial>,
}

#[derive(Debug, Serialize)]
struct Median {
    name: String,
    #[serde(skip)]
    what: String,
    median: f64,
    min: f64,
    max: f64,
}

impl Outcome {
    /// Nothing run yet, on this machine.
    pub(super) fn begin(args: &EngineBenchArgs) -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let engine = |name: &String| OfEngine { engine: name.clone(), medians: Vec::new(), runs: Vec::new() };
        Self {
            format: 1,
            version: env!("CARGO_PKG_VERSION"),
            started: Clock::system().rfc3339(),
            machine: Machine::read(),
            load_before: load.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect(),
            scenario: args.scenario.display().to_string(),
            duration_s: args.duration,
            rounds: args.rounds,
            options: args.options.clone(),
            engines: args.engines.iter().map(|choice| engine(&choice.name)).collect(),
        }
    }

    /// One more run of the choice at `at`.
    pub(super) fn add(&mut self, at: usize, trial: Trial) {
        let engine = &mut self.engines[at];
        engine.runs.push(trial);
        engine.medians = medians(&engine.runs);
    }

    /// The code of the first run that did not pass.
    pub(super) fn exit(&self) -> Exit {
        let mut runs = self.engines.iter().flat_map(|engine| &engine.runs);
        match runs.find(|run| !run.passed()).map(|run| run.verdict) {
            None => Exit::Success,
            Some(Some(Verdict::Failed)) => Exit::Task,
            Some(Some(Verdict::Invalid)) => Exit::Invalid,
            Some(Some(Verdict::Interrupted)) => Exit::Interrupted,
            Some(Some(Verdict::Passed) | None) => Exit::Internal,
        }
    }

    /// Prints the tables, and writes the JSON where it is wanted.
    ///
    /// # Errors
    /// When the file or the standard output cannot be written.
    pub(super) fn tell(&self, json: Option<&Path>) -> io::Result<()> {
        let tables = self.tables();
        match json {
            Some(path) if path == Path::new("-") => {
                eprint!("{tables}");
                let mut out = io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, self)?;
                writeln!(out)
            }
            json => {
                print!("{tables}");
                json.map_or(Ok(()), |path| write_json(path, self).map_err(io::Error::other))
            }
        }
    }

    fn tables(&self) -> String {
        let mut text = String::new();
        let rounds = (0..self.rounds as usize)
            .flat_map(|round| self.engines.iter().filter_map(move |engine| engine.runs.get(round)));
        let rows = rounds.map(|run| {
            let verdict = run.verdict.map_or("NO VERDICT", |verdict| match verdict {
                Verdict::Passed if run.passed() => "passed",
                Verdict::Passed => "UNREADABLE",
                Verdict::Invalid => "INVALID",
                Verdict::Failed => "FAILED",
                Verdict::Interrupted => "INTERRUPTED",
            });
            let folder = run.folder.clone().unwrap_or_else(|| "-".to_owned());
            vec![
                run.round.to_string(),
                run.engine.clone(),
                folder,
                verdict.to_owned(),
                run.reasons.join("; "),
            ]
        });
        section(&mut text, "Runs", &["round", "engines", "run folder", "verdict", "why"], rows.collect());
        let headings: Vec<&str> =
            ["figure"].into_iter().chain(self.engines.iter().map(|engine| engine.engine.as_str())).collect();
        section(&mut text, "Medians of the runs that passed (least to largest)", &headings, self.rows());
        text
    }

    /// A row for each figure that any choice has, in the order of their first appearance.
    fn rows(&self) -> Vec<Vec<String>> {
        let mut names: Vec<(&str, &str)> = Vec::new();
        for median in self.engines.iter().flat_map(|engine| &engine.medians) {
            if !names.iter().any(|(name, _)| *name == median.name) {
                names.push((&median.name, &median.what));
            }
        }
        let cell = |engine: &OfEngine, name: &str| {
            let found = engine.medians.iter().find(|median| median.name == name);
            found.map_or_else(|| "-".to_owned(), Median::text)
        };
        let row = |(name, what): &(&str, &str)| {
            let cells = self.engines.iter().map(|engine| cell(engine, name));
            std::iter::once((*what).to_owned()).chain(cells).collect()
        };
        names.iter().map(row).collect()
    }
}

impl Median {
    fn text(&self) -> String {
        if self.min == self.max {
            return short(self.median);
        }
        format!("{} ({} to {})", short(self.median), short(self.min), short(self.max))
    }
}

/// The medians over the runs that passed, of figures that all of these have.
fn medians(runs: &[Trial]) -> Vec<Median> {
    let passed: Vec<&Trial> = runs.iter().filter(|run| run.passed()).collect();
    let Some(first) = passed.first() else { return Vec::new() };
    let of_figure = |name: &str| -> Option<Vec<f64>> {
        let value = |run: &&Trial| run.figures.iter().find(|figure| figure.name == name)?.value;
        passed.iter().map(value).collect()
    };
    let figures = first.figures.iter().filter_map(|figure| Some((figure, of_figure(&figure.name)?)));
    figures
        .map(|(figure, values)| Median {
            name: figure.name.clone(),
            what: figure.what.clone(),
            median: median(&values),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::engines::figures::Figure;

    fn trial(round: u32, verdict: Verdict, counted: f64) -> Trial {
        let figure = Figure { name: "counted".to_owned(), what: "frames/s".to_owned(), value: Some(counted) };
        let reasons =
            if verdict == Verdict::Passed { Vec::new() } else { vec!["the wire was cut".to_owned()] };
        Trial {
            engine: "apache".to_owned(),
            round,
            folder: Some(format!("20260102-03040{round}")),
            exit_code: Some(0),
            verdict: Some(verdict),
            reasons,
            figures: vec![figure],
        }
    }

    fn outcome(trials: Vec<Trial>) -> Outcome {
        let args = EngineBenchArgs {
            scenario: "s".into(),
            artifacts: None,
            duration: 60,
            rounds: 4,
            engines: vec!["apache".parse().expect("a choice")],
            json: None,
            options: Vec::new(),
        };
        let mut outcome = Outcome::begin(&args);
        trials.into_iter().for_each(|trial| outcome.add(0, trial));
        outcome
    }

    #[test]
    fn a_run_that_did_not_pass_is_told_with_its_reason_and_does_not_count() {
        let trials = vec![
            trial(1, Verdict::Passed, 300.0),
            trial(2, Verdict::Invalid, 10.0),
            trial(3, Verdict::Passed, 320.0),
        ];
        let outcome = outcome(trials);
        let tables = outcome.tables();
        let line = |word: &str| {
            tables.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{tables}"))
        };
        assert!(
            line("20260102-030402").contains("INVALID")
                && line("20260102-030402").contains("the wire was cut")
        );
        assert!(line("frames/s").contains("310 (300 to 320)"), "{tables}");
        assert_eq!(outcome.exit(), Exit::Invalid);
    }

    #[test]
    fn without_a_run_that_passed_there_are_no_medians() {
        let outcome = outcome(vec![trial(1, Verdict::Failed, 300.0)]);
        assert!(!outcome.tables().contains("300") && outcome.tables().contains("FAILED"));
        assert_eq!(outcome.exit(), Exit::Task);
    }
}
