//! The log of one partition: segments on disk, producers in memory, offsets that never go back.

mod index;
pub(crate) mod producers;
mod recovery;
pub(crate) mod segment;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::batch::{self, BatchHeader, HEADER_LEN};
use crate::log::producers::{Producers, SequenceFault, Verdict};
use crate::log::segment::Segment;

/// What a partition may keep, and how it cuts its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Bytes kept at most.
    pub(crate) retention_bytes: u64,
    /// Age at which records go, in milliseconds.
    pub(crate) retention_ms: Option<i64>,
    /// Bytes after which a segment is sealed.
    pub(crate) segment_bytes: u64,
}

impl Policy {
    /// A segment is never more than a quarter of what is kept, so that deleting one leaves most of the log.
    fn segment_limit(&self) -> u64 {
        self.segment_bytes.min(self.retention_bytes / 4)
    }

    fn has_expired(&self, segment: &Segment, now_ms: i64) -> bool {
        let newest = if segment.max_timestamp >= 0 { segment.max_timestamp } else { segment.written_ms };
        self.retention_ms.is_some_and(|age| now_ms.saturating_sub(newest) > age)
    }
}

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// The time it was stamped with, -1 if it kept its own.
    pub(crate) append_time_ms: i64,
    /// Whether the log had it already.
    pub(crate) duplicate: bool,
}

/// Why a batch was not stored.
#[derive(Debug)]
pub(crate) enum AppendError {
    Sequence(SequenceFault),
    /// The topic was deleted meanwhile.
    Closed,
    Storage(io::Error),
}

/// Why records cannot be read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// The offset is before the first or after the end.
    OutOfRange,
    Storage(io::Error),
}

/// Whole batches in a file.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    pub(crate) file: Arc<File>,
    pub(crate) position: u64,
    pub(crate) len: u64,
}

/// The log of one partition.
#[derive(Debug)]
pub(crate) struct PartitionLog {
    dir: PathBuf,
    sealed: VecDeque<Segment>,
    active: Segment,
    producers: Producers,
    sealed_bytes: u64,
    /// Set when the topic is deleted: nothing may be written to the folder any more, it may be another's by now.
    closed: bool,
}

impl PartitionLog {
    /// The offset of the first record kept.
    pub(crate) fn start_offset(&self) -> i64 {
        self.sealed.front().map_or(self.active.base_offset, |first| first.base_offset)
    }

    /// The offset that the next record will get; also the high watermark, as there are no replicas.
    pub(crate) fn end_offset(&self) -> i64 {
        self.active.next_offset
    }

    /// Where a reader of committed records stops. Without transactions that is the end.
    pub(crate) fn stable_offset(&self) -> i64 {
        self.end_offset()
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.sealed_bytes + self.active.len
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Refuses all further writes.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Stores a batch that was validated, at the end of the log. `stamp` replaces its timestamps.
    /// Call [`retain`](Self::retain) after it.
    pub(crate) fn append(
        &mut self,
        bytes: &[u8],
        header: &BatchHeader,
        stamp: Option<i64>,
        policy: &Policy,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        if self.closed {
            return Err(AppendError::Closed);
        }
        match self.producers.judge(header).map_err(AppendError::Sequence)? {
            Verdict::Append => {}
            Verdict::Duplicate { base_offset, append_time_ms } => {
                return Ok(Appended { base_offset, append_time_ms, duplicate: true });
            }
        }
        let base_offset = self.end_offset();
        if self.active.len > 0 && self.active.len + bytes.len() as u64 > policy.segment_limit() {
            self.roll(now_ms).map_err(AppendError::Storage)?;
        }
        let head = batch::stored_header(bytes, base_offset, stamp);
        self.active.append(&head, &bytes[HEADER_LEN..], now_ms).map_err(AppendError::Storage)?;
        self.producers.remember(&BatchHeader::parse(&head));
        Ok(Appended { base_offset, append_time_ms: stamp.unwrap_or(-1), duplicate: false })
    }

    /// Seals the active segment and begins the next.
    fn roll(&mut self, now_ms: i64) -> io::Result<()> {
        let next = Segment::create(&self.dir, self.end_offset(), now_ms)?;
        let mut full = std::mem::replace(&mut self.active, next);
        full.seal();
        self.sealed_bytes += full.len;
        self.sealed.push_back(full);
        Ok(())
    }

    /// Deletes segments that are too old, and the oldest ones while the log is too large.
    pub(crate) fn retain(&mut self, policy: &Policy, now_ms: i64) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        while let Some(first) = self.sealed.front() {
            if self.bytes() <= policy.retention_bytes && !policy.has_expired(first, now_ms) {
                return Ok(());
            }
            self.delete_first()?;
        }
        if self.active.len > 0 && policy.has_expired(&self.active, now_ms) {
            self.roll(now_ms)?;
            self.delete_first()?;
        }
        Ok(())
    }

