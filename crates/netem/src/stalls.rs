//! How long the calling thread could have run but got no CPU, as the kernel counts it.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Room for the three numbers of the file.
const TEXT_LEN_MAX: usize = 64;

/// The second number of `/proc/thread-self/schedstat` (`Documentation/scheduler/sched-stats.rst` of Linux).
#[derive(Debug)]
pub(crate) struct Stalls {
    file: Option<File>,
    first: u64,
    last: u64,
    read_at: u64,
}

impl Stalls {
    /// The stalls of the calling thread from `now` on; none are seen where the kernel does not tell.
    pub(crate) fn of_this_thread(now: u64) -> Self {
        let file = File::open("/proc/thread-self/schedstat").ok();
        let first = file.as_ref().and_then(read).unwrap_or(0);
        Self { file, first, last: first, read_at: now }
    }

    /// Nanoseconds stalled since the last call.
    pub(crate) fn take(&mut self, now: u64) -> u64 {
        let Some(total) = self.file.as_ref().and_then(read) else { return 0 };
        self.read_at = now;
        total - std::mem::replace(&mut self.last, total).min(total)
    }

    /// When [`take`](Self::take) was called last.
    pub(crate) const fn taken_at(&self) -> u64 {
        self.read_at
    }

    /// Nanoseconds stalled in all, as of the last call.
    pub(crate) const fn total(&self) -> u64 {
        self.last - self.first
    }
}

fn read(file: &File) -> Option<u64> {
    let mut text = [0; TEXT_LEN_MAX];
    let length = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.split_whitespace().nth(1)?.parse().ok()
}
