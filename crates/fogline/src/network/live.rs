//! The network of a running experiment: its scheduled changes, and what is asked of it by hand.

use super::protocol::{Ask, Changed, Place};
use super::shown::shown;
use crate::control::Answer;
use crate::timeline::{Moment, Timeline};
use fogline_journal::{ChangedBy, Event, Journal, JournalError, NetworkChanged, Turn};
use fogline_plan::{HostId, Plan};
use fogline_testbed::{LocalTestbed, TestbedError};
use link::{Bounds, Change, Patch};
use netem::Snapshot;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Scheduled changes of which the journal tells; a schedule may have many thousands of them.
const TOLD_MAX: usize = 10_000;

/// The network of a running experiment.
pub(crate) struct Live<'a> {
    pub(super) plan: &'a Plan,
    pub(super) testbed: &'a LocalTestbed,
    pub(super) bounds: Bounds,
    /// The network's account when it had been measured: the probes are no packets of the run.
    pub(super) probed: Snapshot,
    /// The run folder's name.
    pub(super) run: String,
    journal: Journal,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Links that were changed by hand and not healed.
    pub(super) by_hand: BTreeSet<usize>,
    /// When the launch was done.
    pub(super) launched: Option<Instant>,
    /// Whether the time of changes is over.
    over: bool,
    timeline: Timeline,
    told: usize,
}

impl State {
    /// Seconds since the launch was done.
    pub(super) fn at_s(&self) -> Option<f64> {
        self.launched.map(|launched| (launched.elapsed().as_secs_f64() * 1e3).round() / 1e3)
    }
}

