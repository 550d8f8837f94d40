//! All links together: where frames go, in which order they come due, how much may wait, what changes over time.

use super::Profile;
use super::agenda::Agenda;
use super::bottleneck::{Bottleneck, Event, Terms};
use super::endpoint::{Endpoints, Receivers};
use super::fates::Fates;
use super::gso::Layout;
use super::intake::{Arrival, Intake, Memory};
use super::link::{Account, Link, Run};
use super::timeline::Timeline;
use super::wire::{Shape, VNET_LEN};
use crate::{LinkSpec, Tally};
use ::link::{Change, Patch};
use std::collections::{BTreeSet, HashMap};

pub use super::endpoint::{Endpoint, FabricError};
pub use super::line::Held;

/// What went through the fabric as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames that came in.
    pub frames: u64,
    /// Their wire packets.
    pub packets: Tally,
    /// Wire packets passed on without a link.
    pub unshaped: Tally,
    /// Wire packets for nobody, dropped.
    pub unknown: Tally,
}

/// A frame that has served its time.
#[derive(Debug)]
pub struct Release {
    /// The node to hand it to.
    pub node: usize,
    /// The link that it came by.
    pub link: usize,
    /// The frame and when it was due.
    pub held: Held,
}

#[derive(Debug)]
struct Path {
    source: usize,
    destination: usize,
    /// Index of its bottleneck.
    group: usize,
    link: Link,
}

/// A bottleneck and the links that share it.
#[derive(Debug)]
struct Group {
    bottleneck: Bottleneck,
    members: Vec<usize>,
    /// The delay that nothing undercuts once it has left the bottleneck.
    least_delay: u64,
}

/// The network's state.
#[derive(Debug)]
pub struct Fabric {
    endpoints: Endpoints,
    paths: Vec<Path>,
    groups: Vec<Group>,
    by_pair: HashMap<(usize, usize), usize>,
    /// When the next piece is due, for each link, and when the next may come due that waits for a bottleneck, for each
    /// of these behind the links.
    agenda: Agenda,
    memory: Memory,
    timeline: Option<Timeline>,
    totals: Totals,
    passed: Vec<(usize, u32)>,
    runs: Vec<Run>,
    events: Vec<Event>,
}

impl Fabric {
    /// A network at rest. `memory_max` bounds the bytes that wait, over all links: for a bottleneck or on their way.
    ///
    /// # Errors
    /// When addresses or links contradict each other.
    pub fn new(
        endpoints: Vec<Endpoint>,
        links: &[LinkSpec],
        seed: u64,
        memory_max: usize,
    ) -> Result<Self, FabricError> {
        let endpoints = Endpoints::new(endpoints)?;
        let mut by_pair = HashMap::new();
        let mut paths = Vec::with_capacity(links.len());
        let (mut groups, mut shared) = (Vec::new(), HashMap::new());
        for (position, spec) in links.iter().enumerate() {
            let LinkSpec { source, destination, profile, bottleneck, seed: own_seed } = *spec;
            let (from, to) = endpoints.names(source, destination)?;
            if by_pair.insert((source, destination), position).is_some() {
                let (source_node, destination_node) = (from.to_owned(), to.to_owned());
                return Err(FabricError::SamePair { source_node, destination_node });
            }
            let group = match bottleneck {
                None => groups.len(),
                Some(number) => *shared.entry(number).or_insert(groups.len()),
            };
            if group == groups.len() {
                groups.push(Group {
                    bottleneck: Bottleneck::new(Terms::default()),
                    members: Vec::new(),
                    least_delay: 0,
                });
            }
            groups[group].members.push(position);
            let link = Link::new(profile, Fates::new(&profile, own_seed.unwrap_or(seed), from, to));
            paths.push(Path { source, destination, group, link });
        }
        let agenda = Agenda::new(paths.len() + groups.len());
        let mut fabric = Self {
            endpoints,
            paths,
            groups,
            by_pair,
            agenda,
            memory: Memory::new(memory_max),
            timeline: None,
            totals: Totals::default(),
            passed: Vec::new(),
            runs: Vec::new(),
            events: Vec::new(),
        };
        (0..fabric.groups.len()).for_each(|group| fabric.agree(group, 0));
        Ok(fabric)
    }

    /// Takes a frame that `source` sent and that was read at `now`. What need not wait is handed to `send` at
    /// once, as (node, frame); the rest waits for [`release`](Self::release).
    pub fn accept(&mut self, now: u64, source: usize, frame: &mut [u8], send: &mut impl FnMut(usize, &[u8])) {
        self.accept_late(now, 0, source, frame, send);
    }

