//! When something happens next, over many places at each of which one thing comes next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The next deadline of each of many slots.
#[derive(Debug)]
pub struct Agenda {
    /// What holds now.
    deadlines: Vec<Option<u64>>,
    /// What holds now and some that holds no more; what is on top holds.
    heap: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Agenda {
    /// No deadlines for `slots` slots.
    pub fn new(slots: usize) -> Self {
        Self { deadlines: vec![None; slots], heap: BinaryHeap::new() }
    }

    /// Gives a slot another deadline.
    pub fn set(&mut self, slot: usize, deadline: Option<u64>) {
        if self.deadlines[slot] == deadline {
            return;
        }
        self.deadlines[slot] = deadline;
        if let Some(deadline) = deadline {
            self.heap.push(Reverse((deadline, slot)));
        }
        while let Some(Reverse((deadline, slot))) = self.heap.peek()
            && self.deadlines[*slot] != Some(*deadline)
        {
            self.heap.pop();
        }
    }

    /// The earliest deadline and its slot, the lowest of several.
    pub fn next(&self) -> Option<(u64, usize)> {
        self.heap.peek().map(|Reverse(next)| *next)
    }
}
