//! CPU, memory, network and disk of the host, one CSV line per interval.
//!
//! A host on a laptop is a set of namespaces, not a machine: `/proc/stat` and `/proc/meminfo` speak of the whole
//! machine there and are useless. So the CPU figure is a sum over the processes in `/proc` (which shows the host's own
//! pid namespace): user and system time of each, and of the children that each has waited for, which keeps the time
//! of processes that have ended. Resident memory is a sum too, and counts pages that processes share once for each.

use crate::clock::unix_nanos;
use crate::error::{Context as _, Failure};
use crate::sys::process::ticks_and_page;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The header of a samples file. Time is that of the line's writing; CPU is in percent of one core over the time since
/// the line before; the last four are bytes per second over the same time, network without the loopback, disk as far
/// as `/proc/<pid>/io` may be read.
pub const SAMPLE_COLUMNS: &str = "time_unix_s,cpu_percent,rss_kib,processes,net_rx_bytes_per_s,net_tx_bytes_per_s,\
disk_read_bytes_per_s,disk_write_bytes_per_s";

/// Shortest interval: `/proc` counts CPU time in hundredths of a second.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// The one sampling thread of an agent.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    csv: PathBuf,
    stop: Arc<Stop>,
    thread: JoinHandle<Result<(), Failure>>,
}

#[derive(Debug, Default)]
struct Stop {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Sampler {
    pub(super) fn start(&self, csv: &Path, interval: Duration) -> Result<(), Failure> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            let message = format!("samples go into {} already", running.csv.display());
            return Err(Failure::new("take samples", message));
        }
        if interval < INTERVAL_MIN {
            let message = format!("an interval of {interval:?} is too short, at least {INTERVAL_MIN:?}");
            return Err(Failure::new("take samples", message));
        }
        if let Some(parent) = csv.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).at("make directory", parent)?;
        }
        let mut file = File::create(csv).at("create", csv)?;
        writeln!(file, "{SAMPLE_COLUMNS}").at("write", csv)?;
        let stop = Arc::new(Stop::default());
        let (path, asked) = (csv.to_owned(), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("samples".to_owned())
            .spawn(move || sample_until(&asked, interval, &mut file, &path))
            .during("take samples")?;
        *running = Some(Running { csv: csv.to_owned(), stop, thread });
        Ok(())
    }

    pub(super) fn stop(&self) -> Result<(), Failure> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { stop, thread, .. }) = running else { return Ok(()) };
        *stop.asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        stop.changed.notify_all();
        thread.join().unwrap_or_else(|_| Err(Failure::new("take samples", "the sampling thread panicked")))
    }
}

fn sample_until(stop: &Stop, interval: Duration, file: &mut File, path: &Path) -> Result<(), Failure> {
    let mut before = (Instant::now(), Counters::read());
    let mut due = before.0 + interval;
    loop {
        let asked = stop.wait_until(due);
        let now = (Instant::now(), Counters::read());
        let line = now.1.line_since(&before.1, (now.0 - before.0).as_secs_f64());
        file.write_all(line.as_bytes()).at("write", path)?;
        if asked {
            return Ok(());
        }
        before = now;
        // After a stall the missed lines are left out, not written in a burst.
        while due <= before.0 {
            due += interval;
        }
    }
}

impl Stop {
    /// Waits until `due`; whether the end was asked for.
    fn wait_until(&self, due: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if *asked || left.is_zero() {
                return *asked;
            }
            asked = self.changed.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What the host has used since it began, and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    cpu_ticks: u64,
    rss_pages: u64,
    processes: u64,
    pub(super) net_rx_bytes: u64,
    pub(super) net_tx_bytes: u64,
    pub(super) net_tx_dropped: u64,
    disk_read_bytes: u64,
    disk_write_bytes: u64,
}

impl Counters {
    fn read() -> Self {
        let mut counters = Self::read_network();
        let Ok(entries) = fs::read_dir("/proc") else { return counters };
        for entry in entries.flatten() {
            let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
            if is_process {
                counters.add_process(&entry.path());
            }
        }
        counters
    }

    /// The network part only; also serves the probes.
    pub(super) fn read_network() -> Self {
        let mut counters = Self::default();
        counters.add_network(&fs::read_to_string("/proc/self/net/dev").unwrap_or_default());
        counters
    }

    /// Adds one process, unless it has ended meanwhile.
    fn add_process(&mut self, directory: &Path) {
        let Ok(stat) = fs::read_to_string(directory.join("stat")) else { return };
        let Some((cpu_ticks, rss_pages)) = parse_stat(&stat) else { return };
        self.cpu_ticks += cpu_ticks;
        self.rss_pages += rss_pages;
        self.processes += 1;
        let io = fs::read_to_string(directory.join("io")).unwrap_or_default();
        self.disk_read_bytes += value_of(&io, "read_bytes:");
        self.disk_write_bytes += value_of(&io, "write_bytes:");
    }

    /// Adds the interfaces of `/proc/net/dev`: eight columns received (bytes first), eight sent (bytes first, dropped
    /// fourth).
    fn add_network(&mut self, text: &str) {
        for (name, columns) in text.lines().filter_map(|line| line.split_once(':')) {
            if name.trim() == "lo" {
                continue;
            }
            let values: Vec<u64> = columns.split_whitespace().filter_map(|it| it.parse().ok()).collect();
            if let [rx, _, _, _, _, _, _, _, tx, _, _, dropped, ..] = values[..] {
                self.net_rx_bytes += rx;
                self.net_tx_bytes += tx;
                self.net_tx_dropped += dropped;
            }
        }
    }

    /// A counter can seem to go back when a process ends between two readings; that reads as nothing used.
    fn line_since(&self, before: &Self, seconds: f64) -> String {
        let (ticks_per_s, page_bytes) = ticks_and_page();
        let per_s = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds.max(1e-9);
        let cpu_percent = 100.0 * per_s(self.cpu_ticks, before.cpu_ticks) / ticks_per_s as f64;
        format!(
            "{:.3},{cpu_percent:.1},{},{},{:.0},{:.0},{:.0},{:.0}\n",
            unix_nanos() as f64 / 1e9,
            self.rss_pages * page_bytes / 1024,
            self.processes,
            per_s(self.net_rx_bytes, before.net_rx_bytes),
            per_s(self.net_tx_bytes, before.net_tx_bytes),
            per_s(self.disk_read_bytes, before.disk_read_bytes),
            per_s(self.disk_write_bytes, before.disk_write_bytes),
        )
    }
}

/// CPU ticks (own and of waited-for children: fields 14 to 17) and resident pages (field 24) of `/proc/<pid>/stat`.
/// The second field is the program's name in parentheses and may hold anything.
fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = number(14)? + number(15)? + number(16)? + number(17)?;
    Some((ticks, number(24)?))
}

fn value_of(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 500 1000000 321 18446744073709551615 1";
        assert_eq!(parse_stat(stat), Some((11 + 22 + 33 + 44, 321)));
        assert_eq!(parse_stat("7 (short) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn the_loopback_does_not_count() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n    \
            lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  tap0: 10 1 0 0 0 0 0 0 20 1 0 3 0 0 0 0\n";
        let mut counters = Counters::default();
        counters.add_network(text);
        assert_eq!((counters.net_rx_bytes, counters.net_tx_bytes, counters.net_tx_dropped), (10, 20, 3));
    }
}
