//! Which frames of a camera have been seen, so that a second delivery is told from a first.

use serde::{Deserialize, Serialize};

/// How far behind the newest sequence number a first delivery may come. A camera has at most a few dozen
/// frames on the way, so anything older is a second delivery.
const WINDOW: u64 = 4096;
const WORDS: usize = (WINDOW / 64) as usize;

/// The sequence numbers of one camera that have been seen: a sliding bit map of fixed size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Gaps", try_from = "Gaps")]
pub(crate) struct Seen {
    highest: Option<u64>,
    bits: Box<[u64; WORDS]>,
}

impl Seen {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self { highest: None, bits: Box::new([0; WORDS]) }
    }

    /// Notes `sequence`; false when it has been seen before, or is so old that it must have been.
    pub(crate) fn insert(&mut self, sequence: u64) -> bool {
        match self.highest {
            None => self.highest = Some(sequence),
            Some(highest) if sequence > highest => self.slide(highest, sequence),
            Some(highest) if highest - sequence >= WINDOW => return false,
            Some(_) => {}
        }
        let (word, mask) = Self::place(sequence);
        let new = self.bits[word] & mask == 0;
        self.bits[word] |= mask;
        new
    }

    /// Forgets what falls out of the window when `sequence` becomes the highest.
    fn slide(&mut self, highest: u64, sequence: u64) {
        if sequence - highest >= WINDOW {
            self.bits.fill(0);
        } else {
            for fresh in highest + 1..=sequence {
                let (word, mask) = Self::place(fresh);
                self.bits[word] &= !mask;
            }
        }
        self.highest = Some(sequence);
    }

    fn mark(&mut self, sequence: u64) {
        let (word, mask) = Self::place(sequence);
        self.bits[word] |= mask;
    }

    fn place(sequence: u64) -> (usize, u64) {
        let slot = sequence % WINDOW;
        ((slot / 64) as usize, 1 << (slot % 64))
    }
}

/// How [`Seen`] is written down: short, since almost every frame has been seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gaps {
    /// The highest sequence number seen.
    highest: Option<u64>,
    /// First and last of each run of numbers that have not been seen, within the window below `highest`, upwards.
    missing: Vec<(u64, u64)>,
}

impl From<Seen> for Gaps {
    fn from(seen: Seen) -> Self {
        let mut missing: Vec<(u64, u64)> = Vec::new();
        let Some(highest) = seen.highest else { return Self { highest: None, missing } };
        for sequence in highest.saturating_sub(WINDOW - 1)..=highest {
            let (word, mask) = Seen::place(sequence);
            if seen.bits[word] & mask != 0 {
                continue;
            }
            match missing.last_mut() {
                Some((_, last)) if *last + 1 == sequence => *last = sequence,
                _ => missing.push((sequence, sequence)),
            }
        }
        Self { highest: Some(highest), missing }
    }
}

impl TryFrom<Gaps> for Seen {
    type Error = String;

    fn try_from(gaps: Gaps) -> Result<Self, String> {
        let mut seen = Self::new();
        let Some(highest) = gaps.highest else { return Ok(seen) };
        seen.highest = Some(highest);
        let mut next = highest.saturating_sub(WINDOW - 1);
        for (first, last) in gaps.missing {
            if first < next || last < first || last >= highest {
                return Err(format!("{first} to {last} is no run of missing frames below {highest}"));
            }
            (next..first).for_each(|sequence| seen.mark(sequence));
            next = last + 1;
        }
        (next..=highest).for_each(|sequence| seen.mark(sequence));
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn agrees_with_a_set_while_deliveries_stay_within_the_window(
            steps in prop::collection::vec((0u64..200, 0u64..4000), 1..400),
        ) {
            let (mut seen, mut set, mut newest) = (Seen::new(), HashSet::new(), 5000u64);
            for (ahead, behind) in steps {
                newest += ahead;
                let sequence = newest.saturating_sub(behind);
                prop_assert_eq!(seen.insert(sequence), set.insert(sequence));
                newest = newest.max(sequence);
            }
            let written = serde_json::to_string(&seen).unwrap();
            prop_assert_eq!(serde_json::from_str::<Seen>(&written).unwrap(), seen, "{}", written);
        }
    }

    #[test]
    fn what_no_writer_writes_is_refused() {
        for bad in ["[[5,4]]", "[[8,10]]", "[[1,2],[2,3]]", "[[12,12]]"] {
            let text = format!(r#"{{"highest":10,"missing":{bad}}}"#);
            assert!(serde_json::from_str::<Seen>(&text).is_err(), "{text}");
        }
        assert_eq!(serde_json::from_str::<Seen>(r#"{"highest":null,"missing":[]}"#).unwrap(), Seen::new());
    }

    #[test]
    fn what_is_older_than_the_window_counts_as_seen() {
        let mut seen = Seen::new();
        assert!(seen.insert(10_000));
        assert!(!seen.insert(10_000 - WINDOW));
        assert!(seen.insert(10_001 - WINDOW));
        assert!(seen.insert(u64::MAX));
        assert!(!seen.insert(u64::MAX));
    }
}
