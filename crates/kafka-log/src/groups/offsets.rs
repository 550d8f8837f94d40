//! Committed offsets: in memory, and in one file that is appended to and rewritten when mostly stale.
//!
//! A record of `offsets.log` is its length (u32), a CRC-32C (u32) and the body: group and topic (u16 length,
//! UTF-8), partition (i32), offset (i64, -1 removes), leader epoch (i32), commit time (i64, ms), metadata
//! (u16 length, UTF-8). All numbers are big-endian. A torn end is cut off at start.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::event::{Event, EventSink};
use crate::topics::replace;

const FILE: &str = "offsets.log";
/// Size from which on the file is rewritten when less than a quarter of it counts.
const REWRITE_BYTES: u64 = 1 << 20;
/// Longest metadata string, as Kafka's `offset.metadata.max.bytes`.
pub(crate) const METADATA_LEN_MAX: usize = 4096;
/// Offsets not committed for this long are dropped at start, as Kafka's `offsets.retention.minutes`.
const KEEP_MS: i64 = 7 * 24 * 3600 * 1000;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) commit_ms: i64,
}

type Key = (String, String, i32);

/// All committed offsets, by group, topic and partition.
#[derive(Debug)]
pub(crate) struct OffsetStore {
    dir: PathBuf,
    file: File,
    len: u64,
    torn: bool,
    live_bytes: u64,
    all: BTreeMap<Key, Committed>,
}

