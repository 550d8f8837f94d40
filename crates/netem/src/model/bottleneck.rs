//! The bottleneck of one link or of several: a transmitter and what waits for it.
//!
//! Nothing happens here by itself: [`advance`](Bottleneck::advance) catches up with the time, departure by departure,
//! each at its own moment. So the owner may come as late as what departs need not be delivered yet.

mod service;

use super::codel::Codel;
use super::transmitter::{Capacity, Chances, Pace, work_of};
use super::waiting::Waiting;
use crate::Tally;
use ::link::{Discipline, Limit, Queue};
use std::collections::VecDeque;

/// Link time that one piece of a super-packet may take, nanoseconds: the price in delay of not cutting further.
pub const QUANTUM_NS: u64 = 1_000_000;

/// What a bottleneck is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How fast it sends.
    pub capacity: Capacity,
    /// What waits.
    pub queue: Queue,
    /// Whether it marks (ECN).
    pub ecn: bool,
}

/// What becomes of a packet that comes to a bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It leaves at once.
    Passes,
    /// It waits, and bears a congestion mark from now on if it may.
    Waits {
        /// Whether it is to be marked.
        mark: bool,
    },
    /// It is dropped.
    Full,
}

/// What happened while time went by.
#[derive(Debug)]
pub enum Event {
    /// A piece left.
    Departed {
        /// When its last bit was sent.
        at: u64,
        /// The piece, whole.
        piece: Waiting,
    },
    /// `CoDel` dropped a packet.
    Dropped {
        /// Its link.
        link: usize,
        /// Its bytes.
        bytes: u64,
    },
    /// `CoDel` marked a packet.
    Marked {
        /// Its link.
        link: usize,
        /// Its bytes.
        bytes: u64,
    },
}

#[derive(Clone, Debug)]
enum Transmitter {
    Unlimited,
    Paced(Pace),
    Chances(Chances),
}

/// A bottleneck's state.
#[derive(Debug)]
pub struct Bottleneck {
    terms: Terms,
    transmitter: Transmitter,
    /// Whether a packet is being sent: the next of the first piece.
    busy: bool,
    codel: Option<Codel>,
    waiting: VecDeque<Waiting>,
    /// Packets that were not begun.
    backlog: Tally,
    /// When the first packet of those that were sent and not let go was sent.
    group_begin: u64,
    /// Pieces whose delay is not that of their link.
    peculiar: usize,
}

impl Bottleneck {
    /// A bottleneck at rest.
    pub fn new(terms: Terms) -> Self {
        let mut bottleneck = Self {
            terms: Terms::default(),
            transmitter: Transmitter::Unlimited,
            busy: false,
            codel: None,
            waiting: VecDeque::new(),
            backlog: Tally::default(),
            group_begin: 0,
            peculiar: 0,
        };
        bottleneck.alter(0, terms, &mut Vec::new());
        bottleneck
    }

    /// What it is.
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether all passes at once.
    pub const fn is_unlimited(&self) -> bool {
        matches!(self.transmitter, Transmitter::Unlimited)
    }

    /// Whether all that waits takes the delay of its link, as it is.
    pub const fn is_regular(&self) -> bool {
        self.peculiar == 0
    }

    /// What would become of a packet of `bytes` that arrives at `now`, up to which time has [gone by](Self::advance).
    /// An idle transmitter takes any packet.
    pub fn offer(&mut self, now: u64, bytes: u64) -> Offer {
        let idle = !self.busy && self.backlog.packets == 0;
        match &mut self.transmitter {
            Transmitter::Unlimited => return Offer::Passes,
            Transmitter::Paced(pace) if idle => {
                pace.rest_until(now);
                if pace.done_with(work_of(bytes)) <= now {
                    return Offer::Passes;
                }
            }
            _ => {}
        }
        if idle {
            return Offer::Waits { mark: false };
        }
        let (filled, room) = match self.terms.queue.limit {
            Limit::Packets(packets) => (self.backlog.packets + 1, u64::from(packets)),
            Limit::Bytes(size) => (self.backlog.bytes + bytes, size.bytes()),
            Limit::Time(time) => (self.wait(now), time.nanos()),
        };
        if filled > room {
            return Offer::Full;
        }
        Offer::Waits { mark: self.terms.ecn && self.codel.is_none() && filled > room / 2 }
    }

    /// Sends a packet that [passes](Offer::Passes).
    pub fn pass(&mut self, now: u64, bytes: u64) {
        if let Transmitter::Paced(pace) = &mut self.transmitter {
            pace.begin(bytes);
            pace.finish();
        }
        if let Some(codel) = &mut self.codel {
            codel.strikes(now, 0, 0);
        }
    }

