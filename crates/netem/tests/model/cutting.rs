//! Super-packets are cut into exactly the packets that the sender meant.

use crate::frames::{Numbers, Protocols, frame, naive_sum, receive, shape_of};
use netem::model::gso::Layout;
use netem::model::wire::{GSO_ECN, VnetHeader, fold, sum};
use proptest::prelude::*;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

fn numbers(protocols: Protocols, identification: u16, sequence: u32) -> Numbers {
    Numbers {
        identification: if protocols.ipv4 { identification } else { 0 },
        sequence: if protocols.tcp { sequence } else { 0 },
        flags: if protocols.tcp { FIN | PSH | ACK | CWR } else { 0 },
    }
}

/// Cuts a frame at random places, then what came out again, until only single packets remain.
fn cut_to_packets(frame: &[u8], cuts: &mut impl FnMut(u32) -> u32, packets: &mut Vec<Vec<u8>>) {
    let Some(layout) = Layout::parse(frame) else {
        packets.push(frame.to_vec());
        return;
    };
    let segments = layout.shape().segments;
    let mut first = 0;
    while first < segments {
        let count = cuts(segments - first).min(if segments > 1 { segments - 1 } else { 1 });
        cut_to_packets(&layout.cut(frame, first, count), cuts, packets);
        first += count;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn pieces_are_the_packets_that_were_meant(
        protocols in Protocols::any(),
        identification: u16,
        sequence: u32,
        payload in prop::collection::vec(any::<u8>(), 1..20_000),
        segment_len in 1_u16..1500,
        mut seed: u64,
    ) {
        let segment_len = segment_len.max((payload.len() / 60) as u16 + 1);
        let numbers = numbers(protocols, identification, sequence);
        let super_packet = frame(protocols, numbers, (1, 2), &payload, Some(segment_len));
        let mut cuts = |most: u32| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            1 + (seed >> 33) as u32 % most
        };
        let mut packets = Vec::new();
        cut_to_packets(&super_packet, &mut cuts, &mut packets);

        let chunks: Vec<&[u8]> = payload.chunks(usize::from(segment_len)).collect();
        prop_assert_eq!(packets.len(), chunks.len());
        let wire: u64 = packets.iter().map(|packet| shape_of(packet).wire_total()).sum();
        prop_assert_eq!(wire, shape_of(&super_packet).wire_total());
        for (index, (packet, chunk)) in packets.iter().zip(&chunks).enumerate() {
            let received = receive(packet, protocols);
            prop_assert_eq!(&received.payload, chunk);
            if protocols.ipv4 {
                prop_assert_eq!(received.numbers.identification, identification.wrapping_add(index as u16));
            }
            if protocols.tcp {
                let offset = index as u32 * u32::from(segment_len);
                prop_assert_eq!(received.numbers.sequence, sequence.wrapping_add(offset));
                let first_only = if index == 0 { CWR } else { 0 };
                let last_only = if index + 1 == chunks.len() { FIN | PSH } else { 0 };
                prop_assert_eq!(received.numbers.flags, ACK | first_only | last_only);
            }
        }
    }

    #[test]
    fn sums_agree_with_the_plain_ones(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(fold(sum(&bytes, 0)), naive_sum(&bytes));
    }

    #[test]
    fn damaged_headers_never_panic(
        protocols in Protocols::any(),
        payload in prop::collection::vec(any::<u8>(), 1..3000),
        damage in prop::collection::vec((0_usize..90, any::<u8>()), 0..4),
        length in 0_usize..4000,
    ) {
        let mut bytes = frame(protocols, numbers(protocols, 1, 1), (1, 2), &payload, Some(100));
        for (at, value) in damage {
            if let Some(slot) = bytes.get_mut(at) {
                *slot = value;
            }
        }
        bytes.truncate(length);
        if let Some(layout) = Layout::parse(&bytes) {
            let shape = layout.shape();
            let wire: u64 = (0..shape.segments).map(|index| shape.wire_len(index)).sum();
            prop_assert_eq!(wire, shape.wire_total());
            for index in 0..shape.segments {
                let packet = layout.cut(&bytes, index, 1);
                prop_assert_eq!(shape_of(&packet).wire_total(), shape.wire_len(index));
            }
        }
    }
}

#[test]
fn only_the_first_piece_keeps_the_congestion_mark() {
    let protocols = Protocols { ipv4: true, tcp: true, options: 0 };
    let mut bytes = frame(protocols, numbers(protocols, 1, 1), (1, 2), &[7; 4000], Some(1000));
    bytes[1] |= GSO_ECN;
    let layout = Layout::parse(&bytes).unwrap();
    let kind = |first| VnetHeader::parse(&layout.cut(&bytes, first, 2)).unwrap().gso_type;
    assert_ne!(kind(0) & GSO_ECN, 0);
    assert_eq!(kind(2) & GSO_ECN, 0);
}
