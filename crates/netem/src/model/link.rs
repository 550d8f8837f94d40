//! One link: an ordered pair of nodes, with the fates of its packets and its delay line.

use super::Profile;
use super::fates::Fates;
use super::line::{Held, Line};
use super::transmitter::{Capacity, Grant};
use super::waiting::Waiting;
use super::wire::Shape;
use crate::Tally;
use ::link::{LossModel, LossUnit, Patch};
use units::{Delay, Percent};

/// The least rate that counts as none, bits per second.
const RATE_MAX: u64 = 1 << 63;

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

/// Consecutive wire packets of one frame that share one fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the first in its frame.
    pub first: u32,
    /// How many they are.
    pub count: u32,
    /// How often they go on.
    pub copies: u32,
    /// The bit to flip, as [`corrupt`](super::edit::corrupt) means it; then the run is one packet.
    pub corrupt: Option<u64>,
    /// Whether they pass without delay.
    pub reorder: bool,
    /// How much later than by the delay they come, or earlier if negative, nanoseconds.
    pub jitter_ns: i64,
}

impl Run {
    const fn plain(first: u32, count: u32) -> Self {
        Self { first, count, copies: 1, corrupt: None, reorder: false, jitter_ns: 0 }
    }

    /// Whether nothing befalls them, so that the next packets may join.
    const fn is_plain(&self) -> bool {
        self.copies == 1 && self.corrupt.is_none() && !self.reorder && self.jitter_ns == 0
    }
}

/// A link's state.
#[derive(Debug)]
pub struct Link {
    base: Profile,
    manual: Patch,
    profile: Profile,
    capacity: Capacity,
    fates: Fates,
    /// Whether chance has no say.
    certain: bool,
    /// What is on its way.
    pub line: Line,
    /// What happened so far. Kept by whoever moves the pieces.
    pub account: Account,
}

impl Link {
    /// A link at rest.
    pub fn new(profile: Profile, fates: Fates) -> Self {
        Self {
            base: profile,
            manual: Patch::default(),
            profile,
            capacity: capacity_of(&profile),
            fates,
            certain: is_certain(&profile),
            line: Line::default(),
            account: Account::default(),
        }
    }

    /// What the link does now. Rate, queue and ECN are those that it brings to its bottleneck.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The capacity that it brings to its bottleneck.
    pub const fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    /// Whether its rate is not the one that it was built with.
    pub fn has_other_capacity(&self) -> bool {
        self.capacity != capacity_of(&self.base)
    }

    /// Whether its queue is not the one that it was built with.
    pub fn has_other_queue(&self) -> bool {
        self.profile.queue != self.base.queue
    }

    /// Whether a packet that meets no bottleneck passes at once, untouched.
    pub fn is_clear(&self) -> bool {
        self.certain && !self.profile.cut && self.profile.delay == Delay::ZERO && self.line.is_empty()
    }

    /// The delay that no packet undercuts, nanoseconds.
    pub fn least_delay(&self) -> u64 {
        if self.profile.jitter.is_some() || self.profile.reorder != Percent::NONE {
            0
        } else {
            self.profile.delay.nanos()
        }
    }

    /// Merges an alteration by hand with those before; `None` forgets them. Takes effect with the next
    /// [`follow`](Self::follow).
    pub fn alter(&mut self, patch: Option<&Patch>) {
        self.manual = patch.map_or(Patch::default(), |patch| self.manual.and_then(patch));
    }

    /// Goes on under a timeline that asks for `patch`, and for `grant` in place of a rate.
    pub fn follow(&mut self, patch: &Patch, grant: Option<Grant>) {
        self.profile = self.manual.applied_to(&patch.applied_to(&self.base));
        self.capacity = match grant {
            Some(grant) if self.manual.rate.is_none() => {
                self.profile.rate = grant.mean();
                Capacity::Granted(grant)
            }
            _ => capacity_of(&self.profile),
        };
        self.certain = is_certain(&self.profile);
        self.fates.follow(&self.profile);
    }

