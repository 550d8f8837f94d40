//! Traffic of all kinds through a fabric, alterations on the way, and a record of what comes out.

use crate::frames::{Numbers, Protocols, frame, naive_sum, on_wire, receive, sums_up};
use crate::networks::{NODES, patches, timelines};
use link::{Change, Patch};
use netem::model::fabric::Fabric;
use netem::model::gso::Layout;
use netem::model::wire::{IP_AT, VNET_LEN};
use proptest::prelude::*;

const ACK: u8 = 0x10;
const NUMBERS: Numbers = Numbers { identification: 0, sequence: 0, flags: 0 };

/// The least payload of a packet: its number, three times.
pub(crate) const NUMBER_LEN: u16 = 24;

/// The beginning of all runs: early enough for a `u64` and late enough for a burst.
pub(crate) const BEGIN: u64 = 1_000_000_000;

/// A frame to send.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) source: usize,
    pub(crate) destination: usize,
    pub(crate) packets: usize,
    /// Payload of each packet.
    pub(crate) size: u16,
    /// Whether its packets allow congestion marks.
    pub(crate) ect: bool,
}

/// Something that happens to a network.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Send(Sending),
    Alter(usize, Patch),
    Heal(usize),
    Play(Vec<Change>),
    Rest,
}

pub(crate) fn sendings() -> impl Strategy<Value = Sending> {
    let packets = prop_oneof![Just(1_usize), 1_usize..40];
    (0..NODES, 1..NODES, packets, NUMBER_LEN..1440, any::<bool>()).prop_map(
        |(source, step, packets, size, ect)| {
            let destination = (source + step) % NODES;
            Sending { source, destination, packets, size, ect }
        },
    )
}

/// A course of things over so many links: pauses, nanoseconds, and what happens after each.
pub(crate) fn courses(links: usize) -> BoxedStrategy<Vec<(u64, Deed)>> {
    let send = sendings().prop_map(Deed::Send).boxed();
    let deed = if links == 0 {
        send
    } else {
        let play = timelines(links).prop_map(Deed::Play);
        let alter = (0..links, patches()).prop_map(|(link, patch)| Deed::Alter(link, patch));
        prop_oneof![20 => send, 1 => play, 2 => alter, 1 => (0..links).prop_map(Deed::Heal), 1 => Just(Deed::Rest)]
            .boxed()
    };
    prop::collection::vec((0_u64..3_000_000, deed), 1..80).boxed()
}

/// One packet that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) at: u64,
    pub(crate) source: usize,
    pub(crate) destination: usize,
    pub(crate) ect: bool,
}

/// One packet seen coming out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) at: u64,
    pub(crate) number: u64,
    pub(crate) node: usize,
    /// Whether it bears a congestion mark.
    pub(crate) marked: bool,
    /// Whether a bit of it is wrong.
    pub(crate) corrupt: bool,
}

/// A run and its record.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    protocols: Protocols,
    /// Whether everything is taken out when it is due. If not, only now and then, when something happens.
    prompt: bool,
    now: u64,
    pub(crate) sent: Vec<Sent>,
    pub(crate) seen: Vec<Seen>,
}

impl Run {
    pub(crate) const fn new(protocols: Protocols, prompt: bool) -> Self {
        Self { protocols, prompt, now: BEGIN, sent: Vec::new(), seen: Vec::new() }
    }

    /// Lets everything happen, then all come out that is on its way. `check` is called after each step.
    pub(crate) fn course(
        &mut self,
        fabric: &mut Fabric,
        course: &[(u64, Deed)],
        mut check: impl FnMut(&Fabric, u64),
    ) {
        for (pause, deed) in course {
            self.pass(fabric, *pause, &mut check);
            match deed {
                Deed::Send(sending) => self.send(fabric, sending),
                Deed::Alter(link, patch) => fabric.alter(self.now, *link, patch).unwrap(),
                Deed::Heal(link) => fabric.heal(self.now, *link).unwrap(),
                Deed::Play(changes) => fabric.play(self.now, changes).unwrap(),
                Deed::Rest => fabric.rest(self.now),
            }
            check(fabric, self.now);
        }
        fabric.rest(self.now);
        check(fabric, self.now);
        while let Some(due) = fabric.next_due() {
            self.take(fabric, due);
            check(fabric, self.now);
        }
    }

