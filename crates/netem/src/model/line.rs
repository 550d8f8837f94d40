//! The delay line of a link.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// A piece in the delay line.
#[derive(Debug)]
pub struct Held {
    /// When it reaches the destination.
    pub due: u64,
    /// How long its frame may have waited before it was read, nanoseconds.
    pub waited_ns: u64,
    /// Wire packets in it.
    pub packets: u32,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// The frame.
    pub frame: Vec<u8>,
}

/// A piece with its place in the order of arrival.
#[derive(Debug)]
struct Placed {
    place: u64,
    held: Held,
}

impl Placed {
    const fn key(&self) -> (u64, u64) {
        (self.held.due, self.place)
    }
}

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Placed {}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Placed {
    /// What is due first is greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Pieces on their way, those that are due at the same moment in the order in which they came.
#[derive(Debug, Default)]
pub struct Line {
    /// Those that overtook nothing, in their order.
    regular: VecDeque<Placed>,
    /// The others.
    overtakers: BinaryHeap<Placed>,
    places: u64,
    last_due: u64,
}

impl Line {
    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.regular.is_empty() && self.overtakers.is_empty()
    }

    /// Takes a piece. One that may not overtake comes no earlier than all before it, whatever its deadline says.
    /// Whether it overtakes others.
    pub fn push(&mut self, mut held: Held, may_overtake: bool) -> bool {
        if !may_overtake {
            held.due = held.due.max(self.last_due);
        }
        let overtakes = held.due < self.last_due;
        self.last_due = held.due.max(self.last_due);
        let placed = Placed { place: self.places, held };
        self.places += 1;
        if overtakes {
            self.overtakers.push(placed);
        } else {
            self.regular.push_back(placed);
        }
        overtakes
    }

    /// When the next piece is due.
    pub fn next_due(&self) -> Option<u64> {
        let regular = self.regular.front().map(|placed| placed.held.due);
        let overtaker = self.overtakers.peek().map(|placed| placed.held.due);
        regular.into_iter().chain(overtaker).min()
    }

    /// The next piece, if it is due at `now`.
    pub fn pop(&mut self, now: u64) -> Option<Held> {
        // The greater is the earlier; none is least.
        let placed = if self.overtakers.peek() > self.regular.front() {
            self.overtakers.peek().filter(|placed| placed.held.due <= now)?;
            self.overtakers.pop()
        } else {
            self.regular.pop_front_if(|placed| placed.held.due <= now)
        };
        placed.map(|placed| placed.held)
    }
}
