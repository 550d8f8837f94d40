//! What a person sees of a fetch.

use crate::software::lock::Lock;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal to draw on.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of one package, on standard error.
pub(crate) struct Show {
    title: String,
    files: usize,
    bytes: u64,
    live: bool,
    state: Mutex<State>,
}

struct State {
    drawn: bool,
    told: Instant,
}

impl Show {
    /// Nothing has come yet.
    pub(crate) fn start(lock: &Lock) -> Self {
        Self {
            title: format!("{} {}", lock.name, lock.version),
            files: lock.files.len(),
            bytes: lock.bytes(),
            live: std::io::stderr().is_terminal(),
            state: Mutex::new(State { drawn: false, told: Instant::now() }),
        }
    }

    /// So many files with so many bytes have come; gives the bytes back.
    pub(crate) fn come(&self, (files, bytes): (usize, u64)) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!(
            "{}: {files} of {} files, {} of {} MB",
            self.title,
            self.files,
            megabytes(bytes),
            megabytes(self.bytes)
        );
        if self.live {
            eprint!("\r\x1b[K{line}");
            // A progress line that cannot be written is no reason to stop.
            let _ = std::io::stderr().flush();
            state.drawn = true;
        } else if state.told.elapsed() >= LINE_EVERY {
            eprintln!("{line}");
            state.told = Instant::now();
        }
        bytes
    }

    /// Says something that stays.
    pub(crate) fn say(&self, what: &str) {
        self.clear();
        eprintln!("{}: {what}", self.title);
    }

    /// Says how it ended.
    pub(crate) fn finished(&self, how: &str, folder: &Path) {
        self.clear();
        println!(
            "{}: {how}, {} files, {} MB, in {}",
            self.title,
            self.files,
            megabytes(self.bytes),
            folder.display()
        );
    }

    fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.drawn) {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Show {
    /// What is printed next begins on a line of its own, also after an error.
    fn drop(&mut self) {
        self.clear();
    }
}

/// Bytes in millions, with one decimal.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