impl<'a> Live<'a> {
    /// The network of `testbed`, which was deployed from `plan`; `probed` is its account after it was measured.
    pub(crate) fn new(
        plan: &'a Plan,
        testbed: &'a LocalTestbed,
        bounds: Bounds,
        probed: Snapshot,
        run: &str,
        journal: &Journal,
    ) -> Self {
        let (run, journal) = (run.to_owned(), journal.clone());
        Self { plan, testbed, bounds, probed, run, journal, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The launch is done: begins the scheduled changes.
    ///
    /// # Errors
    /// When the network does not take them.
    pub(crate) fn launched(&self) -> Result<(), TestbedError> {
        let mut state = self.state();
        if !self.plan.changes.is_empty() {
            let changes: Vec<Change> =
                self.plan.changes.iter().map(|planned| planned.change.clone()).collect();
            self.testbed.play(&changes)?;
        }
        state.launched = Some(Instant::now());
        state.timeline = Timeline::new(&self.plan.changes);
        Ok(())
    }

    /// Writes down what the schedule has changed by now, and says how long nothing more will.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub(crate) fn tell(&self) -> Result<Option<Duration>, JournalError> {
        let mut state = self.state();
        let Some(launched) = state.launched else { return Ok(None) };
        let elapsed = launched.elapsed();
        while let Some(moment) = state.timeline.due(elapsed) {
            state.told += 1;
            match state.told {
                ..=TOLD_MAX => self.journal.emit(self.scheduled(moment))?,
                told if told == TOLD_MAX + 1 => {
                    let message = format!(
                        "more than {TOLD_MAX} scheduled changes: further ones are made, but not told"
                    );
                    self.journal.emit(Event::Note { message })?;
                }
                _ => {}
            }
        }
        Ok(state.timeline.next().map(|at| at.saturating_sub(launched.elapsed())))
    }

    fn scheduled(&self, moment: Moment) -> Event {
        let planned = &self.plan.changes[moment.change];
        Event::NetworkChanged(NetworkChanged {
            by: ChangedBy::Timeline,
            at_s: Some(moment.at_ns as f64 / 1e9),
            turn: moment.turn,
            what: planned.label.clone(),
            links: planned.change.links.len(),
        })
    }

    /// The time of changes is over: every link is as planned again, and nothing more is changed.
    ///
    /// # Errors
    /// When the network or the journal does not take it.
    pub(crate) fn rest(&self) -> Result<(), crate::run::Stop> {
        let mut state = self.state();
        state.over = true;
        let by_hand: Vec<usize> = std::mem::take(&mut state.by_hand).into_iter().collect();
        if !by_hand.is_empty() {
            self.testbed.heal(&by_hand)?;
        }
        let scheduled = self.plan.changes.iter().flat_map(|planned| planned.change.links.iter().copied());
        let links: BTreeSet<usize> = scheduled.chain(by_hand).collect();
        if links.is_empty() {
            return Ok(());
        }
        if !self.plan.changes.is_empty() {
            self.testbed.rest()?;
        }
        self.journal.emit(Event::NetworkChanged(NetworkChanged {
            by: ChangedBy::Runner,
            at_s: state.at_s(),
            turn: Turn::Ends,
            what: "everything".to_owned(),
            links: links.len(),
        }))?;
        Ok(())
    }

    /// The answer to what is asked.
    pub(crate) fn answer(&self, ask: Ask) -> Answer {
        match ask {
            Ask::Show { links } => shown(self, links),
            Ask::Set { place, patch } => self.set(&place, &patch),
            Ask::Heal { place } => self.heal(&place),
        }
    }

    fn set(&self, place: &Place, patch: &Patch) -> Answer {
        if patch.is_empty() {
            return Answer::Refused(
                "nothing is to be different: give a delay, a rate, a loss, ...".to_owned(),
            );
        }
        let chosen = match self.choose(place) {
            Ok(chosen) => chosen,
            Err(refused) => return Answer::Refused(refused),
        };
        let mut state = self.state();
        if state.over {
            return over();
        }
        if let Err(error) = self.testbed.alter(&chosen.links, patch) {
            return Answer::Failed(error.to_string());
        }
        state.by_hand.extend(&chosen.links);
        self.changed(&state, Turn::Begins, place, &patch.to_string(), &chosen)
    }

    fn heal(&self, place: &Place) -> Answer {
        let mut state = self.state();
        if state.over {
            return over();
        }
        let chosen = match place {
            Place::Everywhere => Ok(Chosen { links: state.by_hand.iter().copied().collect(), unshaped: 0 }),
            place => self.choose(place),
        };
        let mut chosen = match chosen {
            Ok(chosen) => chosen,
            Err(refused) => return Answer::Refused(refused),
        };
        chosen.links.retain(|link| state.by_hand.contains(link));
        if chosen.links.is_empty() {
            return Answer::Refused(format!("nothing was changed by hand: {}", place.words()));
        }
        if let Err(error) = self.testbed.heal(&chosen.links) {
            return Answer::Failed(error.to_string());
        }
        for link in &chosen.links {
            state.by_hand.remove(link);
        }
        self.changed(&state, Turn::Ends, place, "healed", &chosen)
    }

    /// Writes a change down and answers.
    fn changed(&self, state: &State, turn: Turn, place: &Place, what: &str, chosen: &Chosen) -> Answer {
        let place = place.words();
        let told = if turn == Turn::Ends { "what was set by hand" } else { what };
        let told = self.journal.emit(Event::NetworkChanged(NetworkChanged {
            by: ChangedBy::Hand,
            at_s: state.at_s(),
            turn,
            what: format!("{place}: {told}"),
            links: chosen.links.len(),
        }));
        match told {
            Ok(()) => Answer::Changed(Changed {
                what: what.to_owned(),
                place,
                links: chosen.links.len(),
                unshaped: chosen.unshaped,
            }),
            Err(error) => Answer::Failed(format!("changed, but not written down: {error}")),
        }
    }

    /// The links at `place`; there is at least one.
    fn choose(&self, place: &Place) -> Result<Chosen, String> {
        let all: Vec<HostId> = (0..self.plan.hosts.len()).map(HostId).collect();
        let (links, pairs) = match place {
            Place::Everywhere => return Err("select links by --src and --dst".to_owned()),
            Place::Host(selector) => {
                let hosts = self.plan.select(selector)?;
                let mut links: BTreeSet<usize> = self.plan.links_between(&hosts, &all).into_iter().collect();
                links.extend(self.plan.links_between(&all, &hosts));
                let (inside, outside) = (hosts.len(), all.len() - hosts.len());
                (links, inside * (inside.saturating_sub(1) + 2 * outside))
            }
            Place::Pairs { src, dst, symmetric } => {
                let (from, to) = (self.plan.select(src)?, self.plan.select(dst)?);
                let mut links: BTreeSet<usize> = self.plan.links_between(&from, &to).into_iter().collect();
                let mut pairs = pairs(&from, &to);
                if *symmetric {
                    links.extend(self.plan.links_between(&to, &from));
                    let back: BTreeSet<_> = pairs.iter().map(|(source, to)| (*to, *source)).collect();
                    pairs.extend(back);
                }
                (links, pairs.len())
            }
        };
        if links.is_empty() {
            return Err(format!(
                "no rule shapes {}, and only what a rule shapes can be changed: `fogline network show` lists the rules",
                place.words()
            ));
        }
        Ok(Chosen { unshaped: pairs.saturating_sub(links.len()), links: links.into_iter().collect() })
    }
}

/// Links that somebody selected.
struct Chosen {
    links: Vec<usize>,
    /// Selected pairs that have no link.
    unshaped: usize,
}

fn over() -> Answer {
    Answer::Refused("the run phase is over: its network changes no more".to_owned())
}

fn pairs(from: &[HostId], to: &[HostId]) -> BTreeSet<(HostId, HostId)> {
    let all = from.iter().flat_map(|source| to.iter().map(move |destination| (*source, *destination)));
    all.filter(|(source, destination)| source != destination).collect()
}
