use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchDecoder, RecordBatchEncoder,
    RecordEncodeOptions, TimestampType,
};
use proptest::prelude::*;

use super::*;
use crate::event::{Event, EventSink};
use crate::sync::lock;

const KEEP_ALL: Policy = Policy { retention_bytes: 1 << 30, retention_ms: None, segment_bytes: 40_000 };

/// A batch as a client writes it: `values` with timestamps from `time_ms` on, one millisecond apart.
fn batch_of(values: &[Vec<u8>], time_ms: i64, producer: Option<(i64, i16, i32)>) -> Vec<u8> {
    let (producer_id, producer_epoch, first) = producer.unwrap_or((-1, -1, -1));
    let records: Vec<Record> = (0_i32..)
        .zip(values)
        .map(|(nth, value)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id,
            producer_epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(nth),
            sequence: first.wrapping_add(nth),
            timestamp: time_ms + i64::from(nth),
            key: None,
            value: Some(Bytes::copy_from_slice(value)),
            headers: IndexMap::new(),
        })
        .collect();
    let mut out = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
    out.to_vec()
}

fn store(log: &mut PartitionLog, bytes: &[u8], policy: &Policy) -> Result<Appended, AppendError> {
    let header = batch::validate_produced(bytes).unwrap();
    let appended = log.append(bytes, &header, None, policy, 0)?;
    log.retain(policy, 0).unwrap();
    Ok(appended)
}

fn open(dir: &Path) -> PartitionLog {
    PartitionLog::open(dir, 100, &EventSink::silent(), 0).unwrap()
}

/// Every record from `offset` on, read as a consumer does: extent by extent.
fn read_all(log: &PartitionLog, mut offset: i64, max_bytes: u64) -> Vec<(i64, i64, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some(extent) = log.read(offset, max_bytes, true).unwrap() {
        let mut bytes = vec![0; usize::try_from(extent.len).unwrap()];
        extent.file.read_exact_at(&mut bytes, extent.position).unwrap();
        let mut left = Bytes::from(bytes);
        for set in RecordBatchDecoder::decode_all(&mut left).unwrap() {
            for record in set.records {
                if record.offset >= offset {
                    all.push((record.offset, record.timestamp, record.value.unwrap().to_vec()));
                }
            }
        }
        offset = all.last().map_or(offset, |(last, ..)| last + 1);
    }
    all
}

/// What to do with a log.
#[derive(Debug, Clone)]
enum Step {
    Append {
        records: usize,
        bytes: usize,
    },
    Reopen,
    /// Bytes that a crash left behind the last batch.
    Garbage(Vec<u8>),
    /// A crash in the middle of the last batch: so many of its bytes are missing.
    Tear(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (1_usize..8, 0_usize..6000).prop_map(|(records, bytes)| Step::Append { records, bytes });
    let garbage = prop::collection::vec(any::<u8>(), 1..300).prop_map(Step::Garbage);
    let step = prop_oneof![8 => append, 1 => Just(Step::Reopen), 1 => garbage, 1 => (1_u64..500).prop_map(Step::Tear)];
    prop::collection::vec(step, 1..60)
}

/// The newest segment file of a log.
fn newest_segment(dir: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.pop().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_log_gives_back_what_was_stored(steps in steps(), max_bytes in 1_u64..100_000, from in 0_i64..50) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        // Offset, timestamp and value of each record; and where each batch begins.
        let mut model: Vec<(i64, i64, Vec<u8>)> = Vec::new();
        let mut batches: Vec<usize> = Vec::new();
        for (time, step) in (1_i64..).zip(steps) {
            match step {
                Step::Append { records, bytes } => {
                    let values: Vec<Vec<u8>> = (0..records).map(|nth| vec![nth as u8; bytes / records]).collect();
                    let appended = store(&mut log, &batch_of(&values, time * 1000, None), &KEEP_ALL).unwrap();
                    prop_assert_eq!(appended.base_offset, model.len() as i64);
                    batches.push(model.len());
                    for (nth, value) in (0_i64..).zip(values) {
                        model.push((model.len() as i64, time * 1000 + nth, value));
                    }
                }
                Step::Reopen => { drop(log); log = open(dir.path()); }
                Step::Garbage(bytes) => {
                    drop(log);
                    let mut file = OpenOptions::new().append(true).open(newest_segment(dir.path())).unwrap();
                    file.write_all(&bytes).unwrap();
                    log = open(dir.path());
                }
                Step::Tear(missing) => {
                    let last_batch = log.active.len;
                    drop(log);
                    let newest = newest_segment(dir.path());
                    let file = OpenOptions::new().write(true).open(newest).unwrap();
                    let before = file.metadata().unwrap().len();
                    prop_assert_eq!(before, last_batch);
                    if before > 0 {
                        file.set_len(before.saturating_sub(missing)).unwrap();
                    }
                    log = open(dir.path());
                    let kept = usize::try_from(log.end_offset()).unwrap();
                    // What is gone is whole batches, and only as many as the missing bytes touch.
                    prop_assert!(kept == model.len() || batches.contains(&kept));
                    prop_assert!(log.active.len <= before.saturating_sub(missing));
                    model.truncate(kept);
                    batches.retain(|start| *start < kept);
                }
            }
        }
        prop_assert_eq!(log.end_offset(), model.len() as i64);
        prop_assert_eq!(read_all(&log, 0, max_bytes), model.clone());
        let from = from.min(model.len() as i64);
        prop_assert_eq!(&read_all(&log, from, max_bytes), &model[from as usize..]);
        for (offset, timestamp, _) in &model {
            prop_assert_eq!(log.offset_for_time(*timestamp).unwrap(), Some((*timestamp, *offset)));
        }
        let newest = model.last().map(|(offset, timestamp, _)| (*timestamp, *offset));
        prop_assert_eq!(log.newest_time().unwrap(), newest);
        prop_assert!(matches!(log.read(model.len() as i64 + 1, 100, true), Err(ReadError::OutOfRange)));
    }