    /// As [`accept`](Self::accept), for a frame that may have waited up to `waited_ns` before it was read.
    pub fn accept_late(
        &mut self,
        now: u64,
        waited_ns: u64,
        source: usize,
        frame: &mut [u8],
        send: &mut impl FnMut(usize, &[u8]),
    ) {
        self.turn(now);
        self.passed.clear();
        let layout = Layout::parse(frame);
        let single = || Shape::single(frame.len().saturating_sub(VNET_LEN) as u32);
        let shape = layout.map_or_else(single, |layout| layout.shape());
        self.totals.frames += 1;
        self.totals.packets.add(u64::from(shape.segments), shape.wire_total());
        let arrival = Arrival { now, waited_ns, source, layout, shape };
        match self.endpoints.address(frame) {
            Receivers::One(node) => self.forward(&arrival, node, frame, send),
            Receivers::All => {
                for node in (0..self.endpoints.list.len()).filter(|node| *node != source) {
                    self.forward(&arrival, node, frame, send);
                }
            }
            Receivers::Nobody => self.totals.unknown.add(u64::from(shape.segments), shape.wire_total()),
        }
    }

    fn forward(&mut self, arrival: &Arrival, node: usize, frame: &[u8], send: &mut impl FnMut(usize, &[u8])) {
        let Arrival { now, source, shape, .. } = arrival;
        let (packets, bytes) = (u64::from(shape.segments), shape.wire_total());
        let Some(&position) = self.by_pair.get(&(*source, node)) else {
            self.totals.unshaped.add(packets, bytes);
            send(node, frame);
            return;
        };
        let group = self.paths[position].group;
        let link = &mut self.paths[position].link;
        if link.is_clear() && self.groups[group].bottleneck.is_unlimited() {
            link.account.entered.add(packets, bytes);
            link.account.delivered.add(packets, bytes);
            self.passed.push((position, shape.segments));
            send(node, frame);
            return;
        }
        self.advance(group, *now);
        let (link, bottleneck) = (&mut self.paths[position].link, &mut self.groups[group].bottleneck);
        link.draw(shape, &mut self.runs);
        let (memory, passed) = (&mut self.memory, &mut self.passed);
        let mut intake = Intake { arrival, frame, position, link, bottleneck, memory };
        for run in &self.runs {
            intake.admit(run, &mut |frame, packets| {
                passed.push((position, packets));
                send(node, frame);
            });
        }
        self.schedule_link(position);
        self.schedule_group(group);
    }

    /// What of the frame accepted last passed its links at once, as (link, wire packets).
    pub fn passed(&self) -> &[(usize, u32)] {
        &self.passed
    }

    /// When to call [`release`](Self::release) next: not before it has anything to do, though it may have nothing to
    /// give out then.
    pub fn next_due(&self) -> Option<u64> {
        let piece = self.agenda.next().map(|(due, _)| due);
        let turn = self.timeline.as_ref().and_then(Timeline::next);
        piece.into_iter().chain(turn).min()
    }

    /// The next frame that is due at `now`, in the order of deadlines. Changes of the timeline up to `now` happen, each
    /// at its own time.
    pub fn release(&mut self, now: u64) -> Option<Release> {
        self.turn(now);
        loop {
            let (_, slot) = self.agenda.next().filter(|(due, _)| *due <= now)?;
            let Some(path) = self.paths.get_mut(slot) else {
                self.advance(slot - self.paths.len(), now);
                continue;
            };
            let held = path.link.release(now)?;
            let node = path.destination;
            self.memory.free(held.packets.into(), held.bytes);
            self.schedule_link(slot);
            return Some(Release { node, link: slot, held });
        }
    }

