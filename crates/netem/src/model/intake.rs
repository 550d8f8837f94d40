//! How a frame enters a link: which of its packets pass at once, wait, or are dropped, and in which pieces.

use super::bottleneck::{Bottleneck, Offer};
use super::edit;
use super::gso::Layout;
use super::link::{Link, Run};
use super::waiting::Waiting;
use super::wire::{Shape, VNET_LEN};
use crate::Tally;

/// What a waiting packet costs beside its bytes on the wire.
const PACKET_OVERHEAD: usize = size_of::<Waiting>() + VNET_LEN + 16;

/// The memory of all that waits. Each packet counts as if it waited alone, so that cutting pieces changes nothing;
/// beyond that there is at most one frame for each bottleneck, of which some packets have gone on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    waiting: Tally,
    max: usize,
}

impl Memory {
    pub(super) const fn new(max: usize) -> Self {
        Self { waiting: Tally { packets: 0, bytes: 0 }, max }
    }

    pub(super) const fn used(&self) -> usize {
        self.waiting.bytes as usize + self.waiting.packets as usize * PACKET_OVERHEAD
    }

    pub(super) const fn free(&mut self, packets: u64, bytes: u64) {
        self.waiting.take(packets, bytes);
    }

    const fn admit(&mut self, bytes: u64) -> bool {
        let size = bytes as usize + PACKET_OVERHEAD;
        if size > self.max || self.used() > self.max - size {
            return false;
        }
        self.waiting.add(1, bytes);
        true
    }
}

/// A frame on its way in.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) now: u64,
    pub(super) waited_ns: u64,
    pub(super) source: usize,
    pub(super) layout: Option<Layout>,
    pub(super) shape: Shape,
}

/// The way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To the destination, now.
    Direct,
    /// Into the delay line.
    Line,
    /// Into the queue.
    Queue { mark: bool },
}

/// Consecutive packets that go the same way.
#[derive(Clone, Copy, Debug)]
struct Lot {
    first: u32,
    count: u32,
    way: Way,
}

/// A frame that enters a link.
#[derive(Debug)]
pub(super) struct Intake<'a> {
    pub(super) arrival: &'a Arrival,
    pub(super) frame: &'a [u8],
    pub(super) position: usize,
    pub(super) link: &'a mut Link,
    pub(super) bottleneck: &'a mut Bottleneck,
    pub(super) memory: &'a mut Memory,
}

impl Intake<'_> {
    /// Lets the packets of a run in; what passes at once goes to `send`.
    pub(super) fn admit(&mut self, run: &Run, send: &mut impl FnMut(&[u8], u32)) {
        for copy in 0..run.copies {
            let mut open: Option<Lot> = None;
            for index in run.first..run.first + run.count {
                let bytes = self.arrival.shape.wire_len(index);
                if copy > 0 {
                    self.link.account.duplicated.add(1, bytes);
                }
                let way = self.way(run, bytes);
                if let Some(lot) = &mut open
                    && Some(lot.way) == way
                {
                    lot.count += 1;
                    continue;
                }
                let done = std::mem::replace(&mut open, way.map(|way| Lot { first: index, count: 1, way }));
                if let Some(lot) = done {
                    self.dispatch(&lot, run, send);
                }
            }
            if let Some(lot) = open {
                self.dispatch(&lot, run, send);
            }
        }
    }

    /// The way of the next packet; `None` when it is dropped.
    fn way(&mut self, run: &Run, bytes: u64) -> Option<Way> {
        let now = self.arrival.now;
        let offer = self.bottleneck.offer(now, bytes);
        if offer == Offer::Full {
            self.link.account.queue_dropped.add(1, bytes);
            return None;
        }
        let due = self.link.due(now, run.reorder, run.jitter_ns);
        if offer == Offer::Passes && due <= now && self.link.line.is_empty() {
            self.bottleneck.pass(now, bytes);
            return Some(Way::Direct);
        }
        if !self.memory.admit(bytes) {
            self.link.account.memory_dropped.add(1, bytes);
            return None;
        }
        self.link.account.queued.add(1, bytes);
        match offer {
            Offer::Waits { mark } => {
                self.bottleneck.reserve(now, bytes);
                Some(Way::Queue { mark })
            }
            Offer::Passes | Offer::Full => {
                self.bottleneck.pass(now, bytes);
                Some(Way::Line)
            }
        }
    }

    fn dispatch(&mut self, lot: &Lot, run: &Run, send: &mut impl FnMut(&[u8], u32)) {
        let Arrival { now, waited_ns, layout, shape, .. } = self.arrival;
        let part = shape.part(lot.first, lot.count);
        let bytes = part.wire_total();
        let cut = layout
            .filter(|_| lot.count < shape.segments)
            .map(|layout| layout.cut(self.frame, lot.first, lot.count));
        if lot.way == Way::Direct {
            self.link.account.delivered.add(u64::from(lot.count), bytes);
            if run.corrupt.is_none() {
                send(cut.as_deref().unwrap_or(self.frame), lot.count);
                return;
            }
        }
        let mut frame = cut.unwrap_or_else(|| self.frame.to_vec());
        if let Some(bit) = run.corrupt
            && edit::corrupt(&mut frame, bit)
        {
            self.link.account.corrupted.add(1, bytes);
        }
        if (lot.way == Way::Queue { mark: true }) && edit::mark_ce(&mut frame) {
            self.link.account.marked.add(u64::from(lot.count), bytes);
        }
        let piece = Waiting {
            link: self.position,
            arrived: *now,
            waited_ns: *waited_ns,
            shape: part,
            frame,
            jitter_ns: run.jitter_ns,
            reorder: run.reorder,
            first: 0,
            sent: 0,
        };
        match lot.way {
            Way::Direct => send(&piece.frame, lot.count),
            Way::Line => self.link.hold(*now, piece),
            Way::Queue { .. } => self.bottleneck.push(piece),
        }
    }
}
