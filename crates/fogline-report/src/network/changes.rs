//! The changes of the network, as stretches of the run's time.

use fogline_journal::{ChangedBy, Event, NetworkChanged, Record, RunPhase, Turn};

/// A change from when it came into force until it was over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch {
    /// Seconds since the launch was done; negative before.
    pub(crate) from_s: f64,
    /// The same of its end; absent while it is in force.
    pub(crate) to_s: Option<f64>,
    /// Who did it.
    pub(crate) by: ChangedBy,
    /// What changed where.
    pub(crate) what: String,
    /// How many links.
    pub(crate) links: usize,
}

/// All changes of a run, and how long its run phase lasted in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// In the order in which they began.
    pub(crate) stretches: Vec<Stretch>,
    /// The length of the run phase, or until the last event when it did not end.
    pub(crate) run_s: f64,
}

impl Changes {
    /// Reads them from the journal.
    pub(crate) fn read(records: &[Record]) -> Self {
        let of_run = |record: &&Record, started: bool| match record.event {
            Event::PhaseStarted { phase } => started && phase == RunPhase::Run,
            Event::PhaseEnded { phase, .. } => !started && phase == RunPhase::Run,
            _ => false,
        };
        let begin = records.iter().find(|record| of_run(record, true)).map(|record| record.elapsed_s);
        let end = records.iter().find(|record| of_run(record, false)).or(records.last());
        let end = end.map_or(0.0, |record| record.elapsed_s);
        // Without a run phase there is no launch to count from; then the run's begin has to do.
        let zero = begin.unwrap_or(0.0);
        let mut changes = Self { stretches: Vec::new(), run_s: (end - zero).max(0.0) };
        for record in records {
            if let Event::NetworkChanged(change) = &record.event {
                changes.take(change, change.at_s.unwrap_or(record.elapsed_s - zero));
            }
        }
        changes
    }

    fn take(&mut self, change: &NetworkChanged, at_s: f64) {
        match change.turn {
            Turn::Begins => self.stretches.push(Stretch {
                from_s: at_s,
                to_s: None,
                by: change.by,
                what: change.what.clone(),
                links: change.links,
            }),
            Turn::Ends => {
                let open = self.stretches.iter_mut().filter(|stretch| stretch.to_s.is_none());
                let mut over: Vec<&mut Stretch> = open.filter(|stretch| ends(change, stretch)).collect();
                if change.by == ChangedBy::Timeline {
                    over.drain(..over.len().saturating_sub(1));
                }
                over.into_iter().for_each(|stretch| stretch.to_s = Some(at_s));
            }
        }
    }
}

/// Whether `change`, an end, is that of `stretch`.
fn ends(change: &NetworkChanged, stretch: &Stretch) -> bool {
    let place = |what: &str| what.rsplit_once(": ").map(|(place, _)| place.to_owned());
    match change.by {
        ChangedBy::Runner => true,
        ChangedBy::Timeline => stretch.by == change.by && stretch.what == change.what,
        ChangedBy::Hand => {
            let healed = place(&change.what);
            let everywhere = healed.as_deref() == Some("everywhere");
            stretch.by == change.by && (everywhere || place(&stretch.what) == healed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(events: Vec<(f64, Event)>) -> Changes {
        let record = |(elapsed_s, event)| Record { unix_ns: 0, elapsed_s, event };
        Changes::read(&events.into_iter().map(record).collect::<Vec<_>>())
    }

    fn change(by: ChangedBy, at_s: f64, turn: Turn, what: &str) -> (f64, Event) {
        let what = what.to_owned();
        (at_s + 10.0, Event::NetworkChanged(NetworkChanged { by, at_s: Some(at_s), turn, what, links: 2 }))
    }

    #[test]
    fn beginnings_find_their_ends() {
        let (timeline, hand) = (ChangedBy::Timeline, ChangedBy::Hand);
        let changes = journal(vec![
            (10.0, Event::PhaseStarted { phase: RunPhase::Run }),
            change(timeline, 1.0, Turn::Begins, "a: cut"),
            change(hand, 2.0, Turn::Begins, "x to y: loss 5%"),
            change(timeline, 3.0, Turn::Ends, "a: cut"),
            change(hand, 4.0, Turn::Begins, "x to z: cut"),
            change(hand, 5.0, Turn::Ends, "x to y: what was set by hand"),
            change(timeline, 6.0, Turn::Begins, "a: cut"),
            change(ChangedBy::Runner, 9.0, Turn::Ends, "all changes"),
            (20.0, Event::PhaseEnded { phase: RunPhase::Run, ok: true, elapsed_ms: 10_000.0 }),
        ]);
        let times: Vec<(f64, Option<f64>)> =
            changes.stretches.iter().map(|stretch| (stretch.from_s, stretch.to_s)).collect();
        let expected = [(1.0, Some(3.0)), (2.0, Some(5.0)), (4.0, Some(9.0)), (6.0, Some(9.0))];
        assert_eq!(times, expected);
        assert!((changes.run_s - 10.0).abs() < 1e-9);
    }

    #[test]
    fn what_was_changed_before_the_launch_comes_before_zero() {
        let early = NetworkChanged {
            by: ChangedBy::Hand,
            at_s: None,
            turn: Turn::Begins,
            what: "x to y: cut".to_owned(),
            links: 1,
        };
        let changes = journal(vec![
            (4.0, Event::NetworkChanged(early)),
            (10.0, Event::PhaseStarted { phase: RunPhase::Run }),
        ]);
        assert!((changes.stretches[0].from_s + 6.0).abs() < 1e-9 && changes.stretches[0].to_s.is_none());
    }
}