    /// Takes a packet that [waits](Offer::Waits); it must be [pushed](Self::push) before time goes by.
    pub fn reserve(&mut self, now: u64, bytes: u64) {
        match &mut self.transmitter {
            Transmitter::Paced(pace) if !self.busy => {
                pace.begin(bytes);
                self.busy = true;
                if let Some(codel) = &mut self.codel {
                    codel.strikes(now, 0, 0);
                }
            }
            _ => self.backlog.add(1, bytes),
        }
    }

    /// Takes packets that were [reserved](Self::reserve) for.
    pub fn push(&mut self, piece: Waiting) {
        self.peculiar += usize::from(piece.is_peculiar());
        self.waiting.push_back(piece);
    }

    /// Before which moment nothing departs; `None` when nothing waits.
    pub fn next_departure(&self) -> Option<u64> {
        let head = self.waiting.front()?;
        let pace = match &self.transmitter {
            Transmitter::Unlimited => return None,
            Transmitter::Chances(chances) => return Some(chances.next()),
            Transmitter::Paced(pace) => pace,
        };
        let current = pace.done_with(0);
        let behind = head.shape.segments - head.sent - 1;
        if behind == 0 {
            return Some(current);
        }
        let group_begin = if head.sent > head.first { self.group_begin } else { current };
        let most = pace.done_by(group_begin.saturating_add(QUANTUM_NS)).saturating_sub(pace.work().into());
        let full = work_of(head.shape.wire_len(head.sent + 1));
        let last = work_of(head.shape.wire_len(head.shape.segments - 1));
        let fitting = (most / u128::from(full)).min(u128::from(behind - 1)) as u64;
        let more = fitting * full;
        let all = fitting == u64::from(behind - 1) && u128::from(more + last) <= most;
        let departure = pace.done_with(if all { more + last } else { more });
        let spared = self.codel.is_none_or(|codel| departure < codel.spares_until(current));
        Some(if spared { departure } else { current })
    }

    /// How long a packet that came now would wait, nanoseconds. A recording counts by its mean rate.
    fn wait(&self, now: u64) -> u64 {
        let (left, bits_per_s) = match &self.transmitter {
            Transmitter::Unlimited => return 0,
            Transmitter::Paced(pace) => (if self.busy { pace.left(now) } else { 0 }, pace.bits_per_s()),
            Transmitter::Chances(chances) => {
                (chances.work, chances.grant().mean().map_or(1, units::Rate::bits_per_s))
            }
        };
        let work = u128::from(left) + u128::from(self.backlog.bytes) * u128::from(work_of(1));
        u64::try_from(work / u128::from(bits_per_s)).unwrap_or(u64::MAX)
    }

    /// Goes on as `terms` say from `now` on, up to which time has [gone by](Self::advance). What is being sent is sent
    /// on at the new rate; what waits keeps its place, however little room there is now.
    pub fn alter(&mut self, now: u64, terms: Terms, events: &mut Vec<Event>) {
        self.codel = match (terms.queue.discipline, self.codel) {
            (Discipline::DropTail, _) => None,
            (Discipline::Codel { target, interval }, None) => {
                Some(Codel::new(target.nanos(), interval.nanos()))
            }
            (Discipline::Codel { target, interval }, Some(mut codel)) => {
                codel.follow(target.nanos(), interval.nanos());
                Some(codel)
            }
        };
        if terms.capacity != self.terms.capacity {
            self.change_capacity(now, &terms.capacity, events);
        }
        self.terms = terms;
    }

    fn change_capacity(&mut self, now: u64, capacity: &Capacity, events: &mut Vec<Event>) {
        let left = match &self.transmitter {
            Transmitter::Paced(pace) if self.busy => pace.left(now),
            Transmitter::Chances(chances) => chances.work,
            _ => 0,
        };
        match capacity {
            Capacity::Unlimited => {
                self.transmitter = Transmitter::Unlimited;
                while let Some(head) = self.waiting.front_mut() {
                    head.sent = head.shape.segments;
                    self.let_go(now, events);
                }
                (self.busy, self.backlog) = (false, Tally::default());
            }
            Capacity::Rate(rate) => {
                if let Transmitter::Paced(pace) = &mut self.transmitter {
                    pace.change(now, *rate, self.busy);
                } else {
                    self.transmitter = Transmitter::Paced(Pace::new(*rate, now, left));
                    if !self.busy {
                        self.begin_next(now, events);
                    }
                }
            }
            Capacity::Granted(grant) => {
                self.transmitter = Transmitter::Chances(Chances::new(grant.clone(), now, left));
            }
        }
        self.let_go_in_time(now, events);
    }
}