impl OffsetStore {
    /// Reads the file in `dir`, creating it if absent.
    pub(crate) fn open(dir: &Path, events: &EventSink, now_ms: i64) -> io::Result<Self> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let (mut all, read) = decode_all(&bytes);
        if read < bytes.len() {
            let why = "a record of committed offsets is torn or damaged".to_owned();
            events.tell(&Event::Truncated { path: path.clone(), bytes: (bytes.len() - read) as u64, why });
        }
        all.retain(|_, committed| now_ms.saturating_sub(committed.commit_ms) < KEEP_MS);
        let mut store = Self::with_file(dir, all)?;
        store.rewrite()?;
        Ok(store)
    }

    fn with_file(dir: &Path, all: BTreeMap<Key, Committed>) -> io::Result<Self> {
        let file = open_file(dir)?;
        Ok(Self { dir: dir.to_owned(), file, len: 0, torn: false, live_bytes: 0, all })
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.all.get(&(group.to_owned(), topic.to_owned(), partition))
    }

    /// Everything that `group` committed, by topic and partition.
    pub(crate) fn of_group(&self, group: &str) -> impl Iterator<Item = (&str, i32, &Committed)> {
        let from = (group.to_owned(), String::new(), i32::MIN);
        let same = move |key: &&Key, group: &str| key.0 == group;
        let group = group.to_owned();
        let found = self.all.range(from..).take_while(move |(key, _)| same(key, &group));
        found.map(|((_, topic, partition), committed)| (topic.as_str(), *partition, committed))
    }

    /// The groups that have committed something.
    pub(crate) fn groups(&self) -> Vec<String> {
        let mut groups: Vec<String> = self.all.keys().map(|(group, ..)| group.clone()).collect();
        groups.dedup();
        groups
    }

    /// Stores commits of one group, durably against the death of this process.
    pub(crate) fn commit(&mut self, group: &str, commits: Vec<(String, i32, Committed)>) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (topic, partition, committed) in &commits {
            encode(&mut bytes, group, topic, *partition, committed);
        }
        self.write(&bytes)?;
        for (topic, partition, committed) in commits {
            self.put(group.to_owned(), topic, partition, committed);
        }
        self.rewrite_if_stale()
    }

    /// Forgets what groups committed for a topic that was deleted.
    pub(crate) fn forget_topic(&mut self, topic: &str) -> io::Result<()> {
        let gone: Vec<Key> = self.all.keys().filter(|key| key.1 == topic).cloned().collect();
        let mut bytes = Vec::new();
        let removed = Committed { offset: -1, leader_epoch: -1, metadata: String::new(), commit_ms: 0 };
        for (group, topic, partition) in &gone {
            encode(&mut bytes, group, topic, *partition, &removed);
        }
        self.write(&bytes)?;
        for (group, topic, partition) in gone {
            self.put(group, topic, partition, removed.clone());
        }
        self.rewrite_if_stale()
    }

    fn put(&mut self, group: String, topic: String, partition: i32, committed: Committed) {
        let added = record_len(&group, &topic, &committed);
        let key = (group, topic, partition);
        if let Some(old) = self.all.remove(&key) {
            self.live_bytes -= record_len(&key.0, &key.1, &old);
        }
        if committed.offset >= 0 {
            self.live_bytes += added;
            self.all.insert(key, committed);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        if let Err(error) = self.file.write_all(bytes) {
            self.torn = self.file.set_len(self.len).is_err();
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn rewrite_if_stale(&mut self) -> io::Result<()> {
        if self.len < REWRITE_BYTES || self.live_bytes > self.len / 4 { Ok(()) } else { self.rewrite() }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for ((group, topic, partition), committed) in &self.all {
            encode(&mut bytes, group, topic, *partition, committed);
        }
        replace(&self.dir, FILE, &bytes)?;
        self.file = open_file(&self.dir)?;
        self.len = bytes.len() as u64;
        self.live_bytes = self.len;
        self.torn = false;
        Ok(())
    }
}

fn open_file(dir: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(dir.join(FILE))
}

/// Bytes of a record in the file.
fn record_len(group: &str, topic: &str, committed: &Committed) -> u64 {
    (8 + 6 + 24 + group.len() + topic.len() + committed.metadata.len()) as u64
}

fn encode(out: &mut Vec<u8>, group: &str, topic: &str, partition: i32, committed: &Committed) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    text(out, group);
    text(out, topic);
    out.extend_from_slice(&partition.to_be_bytes());
    out.extend_from_slice(&committed.offset.to_be_bytes());
    out.extend_from_slice(&committed.leader_epoch.to_be_bytes());
    out.extend_from_slice(&committed.commit_ms.to_be_bytes());
    text(out, &committed.metadata);
    let body = u32::try_from(out.len() - start - 8).unwrap_or(u32::MAX);
    let crc = crc32c::crc32c(&out[start + 8..]);
    out[start..start + 4].copy_from_slice(&body.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&crc.to_be_bytes());
}

/// Group ids, topics and metadata are all shorter than 64 KiB: the protocol's strings are, and the coordinator
/// refuses longer ones.
fn text(out: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
}

/// The offsets in `bytes`, and how many bytes were whole, correct records.
fn decode_all(bytes: &[u8]) -> (BTreeMap<Key, Committed>, usize) {
    let mut all = BTreeMap::new();
    let mut rest = bytes;
    while let Some((key, committed, after)) = decode(rest) {
        if committed.offset >= 0 {
            all.insert(key, committed);
        } else {
            all.remove(&key);
        }
        rest = after;
    }
    (all, bytes.len() - rest.len())
}

fn decode(bytes: &[u8]) -> Option<(Key, Committed, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let (body, after) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    if crc32c::crc32c(body) != u32::from_be_bytes(*crc) {
        return None;
    }
    let (group, body) = take_text(body)?;
    let (topic, body) = take_text(body)?;
    let (partition, body) = body.split_first_chunk::<4>()?;
    let (offset, body) = body.split_first_chunk::<8>()?;
    let (leader_epoch, body) = body.split_first_chunk::<4>()?;
    let (commit_ms, body) = body.split_first_chunk::<8>()?;
    let (metadata, _) = take_text(body)?;
    let committed = Committed {
        offset: i64::from_be_bytes(*offset),
        leader_epoch: i32::from_be_bytes(*leader_epoch),
        metadata,
        commit_ms: i64::from_be_bytes(*commit_ms),
    };
    Some(((group, topic, i32::from_be_bytes(*partition)), committed, after))
}

fn take_text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64, commit_ms: i64) -> Committed {
        Committed { offset, leader_epoch: 0, metadata: "m".into(), commit_ms }
    }

    #[test]
    fn offsets_survive_reopening_and_a_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let silent = EventSink::silent();
        let mut store = OffsetStore::open(dir.path(), &silent, 1000).unwrap();
        store.commit("g", vec![("t".into(), 0, at(5, 1000)), ("t".into(), 1, at(6, 1000))]).unwrap();
        store.commit("g", vec![("t".into(), 0, at(7, 1000))]).unwrap();
        drop(store);
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&[0, 0, 0, 40, 1, 2, 3]);
        fs::write(&path, bytes).unwrap();
        let store = OffsetStore::open(dir.path(), &silent, 1000).unwrap();
        assert_eq!(store.get("g", "t", 0), Some(&at(7, 1000)));
        assert_eq!(store.of_group("g").count(), 2);
        assert_eq!(store.groups(), ["g"]);
    }

    #[test]
    fn a_stale_file_is_rewritten_and_old_offsets_expire() {
        let dir = tempfile::tempdir().unwrap();
        let silent = EventSink::silent();
        let mut store = OffsetStore::open(dir.path(), &silent, 0).unwrap();
        for offset in 0..40_000 {
            store.commit("group", vec![("topic".into(), 0, at(offset, 0))]).unwrap();
        }
        assert!(fs::metadata(dir.path().join(FILE)).unwrap().len() < 2 * REWRITE_BYTES);
        assert_eq!(store.get("group", "topic", 0), Some(&at(39_999, 0)));
        store.forget_topic("topic").unwrap();
        store.commit("group", vec![("old".into(), 0, at(1, 0)), ("new".into(), 0, at(2, KEEP_MS))]).unwrap();
        drop(store);
        let store = OffsetStore::open(dir.path(), &silent, KEEP_MS + 1).unwrap();
        assert_eq!(store.len(), 1);
        assert_eq!(store.get("group", "new", 0), Some(&at(2, KEEP_MS)));
    }
}