    fn delete_first(&mut self) -> io::Result<()> {
        if let Some(first) = self.sealed.front() {
            match fs::remove_file(&first.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.sealed_bytes -= first.len;
            self.sealed.pop_front();
        }
        Ok(())
    }

    /// The batches from the one that holds `offset`, as many as fit `max_bytes`, all of one segment.
    /// `at_least_one` gives a first batch that does not fit. `None` at the end of the log, or if nothing fits.
    pub(crate) fn read(
        &self,
        offset: i64,
        max_bytes: u64,
        at_least_one: bool,
    ) -> Result<Option<Extent>, ReadError> {
        if offset < self.start_offset() || offset > self.end_offset() {
            return Err(ReadError::OutOfRange);
        }
        if offset == self.end_offset() {
            return Ok(None);
        }
        let segment = self.segment_with(offset);
        let file = segment.reader().map_err(ReadError::Storage)?;
        let Some((position, first)) = segment.locate(&file, offset).map_err(ReadError::Storage)? else {
            return Err(ReadError::OutOfRange);
        };
        let limit = position.saturating_add(max_bytes);
        let mut end = segment.last_end(&file, position, limit).map_err(ReadError::Storage)?;
        if end <= position {
            if !at_least_one {
                return Ok(None);
            }
            end = position + first.len as u64;
        }
        Ok(Some(Extent { file, position, len: end - position }))
    }

    fn segment_with(&self, offset: i64) -> &Segment {
        if offset >= self.active.base_offset {
            return &self.active;
        }
        let after = self.sealed.partition_point(|segment| segment.base_offset <= offset);
        self.sealed.get(after.saturating_sub(1)).unwrap_or(&self.active)
    }

    /// Timestamp and offset of the first record not older than `time_ms`.
    pub(crate) fn offset_for_time(&self, time_ms: i64) -> io::Result<Option<(i64, i64)>> {
        let mut segments = self.sealed.iter().chain(std::iter::once(&self.active));
        let Some(segment) = segments.find(|segment| segment.len > 0 && segment.max_timestamp >= time_ms)
        else {
            return Ok(None);
        };
        let file = segment.reader()?;
        let Some((position, header)) = segment.locate_time(&file, time_ms)? else {
            return Ok(None);
        };
        let mut bytes = vec![0; header.len];
        file.read_exact_at(&mut bytes, position)?;
        Ok(Some(batch::first_record_since(&bytes, &header, time_ms)))
    }

    /// Timestamp and offset of the newest record by timestamp.
    pub(crate) fn newest_time(&self) -> io::Result<Option<(i64, i64)>> {
        let segments = self.sealed.iter().chain(std::iter::once(&self.active));
        match segments.filter(|segment| segment.len > 0).map(|segment| segment.max_timestamp).max() {
            Some(newest) => self.offset_for_time(newest),
            None => Ok(None),
        }
    }
}
