//! What a partition remembers of its idempotent producers, and the rules for their sequence numbers.
//!
//! The rules are those of Kafka's `ProducerStateManager`: the last five batches are remembered, a repeated
//! one is answered with its old offset, a gap is refused, an older epoch is fenced, and a producer that is
//! not known may begin anywhere. Transactions will add the open transaction to [`Producer`].

use std::collections::{HashMap, VecDeque};

use crate::batch::BatchHeader;

/// Batches remembered per producer; clients keep at most this many in flight.
const BATCHES_REMEMBERED: usize = 5;

/// A batch of a producer that lies in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    first_sequence: i32,
    last_sequence: i32,
    base_offset: i64,
    append_time_ms: i64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Stored>,
    /// The log's end after the last batch; the producer with the smallest one was idle for longest.
    last_offset: i64,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new and next in sequence.
    Append,
    /// It lies in the log already.
    Duplicate { base_offset: i64, append_time_ms: i64 },
}

/// Why a batch is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SequenceFault {
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    OutOfOrder { expected: i32, got: i32 },
    /// `INVALID_PRODUCER_EPOCH`: a newer incarnation of the producer has written.
    Fenced { current: i16, got: i16 },
    /// `INVALID_RECORD`: an idempotent batch without a sequence.
    NoSequence,
}

/// The producers of one partition.
#[derive(Debug)]
pub(crate) struct Producers {
    known: HashMap<i64, Producer>,
    limit: usize,
}

/// `sequence` moved on by `by`; after the largest number comes zero.
fn advance(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0)
}

impl Producers {
    pub(crate) fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), limit: limit.max(1) }
    }

    /// Judges a batch; changes nothing.
    pub(crate) fn judge(&self, header: &BatchHeader) -> Result<Verdict, SequenceFault> {
        if !header.is_idempotent() {
            return Ok(Verdict::Append);
        }
        let (first, epoch) = (header.base_sequence, header.producer_epoch);
        if first < 0 || epoch < 0 {
            return Err(SequenceFault::NoSequence);
        }
        let Some(producer) = self.known.get(&header.producer_id) else {
            return Ok(Verdict::Append);
        };
        if epoch < producer.epoch {
            return Err(SequenceFault::Fenced { current: producer.epoch, got: epoch });
        }
        if epoch > producer.epoch {
            let fresh = first == 0;
            return if fresh {
                Ok(Verdict::Append)
            } else {
                Err(SequenceFault::OutOfOrder { expected: 0, got: first })
            };
        }
        let last = advance(first, header.last_offset_delta);
        let same = |stored: &&Stored| stored.first_sequence == first && stored.last_sequence == last;
        if let Some(stored) = producer.batches.iter().find(same) {
            let Stored { base_offset, append_time_ms, .. } = *stored;
            return Ok(Verdict::Duplicate { base_offset, append_time_ms });
        }
        match producer.batches.back().map(|newest| advance(newest.last_sequence, 1)) {
            Some(expected) if expected != first => Err(SequenceFault::OutOfOrder { expected, got: first }),
            _ => Ok(Verdict::Append),
        }
    }

    /// Remembers a batch that was stored. `header.base_offset` is its offset in the log.
    pub(crate) fn remember(&mut self, header: &BatchHeader) {
        if !header.is_idempotent() {
            return;
        }
        if !self.known.contains_key(&header.producer_id) && self.known.len() >= self.limit {
            self.forget_idlest();
        }
        let producer = self.known.entry(header.producer_id).or_insert_with(|| Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::with_capacity(BATCHES_REMEMBERED),
            last_offset: 0,
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == BATCHES_REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Stored {
            first_sequence: header.base_sequence,
            last_sequence: advance(header.base_sequence, header.last_offset_delta),
            base_offset: header.base_offset,
            append_time_ms: if header.has_append_time() { header.max_timestamp } else { -1 },
        });
        producer.last_offset = header.next_offset();
    }

    fn forget_idlest(&mut self) {
        let idlest = self.known.iter().min_by_key(|(_, producer)| producer.last_offset).map(|(id, _)| *id);
        if let Some(id) = idlest {
            self.known.remove(&id);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}
