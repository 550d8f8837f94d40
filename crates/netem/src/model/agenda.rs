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
            if self.heap.len() > 2 * self.deadlines.len() {
                self.clear_out();
            }
            self.heap.push(Reverse((deadline, slot)));
        }
        while let Some(Reverse((deadline, slot))) = self.heap.peek()
            && self.deadlines[*slot] != Some(*deadline)
        {
            self.heap.pop();
        }
    }

    /// Forgets what holds no more: a far deadline that gives way to a near one, again and again, would else leave an entry
    /// behind each time.
    fn clear_out(&mut self) {
        let deadlines = self.deadlines.iter().enumerate();
        self.heap = deadlines.filter_map(|(slot, deadline)| Some(Reverse(((*deadline)?, slot)))).collect();
    }

    /// The earliest deadline and its slot, the lowest of several.
    pub fn next(&self) -> Option<(u64, usize)> {
        self.heap.peek().map(|Reverse(next)| *next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::random::Random;

    #[test]
    fn the_earliest_is_next_whatever_changes() {
        let (mut agenda, mut random) = (Agenda::new(7), Random::new(1));
        let mut plain = [None; 7];
        for _ in 0..20_000 {
            let (slot, deadline) = ((random.bits() % 7) as usize, random.bits() % 50);
            plain[slot] = Some(deadline).filter(|deadline| *deadline > 10);
            agenda.set(slot, plain[slot]);
            let earliest =
                plain.iter().enumerate().filter_map(|(slot, deadline)| Some(((*deadline)?, slot))).min();
            assert_eq!(agenda.next(), earliest);
            assert!(agenda.heap.len() <= 2 * 7 + 1);
        }
    }
}