    #[test]
    fn a_log_never_exceeds_its_bytes(sizes in prop::collection::vec(1_usize..9000, 1..120), keep in 40_000_u64..200_000) {
        let dir = tempfile::tempdir().unwrap();
        let policy = Policy { retention_bytes: keep, retention_ms: None, segment_bytes: 64_000 };
        let mut log = open(dir.path());
        for (nth, size) in sizes.iter().enumerate() {
            let bytes = batch_of(&[vec![7; *size]], nth as i64, None);
            store(&mut log, &bytes, &policy).unwrap();
            prop_assert!(log.bytes() <= keep, "{} of {keep}", log.bytes());
            let on_disk: u64 = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
            prop_assert_eq!(on_disk, log.bytes());
        }
        // Only whole segments go, and none without need: what is kept is the newest, without a gap.
        let (start, end) = (log.start_offset(), log.end_offset());
        let kept = read_all(&log, start, 50_000);
        prop_assert_eq!(kept.len() as i64, end - start);
        let total: usize = sizes.iter().sum();
        prop_assert!(start == 0 || log.bytes() + keep / 4 + 9100 >= keep, "{} of {keep}, {total}", log.bytes());
        drop(log);
        prop_assert_eq!(open(dir.path()).start_offset(), start);
    }

    /// A producer with up to five batches in flight, whose answers get lost: it repeats them in order until
    /// answered, and each is in the log once.
    #[test]
    fn repeated_batches_are_stored_once(lost in prop::collection::vec(any::<bool>(), 1..60), reopen_at in 0_usize..60) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        let (mut next, mut offsets, mut answered) = (0_i32, HashMap::new(), 0_i32);
        for (round, lost) in lost.into_iter().enumerate() {
            if round == reopen_at {
                drop(log);
                log = open(dir.path());
            }
            next = (next + 1).min(answered + 5);
            for sequence in answered..next {
                let bytes = batch_of(&[vec![1; 10]], 0, Some((9, 0, sequence)));
                let appended = store(&mut log, &bytes, &KEEP_ALL).unwrap();
                let first = *offsets.entry(sequence).or_insert(appended.base_offset);
                prop_assert_eq!(appended.base_offset, first);
            }
            if !lost {
                answered = next;
            }
        }
        prop_assert_eq!(log.end_offset(), i64::from(next));
    }

    /// Any sequence but the next one and the last five is refused, and nothing is stored.
    #[test]
    fn gaps_and_old_epochs_are_refused(stored in 1_i32..20, tried in 0_i32..60, epoch in 0_i16..3) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        for sequence in 0..stored {
            store(&mut log, &batch_of(&[vec![1]], 0, Some((9, 1, sequence))), &KEEP_ALL).unwrap();
        }
        let result = store(&mut log, &batch_of(&[vec![1]], 0, Some((9, epoch, tried))), &KEEP_ALL);
        match (epoch, result) {
            (0, Err(AppendError::Sequence(SequenceFault::Fenced { current: 1, got: 0 }))) => {}
            (1, Ok(appended)) if tried == stored => prop_assert!(!appended.duplicate),
            (1, Ok(appended)) => {
                prop_assert!(appended.duplicate && tried < stored && tried >= stored - 5);
                prop_assert_eq!(appended.base_offset, i64::from(tried));
            }
            (2, Ok(appended)) if tried == 0 => prop_assert!(!appended.duplicate),
            (1, Err(AppendError::Sequence(SequenceFault::OutOfOrder { expected, got }))) => {
                prop_assert!(expected == stored && got == tried && (tried > stored || tried < stored - 5));
            }
            (2, Err(AppendError::Sequence(SequenceFault::OutOfOrder { expected: 0, .. }))) => prop_assert!(tried > 0),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

#[test]
fn sequences_go_on_at_zero_after_the_largest() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    let two = [vec![1], vec![2]];
    store(&mut log, &batch_of(&two, 0, Some((4, 0, i32::MAX))), &KEEP_ALL).unwrap();
    let next = store(&mut log, &batch_of(&two, 0, Some((4, 0, 1))), &KEEP_ALL).unwrap();
    assert_eq!((next.base_offset, next.duplicate), (2, false));
}