    /// Alters a link by hand from `now` on, on top of its profile, the timeline and earlier alterations by hand, until
    /// [`heal`](Self::heal). Rate and queue of a shared bottleneck are those of the first of its links for which they
    /// were altered, by hand or by the timeline.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn alter(&mut self, now: u64, link: usize, patch: &Patch) -> Result<(), FabricError> {
        self.alter_by_hand(now, link, Some(patch))
    }

    /// Forgets what was altered by hand.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn heal(&mut self, now: u64, link: usize) -> Result<(), FabricError> {
        self.alter_by_hand(now, link, None)
    }

    fn alter_by_hand(&mut self, now: u64, link: usize, patch: Option<&Patch>) -> Result<(), FabricError> {
        self.turn(now);
        let links = self.paths.len();
        let path = self.paths.get_mut(link).ok_or(FabricError::NoSuchLink { link, links })?;
        path.link.alter(patch);
        self.follow(vec![link], now);
        Ok(())
    }

    /// Begins a timeline at `now`, in place of any other.
    ///
    /// # Errors
    /// As [`Timeline::new`]; then nothing changes.
    pub fn play(&mut self, now: u64, changes: &[Change]) -> Result<(), FabricError> {
        let timeline = Timeline::new(now, changes, self.paths.len())?;
        self.replace_timeline(now, Some(timeline));
        Ok(())
    }

    /// Ends the timeline: every link is back to its profile, and to what was altered by hand.
    pub fn rest(&mut self, now: u64) {
        self.replace_timeline(now, None);
    }

    fn replace_timeline(&mut self, now: u64, timeline: Option<Timeline>) {
        self.turn(now);
        let earlier = std::mem::replace(&mut self.timeline, timeline);
        let links = earlier.iter().chain(&self.timeline).flat_map(Timeline::links).collect();
        self.follow(links, now);
    }

    /// What a link does now; `None` when there is no such link. Its rate, queue and ECN are those of the bottleneck that
    /// it shares with others; of a recording of deliveries, the mean rate.
    pub fn profile(&self, link: usize) -> Option<Profile> {
        self.paths.get(link).map(|path| self.profile_of(path))
    }

    /// What went through.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Bytes of memory that wait.
    pub const fn memory(&self) -> usize {
        self.memory.used()
    }

    /// The account of each link, in the order they were given.
    pub fn accounts(&self) -> impl Iterator<Item = Account> {
        self.paths.iter().map(|path| path.link.account)
    }

    /// Sender, receiver and profile of each link, in the order they were given.
    pub fn links(&self) -> impl Iterator<Item = (&str, &str, Profile)> {
        let name = |node: usize| self.endpoints.list[node].name.as_str();
        self.paths.iter().map(move |path| (name(path.source), name(path.destination), self.profile_of(path)))
    }

    fn profile_of(&self, path: &Path) -> Profile {
        let (capacity, queue, ecn) = self.terms_of(path.group);
        Profile { rate: capacity.profile().rate, queue, ecn, ..*path.link.profile() }
    }

    /// Lets the timeline's changes up to `now` happen.
    fn turn(&mut self, now: u64) {
        while let Some((moment, links)) = self.timeline.as_mut().and_then(|timeline| timeline.turn(now)) {
            self.follow(links, moment);
        }
    }

    /// Lets links go on from `now` as the timeline and their alterations say, all at once: what is true between two
    /// changes of one moment is true for nobody.
    fn follow(&mut self, links: Vec<usize>, now: u64) {
        let mut groups = BTreeSet::new();
        for link in BTreeSet::from_iter(links) {
            let group = self.paths[link].group;
            if groups.insert(group) {
                self.advance(group, now);
            }
            let in_force = self.timeline.as_ref().map(|timeline| timeline.in_force(link, now));
            let (patch, grant) = in_force.unwrap_or_default();
            self.paths[link].link.follow(&patch, grant);
        }
        groups.into_iter().for_each(|group| self.agree(group, now));
    }

    /// Lets a bottleneck go on from `now` as its links say.
    fn agree(&mut self, group: usize, now: u64) {
        let (first, queue, ecn) = self.terms_of(group);
        let terms = Terms { capacity: first.capacity().clone(), queue, ecn };
        let Group { bottleneck, least_delay, members } = &mut self.groups[group];
        let delays = members.iter().map(|link| self.paths[*link].link.least_delay());
        *least_delay = delays.min().unwrap_or(0);
        if *bottleneck.terms() != terms {
            bottleneck.alter(now, terms, &mut self.events);
        }
        self.digest();
        self.schedule_group(group);
    }

    /// The link that gives a bottleneck its capacity, its queue, and whether it marks.
    fn terms_of(&self, group: usize) -> (&Link, ::link::Queue, bool) {
        let members = &self.groups[group].members;
        let links = || members.iter().map(|link| &self.paths[*link].link);
        let first = &self.paths[members[0]].link;
        let capacity = links().find(|link| link.has_other_capacity()).unwrap_or(first);
        let queue = links().find(|link| link.has_other_queue()).unwrap_or(first);
        (capacity, queue.profile().queue, first.profile().ecn)
    }

    /// Lets time go by at a bottleneck.
    fn advance(&mut self, group: usize, now: u64) {
        self.groups[group].bottleneck.advance(now, &mut self.events);
        self.digest();
        self.schedule_group(group);
    }

    /// Moves on what left a bottleneck.
    fn digest(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            match event {
                Event::Departed { at, piece } => {
                    let position = piece.link;
                    self.paths[position].link.hold(at, piece);
                    self.schedule_link(position);
                }
                Event::Dropped { link, bytes } => {
                    let account = &mut self.paths[link].link.account;
                    account.queued.take(1, bytes);
                    account.codel_dropped.add(1, bytes);
                    self.memory.free(1, bytes);
                }
                Event::Marked { link, bytes } => self.paths[link].link.account.marked.add(1, bytes),
            }
        }
        self.events = events;
    }

    fn schedule_link(&mut self, position: usize) {
        self.agenda.set(position, self.paths[position].link.line.next_due());
    }

    fn schedule_group(&mut self, group: usize) {
        let Group { bottleneck, least_delay, .. } = &self.groups[group];
        let delay = if bottleneck.is_regular() { *least_delay } else { 0 };
        let due = bottleneck.next_departure().map(|departure| departure.saturating_add(delay));
        self.agenda.set(self.paths.len() + group, due);
    }
}
