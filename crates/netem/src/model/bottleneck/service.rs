//! What happens at a bottleneck while time goes by: packets are begun, sent, struck by `CoDel`, and let go in pieces.

use super::{Bottleneck, Event, QUANTUM_NS, Transmitter};
use crate::model::codel::Codel;
use crate::model::edit::mark_ce;
use crate::model::transmitter::{DELIVERY_WORK, work_of};
use crate::model::waiting::Waiting;

impl Bottleneck {
    /// Lets time go by up to `now`: `events` says what happened.
    pub fn advance(&mut self, now: u64, events: &mut Vec<Event>) {
        match self.transmitter {
            Transmitter::Unlimited => {}
            Transmitter::Paced(_) => self.advance_paced(now, events),
            Transmitter::Chances(_) => self.advance_granted(now, events),
        }
    }

    fn advance_paced(&mut self, now: u64, events: &mut Vec<Event>) {
        while self.busy
            && let Transmitter::Paced(pace) = &mut self.transmitter
            && pace.done_with(0) <= now
        {
            let at = pace.finish();
            self.finish(at, events);
            self.begin_next(at, events);
            self.let_go_in_time(at, events);
        }
    }

    fn advance_granted(&mut self, now: u64, events: &mut Vec<Event>) {
        while let Transmitter::Chances(chances) = &mut self.transmitter {
            let at = chances.next();
            if at > now {
                return;
            }
            if !self.busy && self.waiting.is_empty() {
                chances.skip(now);
                self.codel.iter_mut().for_each(Codel::emptied);
                return;
            }
            chances.take();
            let mut left = DELIVERY_WORK;
            while left > 0 && (self.busy || self.begin_next(at, events)) {
                let Transmitter::Chances(chances) = &mut self.transmitter else { return };
                let done = left.min(chances.work);
                chances.work -= done;
                left -= done;
                if chances.work == 0 {
                    self.finish(at, events);
                }
            }
            self.let_go_in_time(at, events);
        }
    }

    /// Begins the next packet that `CoDel` spares. Whether there was one.
    pub(super) fn begin_next(&mut self, at: u64, events: &mut Vec<Event>) -> bool {
        while let Some(head) = self.waiting.front() {
            let bytes = head.shape.wire_len(head.sent);
            self.backlog.packets -= 1;
            self.backlog.bytes -= bytes;
            let wait_ns = at.saturating_sub(head.arrived);
            let struck =
                self.codel.as_mut().is_some_and(|codel| codel.strikes(at, wait_ns, self.backlog.bytes));
            if struck && !self.strike(at, bytes, events) {
                continue;
            }
            match &mut self.transmitter {
                Transmitter::Unlimited => {}
                Transmitter::Paced(pace) => pace.begin(bytes),
                Transmitter::Chances(chances) => chances.work = work_of(bytes),
            }
            self.busy = true;
            return true;
        }
        self.codel.iter_mut().for_each(Codel::emptied);
        false
    }

    /// Marks the next packet and leaves it in place, or drops it. Whether it was marked.
    fn strike(&mut self, at: u64, bytes: u64, events: &mut Vec<Event>) -> bool {
        self.let_go(at, events);
        let Some(head) = self.waiting.front_mut() else { return false };
        let link = head.link;
        let marked = self.terms.ecn && {
            if head.shape.segments == 1 {
                mark_ce(&mut head.frame)
            } else {
                let mut packet = head.part(head.sent, 1);
                let marked = mark_ce(&mut packet.frame);
                if marked {
                    self.skip_packet();
                    self.peculiar += usize::from(packet.is_peculiar());
                    self.waiting.push_front(packet);
                }
                marked
            }
        };
        if !marked {
            self.skip_packet();
        }
        if let Some(codel) = &mut self.codel {
            codel.struck(at, marked);
        }
        events.push(if marked { Event::Marked { link, bytes } } else { Event::Dropped { link, bytes } });
        marked
    }

    /// Takes the next packet out of the first piece, all before it having been let go.
    fn skip_packet(&mut self) {
        let Some(head) = self.waiting.front_mut() else { return };
        head.sent += 1;
        head.first = head.sent;
        if head.sent == head.shape.segments {
            self.pop();
        }
    }

    /// The packet being sent was sent.
    fn finish(&mut self, at: u64, events: &mut Vec<Event>) {
        self.busy = false;
        let Some(head) = self.waiting.front_mut() else { return };
        if head.sent == head.first {
            self.group_begin = at;
        }
        head.sent += 1;
        if head.sent == head.shape.segments {
            self.let_go(at, events);
        }
    }

    /// Lets packets go that may not wait for the next of their piece.
    pub(super) fn let_go_in_time(&mut self, at: u64, events: &mut Vec<Event>) {
        let next = match &self.transmitter {
            Transmitter::Unlimited => return,
            Transmitter::Paced(pace) => pace.done_with(0),
            Transmitter::Chances(chances) => chances.next(),
        };
        if next.saturating_sub(self.group_begin) > QUANTUM_NS {
            self.let_go(at, events);
        }
    }

    /// Lets the packets of the first piece go that were sent.
    pub(super) fn let_go(&mut self, at: u64, events: &mut Vec<Event>) {
        let Some(head) = self.waiting.front_mut() else { return };
        if head.sent == head.first {
            return;
        }
        let done = head.sent == head.shape.segments;
        let piece = if done && head.first == 0 {
            self.pop()
        } else {
            let part = head.part(head.first, head.sent - head.first);
            head.first = head.sent;
            if done {
                self.pop();
            }
            Some(part)
        };
        events.extend(piece.map(|piece| Event::Departed { at, piece }));
    }

    fn pop(&mut self) -> Option<Waiting> {
        let piece = self.waiting.pop_front()?;
        self.peculiar -= usize::from(piece.is_peculiar());
        Some(piece)
    }
}