#[test]
fn the_idlest_producer_is_forgotten_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = PartitionLog::open(dir.path(), 2, &EventSink::silent(), 0).unwrap();
    for producer in [1, 2, 1, 3] {
        let sequence = i32::from(producer == 1 && log.end_offset() == 2);
        store(&mut log, &batch_of(&[vec![0]], 0, Some((producer, 0, sequence))), &KEEP_ALL).unwrap();
    }
    assert_eq!(log.producers.len(), 2);
    // Producer 2 is not known any more and may begin anywhere; producer 1 is.
    assert!(store(&mut log, &batch_of(&[vec![0]], 0, Some((1, 0, 7))), &KEEP_ALL).is_err());
    assert!(store(&mut log, &batch_of(&[vec![0]], 0, Some((2, 0, 7))), &KEEP_ALL).is_ok());
}

#[test]
fn old_segments_go_by_their_newest_record() {
    let dir = tempfile::tempdir().unwrap();
    let policy = Policy { retention_bytes: 1 << 30, retention_ms: Some(1000), segment_bytes: 4096 };
    let mut log = open(dir.path());
    for time_ms in [0, 400, 800, 1200] {
        let bytes = batch_of(&[vec![0; 4000]], time_ms, None);
        let header = batch::validate_produced(&bytes).unwrap();
        log.append(&bytes, &header, None, &policy, time_ms).unwrap();
    }
    log.retain(&policy, 1000).unwrap();
    assert_eq!(log.start_offset(), 0, "exactly one second is not too old");
    log.retain(&policy, 1500).unwrap();
    assert_eq!(log.start_offset(), 2);
    log.retain(&policy, 10_000).unwrap();
    assert_eq!((log.start_offset(), log.end_offset(), log.bytes()), (4, 4, 0));
    drop(log);
    assert_eq!(open(dir.path()).end_offset(), 4, "offsets never go back");
}

#[test]
fn damage_in_the_middle_cuts_the_log_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    let policy = Policy { segment_bytes: 4096, ..KEEP_ALL };
    for _ in 0..6 {
        store(&mut log, &batch_of(&[vec![0; 1900]], 0, None), &policy).unwrap();
    }
    drop(log);
    let middle = dir.path().join(segment::file_name(2));
    let file = OpenOptions::new().write(true).open(middle).unwrap();
    file.write_all_at(&[9], 16).unwrap();
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = Arc::clone(&told);
    let events = EventSink::new(move |event| lock(&sink).push(event.clone()));
    let mut log = PartitionLog::open(dir.path(), 100, &events, 0).unwrap();
    assert_eq!(log.end_offset(), 2);
    assert_eq!(lock(&told).len(), 2, "one segment cut, one dropped");
    assert_eq!(store(&mut log, &batch_of(&[vec![5]], 0, None), &policy).unwrap().base_offset, 2);
    assert_eq!(read_all(&log, 0, 100_000).len(), 3);
}

#[test]
fn append_time_replaces_timestamps_and_keeps_the_checksum_right() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    let bytes = batch_of(&[vec![1], vec![2]], 5, None);
    let header = batch::validate_produced(&bytes).unwrap();
    let appended = log.append(&bytes, &header, Some(777), &KEEP_ALL, 777).unwrap();
    assert_eq!(appended.append_time_ms, 777);
    drop(log);
    let log = open(dir.path());
    assert_eq!(log.end_offset(), 2, "the checksum was verified when opening");
    assert_eq!(log.offset_for_time(6).unwrap(), Some((777, 0)));
}

proptest! {
    /// Random bytes and damaged batches are refused, never a panic.
    #[test]
    fn damaged_batches_are_refused(at in 0_usize..200, bit in 0_u8..8, cut in 0_usize..200, noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let good = batch_of(&[vec![3; 60], vec![4; 40]], 1, None);
        let _ = batch::validate_produced(&noise);
        if cut < good.len() {
            prop_assert!(batch::validate_produced(&good[..cut]).is_err());
        }
        let mut bad = good.clone();
        let at = at % bad.len();
        bad[at] ^= 1 << bit;
        // Base offset and leader epoch are the broker's to set; everything else is checked.
        let ours = (0..8).contains(&at) || (12..16).contains(&at);
        prop_assert_eq!(batch::validate_produced(&bad).is_ok(), ours);
        let header = batch::header_of(&good).unwrap();
        let _ = batch::first_record_since(&bad, &header, i64::MAX);
    }
}
