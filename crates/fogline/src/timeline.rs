//! When scheduled changes of the network begin and end.

use fogline_journal::Turn;
use fogline_plan::PlannedChange;
use link::Schedule;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// The beginnings and ends of all changes, in the order of time, ends before beginnings.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    schedules: Vec<Schedule>,
    coming: BinaryHeap<Reverse<Moment>>,
}

/// A change begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    /// Since the launch was done, nanoseconds.
    pub(crate) at_ns: u64,
    /// Which of the two.
    pub(crate) turn: Turn,
    /// Which change, by its position in the plan.
    pub(crate) change: usize,
}

impl Timeline {
    /// That of a plan's changes.
    pub(crate) fn new(changes: &[PlannedChange]) -> Self {
        let schedules: Vec<Schedule> = changes.iter().map(|planned| planned.change.schedule).collect();
        let first = |(change, schedule): (usize, &Schedule)| {
            Reverse(Moment { at_ns: schedule.at.nanos(), turn: Turn::Begins, change })
        };
        let coming = schedules.iter().enumerate().map(first).collect();
        Self { schedules, coming }
    }

    /// When the next moment is, since the launch was done.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.coming.peek().map(|Reverse(moment)| Duration::from_nanos(moment.at_ns))
    }

    /// Takes the next moment if it is not after `elapsed`.
    pub(crate) fn due(&mut self, elapsed: Duration) -> Option<Moment> {
        self.next().filter(|at| *at <= elapsed)?;
        let Reverse(moment) = self.coming.pop()?;
        if moment.turn == Turn::Begins {
            self.follow(moment);
        }
        Some(moment)
    }

    /// Puts in what a beginning entails: its end, and the next beginning.
    fn follow(&mut self, moment: Moment) {
        let Schedule { lasts, every, .. } = self.schedules[moment.change];
        for (after, turn) in [(lasts, Turn::Ends), (every, Turn::Begins)] {
            // A period of nothing would never come to an end.
            let after = after.filter(|after| after.nanos() > 0 || turn == Turn::Ends);
            if let Some(at_ns) = after.and_then(|after| moment.at_ns.checked_add(after.nanos())) {
                self.coming.push(Reverse(Moment { at_ns, turn, ..moment }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fogline_scenario::Place;
    use link::{Action, Change, Patch};
    use units::Delay;

    fn change(at: u64, lasts: Option<u64>, every: Option<u64>) -> PlannedChange {
        let seconds = |seconds: u64| Delay::from_millis(seconds * 1000);
        let schedule = Schedule { at: seconds(at), lasts: lasts.map(seconds), every: every.map(seconds) };
        let change = Change { schedule, links: vec![0], action: Action::Alter(Patch::default()) };
        PlannedChange {
            label: String::new(),
            place: Place { file: "network.yaml".into(), line: 1, column: 1 },
            change,
        }
    }

    fn all(changes: &[PlannedChange], until_s: u64) -> Vec<(u64, Turn, usize)> {
        let mut timeline = Timeline::new(changes);
        let moments = std::iter::from_fn(|| timeline.due(Duration::from_secs(until_s)));
        moments.map(|moment| (moment.at_ns / 1_000_000_000, moment.turn, moment.change)).collect()
    }

    #[test]
    fn changes_come_and_go_in_the_order_of_time() {
        let changes = [change(5, Some(5), Some(10)), change(0, None, None), change(10, Some(1), None)];
        assert_eq!(
            all(&changes, 16),
            [
                (0, Turn::Begins, 1),
                (5, Turn::Begins, 0),
                (10, Turn::Ends, 0),
                (10, Turn::Begins, 2),
                (11, Turn::Ends, 2),
                (15, Turn::Begins, 0),
            ]
        );
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut timeline = Timeline::new(&[change(5, None, None)]);
        assert_eq!(timeline.next(), Some(Duration::from_secs(5)));
        assert_eq!(timeline.due(Duration::from_millis(4999)), None);
        assert!(timeline.due(Duration::from_secs(5)).is_some());
        assert_eq!(timeline.next(), None);
    }
}
