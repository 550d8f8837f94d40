//! A sparse index of one segment: from offset, position or time to a batch at or before it.

/// Bytes of segment between two entries. Finding a batch reads at most this much of headers.
const INTERVAL: u64 = 16 << 10;

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: i64,
    position: u64,
    /// The newest timestamp of all batches before this one; never falls from entry to entry.
    max_timestamp_before: i64,
}

/// Entries for some batches of a segment, in order. Kept in memory, rebuilt from the headers at start.
#[derive(Debug, Default)]
pub(crate) struct SparseIndex {
    entries: Vec<Entry>,
}

impl SparseIndex {
    /// Notes a batch; kept only if it is far enough from the last one kept.
    pub(crate) fn note(&mut self, offset: i64, position: u64, max_timestamp_before: i64) {
        let due = self.entries.last().is_none_or(|last| position - last.position >= INTERVAL);
        if due {
            self.entries.push(Entry { offset, position, max_timestamp_before });
        }
    }

    /// Position of a batch at or before the one that holds `offset`.
    pub(crate) fn floor_offset(&self, offset: i64) -> u64 {
        self.last_where(|entry| entry.offset <= offset)
    }

    /// Position of a batch at or before `position`.
    pub(crate) fn floor_position(&self, position: u64) -> u64 {
        self.last_where(|entry| entry.position <= position)
    }

    /// Position of a batch at or before the first one with a timestamp not older than `time_ms`.
    pub(crate) fn floor_time(&self, time_ms: i64) -> u64 {
        self.last_where(|entry| entry.max_timestamp_before < time_ms)
    }

    fn last_where(&self, holds: impl Fn(&Entry) -> bool) -> u64 {
        let count = self.entries.partition_point(holds);
        count.checked_sub(1).map_or(0, |last| self.entries[last].position)
    }
}