    /// Lets time pass.
    fn pass(&mut self, fabric: &mut Fabric, pause: u64, check: &mut impl FnMut(&Fabric, u64)) {
        let then = self.now + pause;
        if self.prompt {
            while let Some(due) = fabric.next_due().filter(|due| *due <= then) {
                self.take(fabric, due);
                check(fabric, self.now);
            }
        } else if self.sent.len().is_multiple_of(3) {
            self.take(fabric, then);
        }
        self.now = then;
    }

    /// Takes out all that is due at `now`; if promptly, then nothing was due before.
    fn take(&mut self, fabric: &mut Fabric, now: u64) {
        if now > self.now {
            if self.prompt {
                assert!(fabric.release(now - 1).is_none(), "nothing may leave before its time");
            }
            self.now = now;
        }
        while let Some(release) = fabric.release(self.now) {
            assert!(release.held.due <= self.now, "early");
            assert!(!self.prompt || release.held.due == self.now, "late");
            self.look(&release.held.frame, release.node, release.held.due);
        }
    }

    /// Sends a frame now, its packets numbered on.
    pub(crate) fn send(&mut self, fabric: &mut Fabric, sending: &Sending) {
        let Sending { source, destination, packets, size, ect } = *sending;
        let mut payload = Vec::new();
        for _ in 0..packets {
            payload.extend(payload_of(self.sent.len() as u64, usize::from(size)));
            self.sent.push(Sent { at: self.now, source, destination, ect });
        }
        let flags = if self.protocols.tcp { ACK } else { 0 };
        let hosts = (source as u8, destination as u8);
        let segment_len = (packets > 1).then_some(size);
        let mut bytes = frame(self.protocols, Numbers { flags, ..NUMBERS }, hosts, &payload, segment_len);
        if ect {
            allow_marks(&mut bytes, self.protocols);
        }
        let now = self.now;
        let mut out = Vec::new();
        fabric.accept(now, source, &mut bytes, &mut |node, frame| out.push((node, frame.to_vec())));
        out.into_iter().for_each(|(node, frame)| self.look(&frame, node, now));
    }

    fn look(&mut self, frame: &[u8], node: usize, at: u64) {
        assert_eq!(frame[VNET_LEN..VNET_LEN + 6], [2, 0, 10, 0, 0, node as u8], "addressed to its receiver");
        match Layout::parse(frame) {
            None => self.look_at_packet(frame, node, at),
            Some(layout) => {
                for index in 0..layout.shape().segments {
                    self.look_at_packet(&layout.cut(frame, index, 1), node, at);
                }
            }
        }
    }

    fn look_at_packet(&mut self, frame: &[u8], node: usize, at: u64) {
        let protocols = self.protocols;
        let corrupt = !sums_up(&on_wire(frame), protocols);
        let payload_at = IP_AT + protocols.ip_len() + protocols.transport_len();
        let payload = &frame[payload_at..];
        let number = majority(payload);
        let meant = payload_of(number, payload.len());
        let wrong: u32 = payload.iter().zip(meant).map(|(is, meant)| (is ^ meant).count_ones()).sum();
        assert!(wrong == 0 || (corrupt && wrong == 1), "packet {number}: {wrong} bits wrong");
        if !corrupt {
            receive(frame, protocols);
        }
        let class = frame[IP_AT + 1];
        let marked = if protocols.ipv4 { class & 3 == 3 } else { class & 0x30 == 0x30 };
        self.seen.push(Seen { at, number, node, marked, corrupt });
    }
}

fn payload_of(number: u64, length: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().repeat(3);
    payload.resize(length, number as u8);
    payload
}

/// The number of a packet, of which one bit may be wrong.
fn majority(payload: &[u8]) -> u64 {
    let [one, two, three] = [0, 8, 16].map(|at| u64::from_be_bytes(*payload[at..].first_chunk().unwrap()));
    (one & two) | (two & three) | (one & three)
}

fn allow_marks(frame: &mut [u8], protocols: Protocols) {
    if !protocols.ipv4 {
        frame[IP_AT + 1] |= 0x20;
        return;
    }
    frame[IP_AT + 1] |= 2;
    frame[IP_AT + 10..IP_AT + 12].fill(0);
    let checksum = !naive_sum(&frame[IP_AT..IP_AT + protocols.ip_len()]);
    frame[IP_AT + 10..IP_AT + 12].copy_from_slice(&checksum.to_be_bytes());
}
