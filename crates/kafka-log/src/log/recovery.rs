//! Opening a partition's folder: index and producers are rebuilt from the batch headers, and a torn end is cut.
//!
//! After a `kill -9` the kernel still writes what the process gave it, so only the last segment can end in half
//! a batch; its checksums are verified. Of the older ones the headers are read. Where a batch is wrong, the rest
//! of its segment and all later segments go, as in Kafka's recovery.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::batch;
use crate::event::{Event, EventSink};
use crate::log::PartitionLog;
use crate::log::producers::Producers;
use crate::log::segment::{Segment, Walk, offset_of_name};

impl PartitionLog {
    /// Opens the log in `dir`, creating it if absent, and repairs its end.
    pub(crate) fn open(
        dir: &Path,
        producers_max: usize,
        events: &EventSink,
        now_ms: i64,
    ) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut producers = Producers::new(producers_max);
        let mut sealed: VecDeque<Segment> = VecDeque::new();
        let files = segment_files(dir)?;
        let count = files.len();
        let mut torn = None;
        for (nth, (base_offset, path)) in files.into_iter().enumerate() {
            let expected = sealed.back().map(|last| last.next_offset);
            if torn.is_none() && expected.is_some_and(|next| next != base_offset) {
                torn = Some(format!("the segment does not follow offset {}", expected.unwrap_or(0)));
            }
            if let Some(why) = &torn {
                drop_segment(&path, why, events)?;
                continue;
            }
            let (segment, fault) = scan(path, base_offset, nth + 1 == count, &mut producers)?;
            if let Some(why) = fault {
                cut(&segment, &why, events)?;
                torn = Some("the segment before it is damaged".to_owned());
            }
            sealed.push_back(segment);
        }
        let active = match sealed.pop_back() {
            Some(last) => last,
            None => Segment::create(dir, 0, now_ms)?,
        };
        let sealed_bytes = sealed.iter().map(|segment| segment.len).sum();
        Ok(Self { dir: dir.to_owned(), sealed, active, producers, sealed_bytes, closed: false })
    }
}

/// The segment files of a folder, by offset.
fn segment_files(dir: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(offset) = entry.file_name().to_str().and_then(offset_of_name) {
            files.push((offset, entry.path()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads a segment's batches, up to the first that is wrong; says what is wrong with it.
fn scan(
    path: PathBuf,
    base_offset: i64,
    verify: bool,
    producers: &mut Producers,
) -> io::Result<(Segment, Option<String>)> {
    let file = File::open(&path)?;
    let meta = file.metadata()?;
    let written = meta.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut segment = Segment::found(path, base_offset, i64::try_from(written).unwrap_or(i64::MAX));
    let mut walk = Walk::new(&file, 0, meta.len());
    let mut bytes = Vec::new();
    loop {
        let (at, header) = match walk.step() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok((segment, None)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok((segment, Some(error.to_string())));
            }
            Err(error) => return Err(error),
        };
        if header.base_offset != segment.next_offset {
            let why = format!("offset {} where {} should be", header.base_offset, segment.next_offset);
            return Ok((segment, Some(why)));
        }
        if verify {
            bytes.resize(header.len, 0);
            file.read_exact_at(&mut bytes, at)?;
            if let Err(fault) = batch::validate(&bytes) {
                return Ok((segment, Some(fault.to_string())));
            }
        }
        segment.admit(&header);
        producers.remember(&header);
    }
}

/// Cuts a segment's file to the batches that are right.
fn cut(segment: &Segment, why: &str, events: &EventSink) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(&segment.path)?;
    let before = file.metadata()?.len();
    file.set_len(segment.len)?;
    let bytes = before.saturating_sub(segment.len);
    events.tell(&Event::Truncated { path: segment.path.clone(), bytes, why: why.to_owned() });
    Ok(())
}

fn drop_segment(path: &Path, why: &str, events: &EventSink) -> io::Result<()> {
    let bytes = fs::metadata(path)?.len();
    fs::remove_file(path)?;
    events.tell(&Event::Truncated { path: path.to_owned(), bytes, why: why.to_owned() });
    Ok(())
}