    /// Draws the fates of all wire packets of a frame and writes what survives to `runs`, in order. Losses are put to
    /// the account, and on a link that is cut all else is, too: chance takes its course there as well, so that the
    /// fate of a packet depends on its number only.
    pub fn draw(&mut self, shape: &Shape, runs: &mut Vec<Run>) {
        runs.clear();
        self.account.entered.add(u64::from(shape.segments), shape.wire_total());
        if self.certain {
            runs.push(Run::plain(0, shape.segments));
        } else if self.profile.loss_unit == LossUnit::Skb {
            self.draw_next(shape, 0, shape.segments, runs);
        } else {
            for index in 0..shape.segments {
                self.draw_next(shape, index, 1, runs);
            }
        }
        if self.profile.cut {
            runs.clear();
            self.account.cut.add(u64::from(shape.segments), shape.wire_total());
        }
    }

    /// Draws one fate for `count` packets.
    fn draw_next(&mut self, shape: &Shape, first: u32, count: u32, runs: &mut Vec<Run>) {
        let fate = self.fates.next();
        if fate.lost {
            if !self.profile.cut {
                self.account.lost.add(u64::from(count), shape.part(first, count).wire_total());
            }
            return;
        }
        let copies = if fate.duplicate { 2 } else { 1 };
        let (reorder, jitter_ns) = (fate.reorder, fate.jitter_ns);
        let mut run = Run { first, count, copies, corrupt: None, reorder, jitter_ns };
        if fate.corrupt {
            // Of many packets the first is hit, as kernel netem does it.
            runs.push(Run { count: 1, corrupt: Some(fate.bit), ..run });
            (run.first, run.count) = (first + 1, count - 1);
        }
        match runs.last_mut() {
            _ if run.count == 0 => {}
            Some(before)
                if before.is_plain() && run.is_plain() && before.first + before.count == run.first =>
            {
                before.count += run.count;
            }
            _ => runs.push(run),
        }
    }

    /// When packets that leave the bottleneck at `departure` reach the destination.
    pub fn due(&self, departure: u64, reorder: bool, jitter_ns: i64) -> u64 {
        if reorder {
            return departure;
        }
        let due = departure.saturating_add(self.profile.delay.nanos()).saturating_add_signed(jitter_ns);
        due.max(departure)
    }

    /// Puts packets that left the bottleneck at `departure` into the delay line.
    pub fn hold(&mut self, departure: u64, piece: Waiting) {
        let due = self.due(departure, piece.reorder, piece.jitter_ns);
        let may_overtake = piece.reorder || self.profile.jitter.is_some_and(|jitter| jitter.reorder);
        let (packets, bytes) = (piece.shape.segments, piece.shape.wire_total());
        if self
            .line
            .push(Held { due, waited_ns: piece.waited_ns, packets, bytes, frame: piece.frame }, may_overtake)
        {
            self.account.reordered.add(u64::from(packets), bytes);
        }
    }

    /// Takes the next piece out of the delay line if it is due at `now`.
    pub fn release(&mut self, now: u64) -> Option<Held> {
        let held = self.line.pop(now)?;
        self.account.queued.take(u64::from(held.packets), held.bytes);
        self.account.delivered.add(u64::from(held.packets), held.bytes);
        Some(held)
    }
}

/// The capacity of a profile. What sends more than a gigabyte in a nanosecond has none, and would overflow.
fn capacity_of(profile: &Profile) -> Capacity {
    let rate = profile.rate.filter(|rate| rate.bits_per_s() < RATE_MAX);
    rate.map_or(Capacity::Unlimited, Capacity::Rate)
}

fn is_certain(profile: &Profile) -> bool {
    let mishaps = [profile.reorder, profile.duplicate, profile.corrupt];
    profile.loss == LossModel::Independent(Percent::NONE)
        && profile.jitter.is_none()
        && mishaps.iter().all(|share| *share == Percent::NONE)
}
