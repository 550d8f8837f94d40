//! One link: an ordered pair of nodes, with its losses, its bottleneck and its delay line, in this order.

use super::Profile;
use super::loss::LossProcess;
use super::random::Random;
use super::shaper::Shaper;
use super::wire::Shape;
use crate::Tally;
use ::link::Patch;
use std::collections::VecDeque;

/// Link time that one piece of a super-packet may take, nanoseconds: the price in delay of not cutting further.
pub const QUANTUM_NS: u64 = 1_000_000;

/// Consecutive wire packets of one frame that travel on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Number of the first wire packet in its frame.
    pub first: u32,
    /// How many they are.
    pub count: u32,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// When they reach the destination.
    pub due: u64,
}

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

/// What entered a link and what became of it: at all times `entered` + `duplicated` = `delivered` + `lost` + `cut` +
/// `queue_dropped` + `codel_dropped` + `memory_dropped` + `queued`, in packets and in bytes. `corrupted`, `marked` and
/// `reordered` packets are among the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Packets that entered.
    pub entered: Tally,
    /// Packets that came out.
    pub delivered: Tally,
    /// Copies that the link made.
    pub duplicated: Tally,
    /// Packets that the loss model took.
    pub lost: Tally,
    /// Packets that came while the link was cut.
    pub cut: Tally,
    /// Packets that found the queue full.
    pub queue_dropped: Tally,
    /// Packets that `CoDel` dropped.
    pub codel_dropped: Tally,
    /// Packets for which there was no memory.
    pub memory_dropped: Tally,
    /// Packets in the queue and in the delay line.
    pub queued: Tally,
    /// Packets of which one bit was flipped.
    pub corrupted: Tally,
    /// Packets marked as having met congestion (ECN).
    pub marked: Tally,
    /// Packets that overtook others.
    pub reordered: Tally,
}

/// A link's state.
#[derive(Debug)]
pub struct Link {
    base: Profile,
    manual: Patch,
    profile: Profile,
    loss: LossProcess,
    shaper: Option<Shaper>,
    line: VecDeque<Held>,
    /// What happened so far. Kept by whoever moves the pieces.
    pub account: Account,
}

impl Link {
    /// A link at rest whose losses are drawn from `random`.
    pub fn new(profile: Profile, random: Random) -> Self {
        Self {
            base: profile,
            manual: Patch::default(),
            profile,
            loss: LossProcess::new(profile.loss, random),
            shaper: profile.rate.map(|rate| Shaper::new(rate, profile.queue)),
            line: VecDeque::new(),
            account: Account::default(),
        }
    }

    /// What the link does.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Alters the link by hand.
    pub fn alter(&mut self, now: u64, patch: &Patch) {
        self.manual = self.manual.and_then(patch);
        self.follow(now);
    }

    /// Forgets what was altered by hand.
    pub fn heal(&mut self, now: u64) {
        self.manual = Patch::default();
        self.follow(now);
    }

    fn follow(&mut self, _now: u64) {
        let before = self.profile;
        self.profile = self.manual.applied_to(&self.base);
        self.loss.follow(self.profile.loss);
        if (before.rate, before.queue) != (self.profile.rate, self.profile.queue) {
            self.shaper = self.profile.rate.map(|rate| Shaper::new(rate, self.profile.queue));
        }
    }

    /// Decides the fate of each wire packet of a frame that arrives at `now`, and writes what survives to
    /// `pieces`, in order. Losses and drops are put to the account.
    pub fn admit(&mut self, now: u64, shape: &Shape, pieces: &mut Vec<Piece>) {
        pieces.clear();
        self.account.entered.add(u64::from(shape.segments), shape.wire_total());
        if self.profile.cut {
            self.account.cut.add(u64::from(shape.segments), shape.wire_total());
            return;
        }
        let mut piece_begin_ns = 0;
        for index in 0..shape.segments {
            let bytes = shape.wire_len(index);
            if self.loss.takes_next() {
                self.account.lost.add(1, bytes);
                continue;
            }
            let departure = match &mut self.shaper {
                None => now,
                Some(shaper) => match shaper.admit(now, bytes) {
                    Some(departure) => departure,
                    None => {
                        self.account.queue_dropped.add(1, bytes);
                        continue;
                    }
                },
            };
            let due = departure.saturating_add(self.profile.delay.nanos());
            match pieces.last_mut() {
                Some(piece)
                    if piece.first + piece.count == index
                        && departure.saturating_sub(piece_begin_ns) <= QUANTUM_NS =>
                {
                    piece.count += 1;
                    piece.bytes += bytes;
                    piece.due = due;
                }
                _ => {
                    pieces.push(Piece { first: index, count: 1, bytes, due });
                    piece_begin_ns = departure;
                }
            }
        }
    }

    /// When the next piece leaves the delay line.
    pub fn next_due(&self) -> Option<u64> {
        self.line.front().map(|held| held.due)
    }

    /// Puts a piece into the delay line. Pieces come in the order of their deadlines, as [`admit`](Self::admit)
    /// makes them.
    pub fn hold(&mut self, held: Held) {
        self.account.queued.add(u64::from(held.packets), held.bytes);
        self.line.push_back(held);
    }

    /// Takes the next piece out of the delay line if it is due at `now`.
    pub fn release(&mut self, now: u64) -> Option<Held> {
        let held = self.line.pop_front_if(|held| held.due <= now)?;
        self.account.queued.packets -= u64::from(held.packets);
        self.account.queued.bytes -= held.bytes;
        self.account.delivered.add(u64::from(held.packets), held.bytes);
        Some(held)
    }
}
