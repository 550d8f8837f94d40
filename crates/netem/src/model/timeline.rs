//! Changes of links over time: what is in force at a moment, and when that changes next.

use super::fabric::FabricError;
use super::transmitter::Grant;
use ::link::{Action, Change, LossModel, Patch, Schedule, Step, Trace};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use units::Delay;

/// The shortest repetition, nanoseconds: more often means nothing to packets and much to the processor.
const EVERY_MIN_NS: u64 = 1_000_000;
/// The longest recording of deliveries, milliseconds: 30 years.
const TRACE_MS_MAX: u64 = 1_000_000_000_000;

#[derive(Debug)]
enum Course {
    Alter(Patch),
    Deliveries(Arc<[u64]>),
    Steps(Vec<Step>),
}

#[derive(Debug)]
struct Episode {
    schedule: Schedule,
    links: Vec<usize>,
    course: Course,
}

/// A timeline that plays.
#[derive(Debug)]
pub struct Timeline {
    begin: u64,
    episodes: Vec<Episode>,
    by_link: HashMap<usize, Vec<usize>>,
    /// When something changes next, with the index of the episode.
    turns: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Timeline {
    /// The timeline of `changes` that begins at `now`, for a network of `links` links.
    ///
    /// # Errors
    /// When a change names a link that is not there, repeats itself more than once a millisecond, or follows a
    /// recording that is empty or not in order.
    pub fn new(now: u64, changes: &[Change], links: usize) -> Result<Self, FabricError> {
        let mut episodes = Vec::with_capacity(changes.len());
        let mut by_link = HashMap::new();
        for (index, change) in changes.iter().enumerate() {
            if let Some(&link) = change.links.iter().find(|link| **link >= links) {
                return Err(FabricError::NoSuchLink { link, links });
            }
            check(change).map_err(|reason| FabricError::BadChange { change: index, reason })?;
            for &link in &change.links {
                by_link.entry(link).or_insert_with(Vec::new).push(index);
            }
            let course = match &change.action {
                Action::Alter(patch) => Course::Alter(*patch),
                Action::Follow(Trace::Deliveries(moments)) => Course::Deliveries(moments.as_slice().into()),
                Action::Follow(Trace::Steps(steps)) => Course::Steps(steps.clone()),
            };
            episodes.push(Episode { schedule: change.schedule, links: change.links.clone(), course });
        }
        let mut timeline = Self { begin: now, episodes, by_link, turns: BinaryHeap::new() };
        for index in 0..timeline.episodes.len() {
            timeline.plan(index, 0);
        }
        Ok(timeline)
    }

    /// The links that it changes at some time.
    pub fn links(&self) -> impl Iterator<Item = usize> {
        self.by_link.keys().copied()
    }

    /// When something changes next.
    pub fn next(&self) -> Option<u64> {
        self.turns.peek().map(|Reverse((moment, _))| *moment)
    }

    /// The next moment up to `now` at which something changes, and the links for which it does, some more than once.
    pub fn turn(&mut self, now: u64) -> Option<(u64, Vec<usize>)> {
        let moment = self.next().filter(|moment| *moment <= now)?;
        let mut links = Vec::new();
        while self.next() == Some(moment)
            && let Some(Reverse((_, index))) = self.turns.pop()
        {
            self.plan(index, moment - self.begin);
            links.extend(&self.episodes[index].links);
        }
        Some((moment, links))
    }

    /// What a link is to do differently at `now`, and the deliveries that take the place of its rate.
    pub fn in_force(&self, link: usize, now: u64) -> (Patch, Option<Grant>) {
        let (mut patch, mut grant) = (Patch::default(), None);
        for &index in self.by_link.get(&link).into_iter().flatten() {
            let Episode { schedule, course, .. } = &self.episodes[index];
            let Some(begin) = begin_of(schedule, now - self.begin) else { continue };
            let other = match course {
                Course::Alter(patch) => *patch,
                Course::Steps(steps) => step_at(steps, now - self.begin - begin),
                Course::Deliveries(moments) => {
                    grant = Some(Grant { begin: self.begin + begin, moments: Arc::clone(moments) });
                    continue;
                }
            };
            if other.rate.is_some() {
                grant = None;
            }
            patch = patch.and_then(&other);
        }
        (patch, grant)
    }

    fn plan(&mut self, index: usize, since: u64) {
        let moment = self.episodes[index].turn_after(since).and_then(|turn| self.begin.checked_add(turn));
        self.turns.extend(moment.map(|moment| Reverse((moment, index))));
    }
}

impl Episode {
    /// When it begins, ends or takes a step next, after `since` the beginning of the timeline.
    fn turn_after(&self, since: u64) -> Option<u64> {
        let Schedule { at, lasts, every } = self.schedule;
        let Some(into) = since.checked_sub(at.nanos()) else { return Some(at.nanos()) };
        let into = every.map_or(into, |every| into % every.nanos());
        let begin = since - into;
        let lasts = lasts.map_or(u64::MAX, Delay::nanos);
        let steps = match &self.course {
            Course::Steps(steps) => steps.as_slice(),
            Course::Alter(_) | Course::Deliveries(_) => &[],
        };
        let step = steps[steps.partition_point(|step| step.at.nanos() <= into)..].first();
        let step = step.map(|step| step.at.nanos()).filter(|at| *at < lasts);
        let end = Some(lasts).filter(|lasts| *lasts > into);
        let turns = step.into_iter().chain(end).chain(every.map(Delay::nanos));
        turns.min().and_then(|turn| begin.checked_add(turn))
    }
}

/// Since when a change is in force, if it is at `since` the beginning of the timeline.
fn begin_of(schedule: &Schedule, since: u64) -> Option<u64> {
    let into = since.checked_sub(schedule.at.nanos())?;
    let into = schedule.every.map_or(into, |every| into % every.nanos());
    schedule.lasts.is_none_or(|lasts| into < lasts.nanos()).then_some(since - into)
}

fn step_at(steps: &[Step], into: u64) -> Patch {
    let after = steps.partition_point(|step| step.at.nanos() <= into);
    let Some(step) = after.checked_sub(1).map(|index| &steps[index]) else { return Patch::default() };
    Patch {
        rate: step.rate,
        delay: step.delay,
        loss: step.loss.map(LossModel::Independent),
        ..Patch::default()
    }
}

fn check(change: &Change) -> Result<(), String> {
    if let Some(every) = change.schedule.every.filter(|every| every.nanos() < EVERY_MIN_NS) {
        return Err(format!("it repeats itself every {every}: 1ms or more expected"));
    }
    match &change.action {
        Action::Alter(_) => Ok(()),
        Action::Follow(Trace::Deliveries(moments)) => {
            let last = moments.last().copied().unwrap_or(0);
            if last == 0 || last > TRACE_MS_MAX || !moments.is_sorted() {
                return Err("its trace: ascending milliseconds expected, the last above zero".to_owned());
            }
            Ok(())
        }
        Action::Follow(Trace::Steps(steps)) => {
            if steps.is_empty() || !steps.is_sorted_by(|step, next| step.at < next.at) {
                return Err("its trace: one or more steps expected, each later than the last".to_owned());
            }
            Ok(())
        }
    }
}
