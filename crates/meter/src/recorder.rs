//! Records what a process does and writes its three metric files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::account::{Account, CameraAccount};
use crate::clock::Clock;
use crate::error::MeterError;
use crate::hlog::HistogramLog;
use crate::latency::Latency;
use crate::second::Second;
use crate::sys;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// How often the account is rewritten while the process runs, in nanoseconds.
const ACCOUNT_INTERVAL_NS: u64 = 5 * NS_PER_SECOND;

/// After a pause longer than this (a suspended machine, a clock that jumped) the silent seconds are left out
/// instead of being written one by one.
const SILENT_SECONDS_MAX: u64 = 600;

/// Records frames and latencies, and writes the metric files of one process.
///
/// Its owner calls [`Recorder::tick`] about once per second, and [`Recorder::finish`] at the end. What is
/// recorded belongs to the second that is open when it is recorded, that is to the time since the last tick.
/// It has no thread and no lock of its own; where several threads record, they share it behind a mutex.
pub struct Recorder {
    clock: Clock,
    csv: File,
    csv_path: PathBuf,
    log: HistogramLog,
    account: Account,
    account_path: PathBuf,
    account_written_unix_ns: u64,
    open: Second,
    open_cpu_ns: u64,
    latencies: BTreeMap<String, Latency>,
}

impl Recorder {
    /// Starts the three files `<role>-<instance>.csv`, `.hlog` and `.account.json` in `directory`, which is
    /// created when it is not there. Files of an earlier process with the same names are replaced.
    ///
    /// # Errors
    /// When role or instance cannot be part of a file name, or the directory or a file cannot be written.
    pub fn create(directory: &Path, role: &str, instance: &str, clock: Clock) -> Result<Self, MeterError> {
        check_name("role", role)?;
        check_name("instance", instance)?;
        fs::create_dir_all(directory).map_err(MeterError::io("create", directory))?;
        let file = |extension: &str| directory.join(format!("{role}-{instance}.{extension}"));
        let now = clock.unix_ns();
        let csv_path = file("csv");
        let mut csv = File::create(&csv_path).map_err(MeterError::io("create", &csv_path))?;
        let header = format!("{}\n", Second::CSV_HEADER);
        csv.write_all(header.as_bytes()).map_err(MeterError::io("write", &csv_path))?;
        let account = Account {
            role: role.to_owned(),
            instance: instance.to_owned(),
            started_unix_ns: now,
            ended_unix_ns: now,
            ..Account::default()
        };
        let account_path = file("account.json");
        account.write(&account_path)?;
        Ok(Self {
            clock,
            csv,
            csv_path,
            log: HistogramLog::create(file("hlog"), now)?,
            account,
            account_path,
            account_written_unix_ns: now,
            open: Second { second: now / NS_PER_SECOND, ..Second::default() },
            open_cpu_ns: sys::process_cpu_ns(),
            latencies: BTreeMap::new(),
        })
    }

    /// Says which tag the CSV's latency columns show. Without this, it is the tag of the first sample.
    pub fn latency_of(&mut self, tag: &str) {
        tag.clone_into(&mut self.account.latency_of);
    }

    /// One frame of `bytes` bytes entered.
    pub fn frame_in(&mut self, camera: &str, bytes: usize) {
        self.frames_in(camera, 1, bytes);
    }

    /// `frames` frames of `bytes` bytes together entered.
    pub fn frames_in(&mut self, camera: &str, frames: u64, bytes: usize) {
        self.account.camera(camera).frames_in += frames;
        self.open.frames_in += frames;
        self.open.bytes_in += bytes as u64;
    }

    /// One frame of `bytes` bytes left.
    pub fn frame_out(&mut self, camera: &str, bytes: usize) {
        self.frames_out(camera, 1, bytes);
    }

    /// `frames` frames of `bytes` bytes together left.
    pub fn frames_out(&mut self, camera: &str, frames: u64, bytes: usize) {
        self.account.camera(camera).frames_out += frames;
        self.open.frames_out += frames;
        self.open.bytes_out += bytes as u64;
    }

    /// One frame ended here, for this reason.
    pub fn dropped(&mut self, camera: &str, reason: &str) {
        self.dropped_n(camera, reason, 1);
    }

