//! A bottleneck as one would write it down from the definitions, one packet at a time and slowly: the account of all the
//! work ever done as one exact number, Mahimahi's loop over delivery chances, and `CoDel` as printed in RFC 8289.

use link::{DELIVERY_BYTES, Discipline, Limit, Queue};
use netem::model::transmitter::BURST_NS;
use std::collections::VecDeque;

const WORK_PER_BYTE: i128 = 8_000_000_000;
const MAX_PACKET: u64 = 1514;

/// How fast it sends.
#[derive(Clone, Debug)]
pub(crate) enum Speed {
    /// Bits per second.
    Rate(u64),
    /// Deliveries at these milliseconds since the moment, again and again.
    Chances(u64, Vec<u64>),
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Waiting,
    Full,
    Dropped,
    Sent { at: u64 },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet {
    pub(crate) arrived: u64,
    bytes: u64,
    ect: bool,
    pub(crate) marked: bool,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
struct Law {
    target: u64,
    interval: u64,
    first_above: u64,
    drop_next: u64,
    count: u64,
    last_count: u64,
    dropping: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    queue: Queue,
    ecn: bool,
    speed: Speed,
    /// Work that a transmitter which is never idle would have done by `changed`.
    could: i128,
    changed: u64,
    /// Work that was done or is promised, on the same scale.
    did: i128,
    next_chance: u64,
    chances_used: usize,
    law: Option<Law>,
    waiting: VecDeque<usize>,
    sending: Option<usize>,
    /// Work left of the packet that is sent by chances.
    left: i128,
    pub(crate) packets: Vec<Packet>,
}

impl Reference {
    pub(crate) fn new(queue: Queue, ecn: bool, speed: Speed) -> Self {
        let law = match queue.discipline {
            Discipline::DropTail => None,
            Discipline::Codel { target, interval } => Some(Law {
                target: target.nanos(),
                interval: interval.nanos(),
                first_above: 0,
                drop_next: 0,
                count: 0,
                last_count: 0,
                dropping: false,
            }),
        };
        let mut reference = Self {
            queue,
            ecn,
            speed,
            could: 0,
            changed: 0,
            did: 0,
            next_chance: 0,
            chances_used: 0,
            law,
            waiting: VecDeque::new(),
            sending: None,
            left: 0,
            packets: Vec::new(),
        };
        reference.next_chance = reference.chance(0);
        reference
    }

    fn rate(&self) -> i128 {
        if let Speed::Rate(bits) = self.speed { bits.into() } else { 0 }
    }

    /// What a transmitter that is never idle would have done by `now`.
    fn could_by(&self, now: u64) -> i128 {
        self.could + i128::from(now - self.changed) * self.rate()
    }

    /// Forgets all credit beyond the burst.
    fn bound_credit(&mut self, now: u64) {
        self.did = self.did.max(self.could_by(now) - i128::from(BURST_NS) * self.rate());
    }

    pub(crate) fn change_rate(&mut self, now: u64, bits: u64) {
        self.advance(now);
        let idle = self.sending.is_none();
        if idle {
            self.bound_credit(now);
        }
        (self.could, self.changed) = (self.could_by(now), now);
        self.speed = Speed::Rate(bits);
        if idle {
            self.bound_credit(now);
        }
    }

    pub(crate) fn arrive(&mut self, now: u64, bytes: u64, ect: bool) {
        self.advance(now);
        let index = self.packets.len();
        let mut packet = Packet { arrived: now, bytes, ect, marked: false, outcome: Outcome::Waiting };
        let idle = self.sending.is_none() && self.waiting.is_empty();
        if !idle {
            let backlog: u64 = self.waiting.iter().map(|index| self.packets[*index].bytes).sum();
            let (filled, room) = match self.queue.limit {
                Limit::Packets(packets) => (self.waiting.len() as u64 + 1, u64::from(packets)),
                Limit::Bytes(size) => (backlog + bytes, size.bytes()),
                Limit::Time(time) => (self.wait(now, backlog), time.nanos()),
            };
            if filled > room {
                packet.outcome = Outcome::Full;
            } else if self.ecn && self.law.is_none() && ect && 2 * filled > room {
                packet.marked = true;
            }
        }
        self.packets.push(packet);
        if packet.outcome == Outcome::Full {
            return;
        }
        self.waiting.push_back(index);
        if idle && matches!(self.speed, Speed::Rate(_)) {
            self.bound_credit(now);
            self.begin(now);
            self.advance(now);
        }
    }

    fn wait(&self, now: u64, backlog: u64) -> u64 {
        let queued = i128::from(backlog) * WORK_PER_BYTE;
        match &self.speed {
            Speed::Rate(bits) => ((self.did - self.could_by(now) + queued) / i128::from(*bits)) as u64,
            Speed::Chances(_, moments) => {
                let period_ms = i128::from(*moments.last().unwrap());
                let bits = moments.len() as i128 * i128::from(DELIVERY_BYTES) * 8000 / period_ms;
                ((self.left + queued) / bits) as u64
            }
        }
    }

    pub(crate) fn advance(&mut self, now: u64) {
        match self.speed {
            Speed::Rate(_) => {
                while let Some(index) = self.sending {
                    // The last moment by which no more could be done than is promised.
                    let at = self.changed as i128 + (self.did - self.could).div_euclid(self.rate());
                    if at > i128::from(now) {
                        return;
                    }
                    let at = (at as u64).max(self.packets[index].arrived);
                    self.sending = None;
                    self.packets[index].outcome = Outcome::Sent { at };
                    self.begin(at);
                }
            }
            Speed::Chances(..) => {
                while self.next_chance <= now {
                    self.deliver(self.next_chance);
                    self.chances_used += 1;
                    self.next_chance = self.chance(self.chances_used);
                }
            }
        }
    }

    fn chance(&self, number: usize) -> u64 {
        let Speed::Chances(begin, moments) = &self.speed else { return u64::MAX };
        let repetitions = (number / moments.len()) as u64;
        begin + (repetitions * moments.last().unwrap() + moments[number % moments.len()]) * 1_000_000
    }

    /// One chance of Mahimahi's.
    fn deliver(&mut self, now: u64) {
        let mut chance = i128::from(DELIVERY_BYTES) * WORK_PER_BYTE;
        while chance > 0 {
            if self.sending.is_none() {
                self.begin(now);
            }
            let Some(index) = self.sending else { return };
            let done = chance.min(self.left);
            self.left -= done;
            chance -= done;
            if self.left == 0 {
                self.packets[index].outcome = Outcome::Sent { at: now };
                self.sending = None;
            }
        }
    }

    fn begin(&mut self, now: u64) {
        self.sending = self.dequeue(now);
        if let Some(index) = self.sending {
            let work = i128::from(self.packets[index].bytes) * WORK_PER_BYTE;
            self.did += work;
            self.left = work;
        }
    }

    /// `dodequeue` of RFC 8289: the first packet, and whether it may be dropped.
    fn do_dequeue(&mut self, now: u64) -> (Option<usize>, bool) {
        let Some(index) = self.waiting.pop_front() else {
            self.law.as_mut().unwrap().first_above = 0;
            return (None, false);
        };
        let bytes: u64 = self.waiting.iter().map(|index| self.packets[*index].bytes).sum();
        let law = self.law.as_mut().unwrap();
        if now - self.packets[index].arrived < law.target || bytes <= MAX_PACKET {
            law.first_above = 0;
        } else if law.first_above == 0 {
            law.first_above = now + law.interval;
        } else if now >= law.first_above {
            return (Some(index), true);
        }
        (Some(index), false)
    }

    /// Drops a packet, or marks it and keeps it.
    fn drop_or_mark(&mut self, index: usize) -> bool {
        let packet = &mut self.packets[index];
        if self.ecn && packet.ect {
            packet.marked = true;
        } else {
            packet.outcome = Outcome::Dropped;
        }
        packet.marked
    }

    /// `dequeue` of RFC 8289; where it marks, the loop of Linux's `codel_dequeue`.
    fn dequeue(&mut self, now: u64) -> Option<usize> {
        if self.law.is_none() {
            return self.waiting.pop_front();
        }
        let (mut packet, mut droppable) = self.do_dequeue(now);
        if self.law.as_ref().unwrap().dropping {
            if !droppable {
                self.law.as_mut().unwrap().dropping = false;
            }
            while let law = self.law.as_ref().unwrap()
                && law.dropping
                && now >= law.drop_next
            {
                self.law.as_mut().unwrap().count += 1;
                if self.drop_or_mark(packet.unwrap()) {
                    let law = self.law.as_mut().unwrap();
                    law.drop_next = control_law(law.drop_next, law.interval, law.count);
                    return packet;
                }
                (packet, droppable) = self.do_dequeue(now);
                let law = self.law.as_mut().unwrap();
                if droppable {
                    law.drop_next = control_law(law.drop_next, law.interval, law.count);
                } else {
                    law.dropping = false;
                }
            }
        } else if droppable {
            if !self.drop_or_mark(packet.unwrap()) {
                (packet, _) = self.do_dequeue(now);
            }
            let law = self.law.as_mut().unwrap();
            law.dropping = true;
            let delta = law.count - law.last_count;
            law.count = 1;
            if delta > 1 && (now as i64 - law.drop_next as i64) < 16 * law.interval as i64 {
                law.count = delta;
            }
            law.drop_next = control_law(now, law.interval, law.count);
            law.last_count = law.count;
        }
        packet
    }
}

fn control_law(moment: u64, interval: u64, count: u64) -> u64 {
    moment + (interval as f64 / (count as f64).sqrt()) as u64
}
