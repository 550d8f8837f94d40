//! The two formats of traces.

use super::{Step, TRACE_ROWS_MAX, TRACE_TIME_MAX, TraceError};
use std::str::FromStr;
use units::{Delay, ParseError};

/// Names of columns with the unit of their plain numbers.
const COLUMNS: [(&str, Meaning, Option<&str>); 12] = [
    ("time", Meaning::Time, Some("s")),
    ("time_s", Meaning::Time, Some("s")),
    ("time_ms", Meaning::Time, Some("ms")),
    ("rate", Meaning::Rate, None),
    ("rate_kbit", Meaning::Rate, Some("kbit")),
    ("rate_mbit", Meaning::Rate, Some("mbit")),
    ("rate_gbit", Meaning::Rate, Some("gbit")),
    ("delay", Meaning::Delay, None),
    ("delay_us", Meaning::Delay, Some("us")),
    ("delay_ms", Meaning::Delay, Some("ms")),
    ("loss", Meaning::Loss, None),
    ("loss_percent", Meaning::Loss, Some("%")),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Time,
    Rate,
    Delay,
    Loss,
}

struct Column {
    name: &'static str,
    meaning: Meaning,
    unit: Option<&'static str>,
}

/// Whether the first line that says something is not a plain number.
pub(super) fn begins_with_words(text: &str) -> bool {
    lines(text).next().is_some_and(|(_, line)| !line.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn deliveries(text: &str) -> Result<Vec<u64>, TraceError> {
    let most = TRACE_TIME_MAX.nanos() / 1_000_000;
    let mut all: Vec<u64> = Vec::new();
    let mut last_line = 1;
    for (line, content) in lines(text) {
        let fail = |reason: String| Err(TraceError { line, reason });
        let Some(millis) = content.parse().ok().filter(|_| content.bytes().all(|byte| byte.is_ascii_digit()))
        else {
            let content = shown(content);
            return fail(format!(
                "`{content}` is no moment: expected one whole number of milliseconds, for example 12"
            ));
        };
        if millis > most {
            return fail(format!("{millis} ms is too late: expected a year, {most} ms, at most"));
        }
        if let Some(last) = all.last().filter(|last| millis < **last) {
            return fail(format!("{millis} ms comes after {last} ms: expected ascending milliseconds"));
        }
        room_for_one_more(&all, line)?;
        all.push(millis);
        last_line = line;
    }
    match all.last() {
        None => Err(TraceError { line: 1, reason: "empty: expected a number of milliseconds a line".into() }),
        Some(0) => {
            let reason =
                "the last moment is 0 ms: expected one above, as the recording begins again there".into();
            Err(TraceError { line: last_line, reason })
        }
        Some(_) => Ok(all),
    }
}

pub(super) fn steps(text: &str) -> Result<Vec<Step>, TraceError> {
    let mut lines = lines(text);
    let Some((header_line, header)) = lines.next() else {
        return Err(TraceError {
            line: 1,
            reason: "empty: expected a row of column names, time first".into(),
        });
    };
    let columns = columns(header).map_err(|reason| TraceError { line: header_line, reason })?;
    let mut all: Vec<Step> = Vec::new();
    for (line, content) in lines {
        let step = row(&columns, content).map_err(|reason| TraceError { line, reason })?;
        let reason = match all.last() {
            None if step.at > Delay::ZERO => {
                format!("the first time is {}: expected 0, the beginning of the recording", step.at)
            }
            Some(last) if step.at <= last.at => {
                format!("time {} comes after {}: expected ascending times", step.at, last.at)
            }
            _ if step.at > TRACE_TIME_MAX => format!("time {} is too late: expected a year at most", step.at),
            _ => {
                room_for_one_more(&all, line)?;
                all.push(step);
                continue;
            }
        };
        return Err(TraceError { line, reason });
    }
    if all.is_empty() {
        let reason = "no row follows the column names: expected one for time 0 at least".into();
        return Err(TraceError { line: header_line, reason });
    }
    Ok(all)
}

/// The lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn room_for_one_more<T>(rows: &[T], line: usize) -> Result<(), TraceError> {
    if rows.len() < TRACE_ROWS_MAX {
        return Ok(());
    }
    Err(TraceError { line, reason: format!("too long: expected {TRACE_ROWS_MAX} rows at most") })
}

fn columns(header: &str) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::new();
    for cell in cells(header) {
        let lower = cell.to_ascii_lowercase();
        let Some(&(name, meaning, unit)) = COLUMNS.iter().find(|(name, ..)| *name == lower) else {
            let names: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
            return Err(format!("`{}` is no column: expected {}", shown(cell), names.join(", ")));
        };
        if let Some(other) = columns.iter().find(|column| column.meaning == meaning) {
            return Err(format!(
                "column `{name}` says the same as column `{}`: expected one of them",
                other.name
            ));
        }
        columns.push(Column { name, meaning, unit });
    }
    if columns.iter().all(|column| column.meaning != Meaning::Time) {
        return Err("there is no column `time`: expected one, in seconds".into());
    }
    if columns.len() == 1 {
        return Err("`time` is alone: expected a column `rate`, `delay` or `loss` beside it".into());
    }
    Ok(columns)
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|cell| {
        let cell = cell.trim();
        cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell).trim()
    })
}

fn row(columns: &[Column], line: &str) -> Result<Step, String> {
    let found = cells(line).count();
    if found != columns.len() {
        return Err(format!("a row of {found}: expected {} cells, one for each column", columns.len()));
    }
    let mut at = None;
    let (mut rate, mut delay, mut loss) = (None, None, None);
    for (column, cell) in columns.iter().zip(cells(line)) {
        match column.meaning {
            Meaning::Time => at = value(column, cell)?,
            Meaning::Rate => rate = value(column, cell)?,
            Meaning::Delay => delay = value(column, cell)?,
            Meaning::Loss => loss = value(column, cell)?,
        }
    }
    let Some(at) = at else { return Err("the time is missing: expected seconds, for example 1.5".into()) };
    Ok(Step { at, rate, delay, loss })
}

/// The value of a cell, none if it is empty.
fn value<T: FromStr<Err = ParseError>>(column: &Column, cell: &str) -> Result<Option<T>, String> {
    if cell.is_empty() {
        return Ok(None);
    }
    let plain = cell.ends_with(|last: char| last.is_ascii_digit() || last == '.');
    let parsed = match column.unit {
        Some(unit) if plain => format!("{cell}{unit}").parse(),
        _ => cell.parse(),
    };
    parsed.map(Some).map_err(|error: ParseError| {
        let name = column.name;
        let hint = match column.meaning {
            Meaning::Rate if error.expected.contains("above zero") => {
                "; a link that carries nothing has a loss of 100%"
            }
            Meaning::Rate if plain && column.unit.is_none() => "; plain numbers need a column `rate_mbit`",
            Meaning::Delay if plain && column.unit.is_none() => "; plain numbers need a column `delay_ms`",
            Meaning::Loss if plain && column.unit.is_none() => "; plain numbers need a column `loss_percent`",
            _ => "",
        };
        format!("{name} `{}`: expected {}{hint}", shown(cell), error.expected)
    })
}

/// The beginning of a text, for a message.
fn shown(text: &str) -> &str {
    let end = text.char_indices().nth(40).map_or(text.len(), |(end, _)| end);
    &text[..end]
}
