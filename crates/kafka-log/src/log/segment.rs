//! One segment file: whole batches, one after another, named by the offset of the first.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::batch::{BatchHeader, HEADER_LEN};
use crate::log::index::SparseIndex;

/// Bytes read at once when walking over headers.
const WALK_BYTES: usize = 4096;

/// A segment: its file, and what is known of the batches in it.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: i64,
    pub(crate) next_offset: i64,
    pub(crate) path: PathBuf,
    /// Bytes of whole batches; what lies behind them is not part of the log.
    pub(crate) len: u64,
    /// The newest record's timestamp, -1 if there is none.
    pub(crate) max_timestamp: i64,
    /// When the segment was last written, in milliseconds since the epoch.
    pub(crate) written_ms: i64,
    index: SparseIndex,
    /// Open while the segment is written to; a sealed one is opened when read, which keeps few descriptors.
    writer: Option<Arc<File>>,
    /// Whether a failed write may have left bytes behind `len`.
    torn: bool,
}

/// The file name of the segment that begins at `base_offset`, as Kafka names it.
pub(crate) fn file_name(base_offset: i64) -> String {
    format!("{base_offset:020}.log")
}

/// The offset that a segment's file name states.
pub(crate) fn offset_of_name(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

impl Segment {
    /// Creates an empty segment in `dir`, ready to be written to.
    pub(crate) fn create(dir: &Path, base_offset: i64, now_ms: i64) -> io::Result<Self> {
        let path = dir.join(file_name(base_offset));
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        file.set_len(0)?;
        Ok(Self { writer: Some(Arc::new(file)), ..Self::found(path, base_offset, now_ms) })
    }

    /// A sealed segment of which nothing is known yet; recovery tells it its batches.
    pub(crate) fn found(path: PathBuf, base_offset: i64, written_ms: i64) -> Self {
        Self {
            base_offset,
            next_offset: base_offset,
            path,
            len: 0,
            max_timestamp: -1,
            written_ms,
            index: SparseIndex::default(),
            writer: None,
            torn: false,
        }
    }

    /// Makes room for `header`'s batch at the end: index, offsets, times. The bytes are there already.
    pub(crate) fn admit(&mut self, header: &BatchHeader) {
        self.index.note(header.base_offset, self.len, self.max_timestamp);
        self.len += header.len as u64;
        self.next_offset = header.next_offset();
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
    }

    /// Writes a batch, given as its final header bytes and the bytes after them, and admits it.
    /// After an error the segment holds what it held before.
    pub(crate) fn append(&mut self, head: &[u8; HEADER_LEN], body: &[u8], now_ms: i64) -> io::Result<()> {
        let file = self.reopen_writer()?;
        if self.torn {
            file.set_len(self.len)?;
            self.torn = false;
        }
        if let Err(error) = write_both(&file, head, body) {
            self.torn = file.set_len(self.len).is_err();
            return Err(error);
        }
        self.admit(&BatchHeader::parse(head));
        self.written_ms = now_ms;
        Ok(())
    }

    fn reopen_writer(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.writer {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(OpenOptions::new().read(true).append(true).open(&self.path)?);
        self.writer = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Ends writing: the descriptor is closed once no reader holds it.
    pub(crate) fn seal(&mut self) {
        self.writer = None;
    }

    /// A descriptor to read from; it stays valid when the segment is deleted.
    pub(crate) fn reader(&self) -> io::Result<Arc<File>> {
        match &self.writer {
            Some(file) => Ok(Arc::clone(file)),
            None => File::open(&self.path).map(Arc::new),
        }
    }

    /// Position and header of the batch that holds `offset`, if the segment has it.
    pub(crate) fn locate(&self, file: &File, offset: i64) -> io::Result<Option<(u64, BatchHeader)>> {
        self.first_from(file, self.index.floor_offset(offset), |header| header.next_offset() > offset)
    }

    /// Position and header of the first batch with a record not older than `time_ms`.
    pub(crate) fn locate_time(&self, file: &File, time_ms: i64) -> io::Result<Option<(u64, BatchHeader)>> {
        self.first_from(file, self.index.floor_time(time_ms), |header| header.max_timestamp >= time_ms)
    }

    fn first_from(
        &self,
        file: &File,
        position: u64,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> io::Result<Option<(u64, BatchHeader)>> {
        let mut walk = Walk::new(file, position, self.len);
        while let Some((at, header)) = walk.step()? {
            if wanted(&header) {
                return Ok(Some((at, header)));
            }
        }
        Ok(None)
    }

    /// The last end of a batch that lies after `from` and not after `limit`; `from` if there is none.
    pub(crate) fn last_end(&self, file: &File, from: u64, limit: u64) -> io::Result<u64> {
        if limit >= self.len {
            return Ok(self.len);
        }
        let mut end = self.index.floor_position(limit).max(from);
        let mut walk = Walk::new(file, end, self.len);
        while let Some((at, header)) = walk.step()? {
            let next = at + header.len as u64;
            if next > limit {
                break;
            }
            end = next;
        }
        Ok(end)
    }
}

/// Writes two slices at the end of a file opened for appending.
fn write_both(mut file: &File, head: &[u8], body: &[u8]) -> io::Result<()> {
    let mut written = 0;
    let total = head.len() + body.len();
    while written < total {
        let head_left = head.get(written..).unwrap_or_default();
        let body_left = &body[written.saturating_sub(head.len())..];
        match file.write_vectored(&[IoSlice::new(head_left), IoSlice::new(body_left)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Walks from batch to batch by their headers.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    chunk: [u8; WALK_BYTES],
    chunk_at: u64,
    chunk_len: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self { file, position, end, chunk: [0; WALK_BYTES], chunk_at: 0, chunk_len: 0 }
    }

    /// Position and header of the next batch; `InvalidData` where the bytes are not a batch.
    pub(crate) fn step(&mut self) -> io::Result<Option<(u64, BatchHeader)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let at = self.position;
        let Some(head) = self.header_bytes()? else {
            return Err(invalid("the header is cut off".into()));
        };
        let header = BatchHeader::parse(&head);
        if let Some(fault) = header.fault() {
            return Err(invalid(fault.to_string()));
        }
        if at + header.len as u64 > self.end {
            return Err(invalid(format!("batch of {} bytes has only {}", header.len, self.end - at)));
        }
        self.position += header.len as u64;
        Ok(Some((at, header)))
    }

    fn header_bytes(&mut self) -> io::Result<Option<[u8; HEADER_LEN]>> {
        if let Some(head) = self.cached() {
            return Ok(Some(head));
        }
        let want = usize::try_from(self.end - self.position).unwrap_or(WALK_BYTES).min(WALK_BYTES);
        let mut got = 0;
        while got < want.min(HEADER_LEN) {
            match self.file.read_at(&mut self.chunk[got..want], self.position + got as u64)? {
                0 => return Ok(None),
                count => got += count,
            }
        }
        self.chunk_at = self.position;
        self.chunk_len = got;
        Ok(self.cached())
    }

    fn cached(&self) -> Option<[u8; HEADER_LEN]> {
        let skip = usize::try_from(self.position.checked_sub(self.chunk_at)?).ok()?;
        self.chunk[..self.chunk_len].get(skip..)?.first_chunk().copied()
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