    /// `frames` frames ended here, for this reason.
    pub fn dropped_n(&mut self, camera: &str, reason: &str, frames: u64) {
        if frames == 0 {
            return;
        }
        let dropped = &mut self.account.camera(camera).dropped;
        match dropped.get_mut(reason) {
            Some(count) => *count += frames,
            None => {
                dropped.insert(reason.to_owned(), frames);
            }
        }
        self.open.dropped += frames;
    }

    /// Goes on from the account that an earlier process had of a camera. The figures of the seconds stay those of
    /// this process.
    pub fn restore(&mut self, camera: &str, account: CameraAccount) {
        *self.account.camera(camera) = account;
    }

    /// A frame that had entered before came again; it is not part of the balance.
    pub fn duplicate(&mut self, camera: &str) {
        self.account.camera(camera).duplicates += 1;
    }

    /// Takes one latency sample under a tag, which must have no space and no comma.
    pub fn latency(&mut self, tag: &str, latency: Duration) {
        if !self.latencies.contains_key(tag) {
            if self.account.latency_of.is_empty() {
                self.latency_of(tag);
            }
            self.latencies.insert(tag.to_owned(), Latency::new());
        }
        if let Some(samples) = self.latencies.get_mut(tag) {
            samples.record(latency);
        }
    }

    /// Puts a fact into the account, replacing an earlier one of the same key.
    pub fn fact(&mut self, key: &str, value: impl Into<Value>) {
        self.account.facts.insert(key.to_owned(), value.into());
    }

    /// The account so far. Its times, CPU and memory are those of the last tick that wrote it.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Closes and writes the seconds that have passed at `now_unix_ns`, and now and then the account. Does
    /// nothing within the same second, so calling it often is cheap.
    ///
    /// # Errors
    /// When a file cannot be written. The figures of the second are kept in the account all the same.
    pub fn tick(&mut self, now_unix_ns: u64) -> Result<(), MeterError> {
        let now = now_unix_ns / NS_PER_SECOND;
        if now <= self.open.second {
            return Ok(());
        }
        self.close_seconds(now)?;
        if now_unix_ns.saturating_sub(self.account_written_unix_ns) >= ACCOUNT_INTERVAL_NS {
            self.write_account(now_unix_ns)?;
        }
        Ok(())
    }

    /// Writes what is left, also of the second that is still open, and the complete account.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self) -> Result<Account, MeterError> {
        let now = self.clock.unix_ns().max(self.account.started_unix_ns);
        self.close_seconds((now / NS_PER_SECOND).max(self.open.second) + 1)?;
        self.account.complete = true;
        self.write_account(now)?;
        Ok(self.account)
    }

    fn write_account(&mut self, now_unix_ns: u64) -> Result<(), MeterError> {
        self.account.ended_unix_ns = now_unix_ns;
        self.account.cpu_seconds = sys::process_cpu_ns() as f64 / 1e9;
        self.account.rss_kib_max = sys::rss_kib_max();
        self.account_written_unix_ns = now_unix_ns;
        self.account.write(&self.account_path)
    }

    /// Closes all seconds before `next` and opens `next`.
    fn close_seconds(&mut self, next: u64) -> Result<(), MeterError> {
        let start_unix_ns = self.open.second * NS_PER_SECOND;
        if let Some(latency) = self.latencies.get(&self.account.latency_of) {
            self.open.set_latency(latency);
        }
        let cpu_ns = sys::process_cpu_ns();
        self.open.cpu_ms = cpu_ns.saturating_sub(self.open_cpu_ns) as f64 / 1e6;
        self.open_cpu_ns = cpu_ns;
        self.open.rss_kib = sys::rss_kib();
        let mut lines = String::with_capacity(128);
        self.open.append_to(&mut lines);
        let silent = Second { rss_kib: self.open.rss_kib, ..Second::default() };
        if next - self.open.second <= SILENT_SECONDS_MAX {
            for second in self.open.second + 1..next {
                Second { second, ..silent.clone() }.append_to(&mut lines);
            }
        }
        self.open = Second { second: next, ..Second::default() };
        self.csv.write_all(lines.as_bytes()).map_err(MeterError::io("write", &self.csv_path))?;
        for (tag, latency) in &mut self.latencies {
            if !latency.is_empty() {
                let added = self.log.add(tag, start_unix_ns, Duration::from_secs(1), latency);
                latency.clear();
                added?;
            }
        }
        self.log.flush()
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), MeterError> {
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if allowed && (1..=64).contains(&name.len()) {
        Ok(())
    } else {
        Err(MeterError::Name { what, name: name.to_owned() })
    }
}
