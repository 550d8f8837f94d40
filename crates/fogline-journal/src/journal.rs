//! The append-only list of events.

use crate::{Clock, Event, JournalError, Record, RunFolder, RunPhase};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Something that hears every event in order, after it is on disk. It must not emit events itself.
pub type Listener = Box<dyn Fn(&Record) + Send + Sync>;

/// Appends events to `fogline/events.jsonl` and hands them to listeners. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    file: Mutex<File>,
    clock: Clock,
    begin: Instant,
    listeners: Vec<Listener>,
}

impl Journal {
    /// Opens the journal of `folder` for appending.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(folder: &RunFolder, clock: &Clock, listeners: Vec<Listener>) -> Result<Self, JournalError> {
        let path = folder.events();
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = Mutex::new(opened.map_err(|e| JournalError::new("open", &path, e))?);
        let inner = Inner { path, file, clock: clock.clone(), begin: Instant::now(), listeners };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes one event, in one system call, then tells the listeners.
    ///
    /// # Errors
    /// When the line cannot be written in full, as on a full disk. The listeners are told all the same.
    pub fn emit(&self, event: Event) -> Result<(), JournalError> {
        let inner = &*self.inner;
        let failed = |e| JournalError::new("write", &inner.path, e);
        // Taken before the time is, so that lines stand in the order of their times.
        let mut file = inner.file.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed_s = (inner.begin.elapsed().as_secs_f64() * 1e6).round() / 1e6;
        let record = Record { unix_ns: inner.clock.unix_ns(), elapsed_s, event };
        let line = serde_json::to_string(&record).map_err(|e| failed(e.into()));
        let written = line.and_then(|line| file.write_all(format!("{line}\n").as_bytes()).map_err(failed));
        for listener in &inner.listeners {
            listener(&record);
        }
        written
    }

    /// Runs `work` as a phase, between its two events.
    ///
    /// # Errors
    /// Those of `work`, and of writing the events.
    pub fn phase<T, E: From<JournalError>>(
        &self,
        phase: RunPhase,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.emit(Event::PhaseStarted { phase })?;
        let begin = Instant::now();
        let done = work();
        let elapsed_ms = (begin.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let ended = self.emit(Event::PhaseEnded { phase, ok: done.is_ok(), elapsed_ms });
        let value = done?;
        ended?;
        Ok(value)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// The events of a run, as read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// In the order in which they happened.
    pub records: Vec<Record>,
    /// Whether the last line is cut off: the runner was killed, or the disk was full.
    pub cut: bool,
}

/// Reads the events of a run folder.
///
/// # Errors
/// When the file cannot be read, or a line before the last is not an event; the message names the line.
pub fn read_events(folder: &RunFolder) -> Result<Events, JournalError> {
    let path = folder.events();
    let text = fs::read_to_string(&path).map_err(|e| JournalError::new("read", &path, e))?;
    parse_events(&path, &text)
}

fn parse_events(path: &Path, text: &str) -> Result<Events, JournalError> {
    let cut = !text.is_empty() && !text.ends_with('\n');
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut records = Vec::new();
    for (index, line) in whole.lines().enumerate() {
        let record = serde_json::from_str(line)
            .map_err(|e| JournalError::broken(path, format_args!("line {}: {e}", index + 1)))?;
        records.push(record);
    }
    Ok(Events { records, cut })
}
