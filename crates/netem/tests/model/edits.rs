//! Congestion marks keep a packet whole; bit errors are such that the receiver notices.

use crate::frames::{Numbers, Protocols, frame, naive_sum, on_wire, receive, sums_up};
use netem::model::edit::{corrupt, mark_ce};
use netem::model::gso::Layout;
use netem::model::wire::{IP_AT, VNET_LEN, VnetHeader};
use proptest::prelude::*;

const NUMBERS: Numbers = Numbers { identification: 7, sequence: 9, flags: 0x10 };
const CE: u8 = 3;

/// Sets both bits of ECN as the sender's kernel would, the checksum included.
fn allow(frame: &mut [u8], protocols: Protocols, service: u8) {
    if !protocols.ipv4 {
        frame[IP_AT] |= service >> 4;
        frame[IP_AT + 1] |= service << 4;
        return;
    }
    frame[IP_AT + 1] = service;
    frame[IP_AT + 10..IP_AT + 12].fill(0);
    let checksum = !naive_sum(&frame[IP_AT..IP_AT + protocols.ip_len()]);
    frame[IP_AT + 10..IP_AT + 12].copy_from_slice(&checksum.to_be_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_mark_changes_nothing_else(
        protocols in Protocols::any(),
        service: u8,
        payload in prop::collection::vec(any::<u8>(), 1..4000),
        segment_len in prop::option::of(500_u16..1460),
    ) {
        let plain = frame(protocols, NUMBERS, (1, 2), &payload, segment_len);
        let (mut marked, mut expected) = (plain.clone(), plain);
        allow(&mut marked, protocols, service);
        let allowed = service & CE != 0;
        allow(&mut expected, protocols, if allowed { service | CE } else { service });
        prop_assert_eq!(mark_ce(&mut marked), allowed);
        prop_assert_eq!(&marked, &expected);
        // And so it stays when it is cut.
        if let Some(layout) = Layout::parse(&marked) {
            for index in 0..layout.shape().segments {
                let packet = layout.cut(&marked, index, 1);
                prop_assert_eq!(&packet[IP_AT..IP_AT + 2], &expected[IP_AT..IP_AT + 2]);
                receive(&packet, protocols);
            }
        }
    }

    #[test]
    fn one_bit_is_wrong_and_the_receiver_can_tell(
        protocols in Protocols::any(),
        payload in prop::collection::vec(any::<u8>(), 0..1460),
        already_complete: bool,
        bit: u64,
    ) {
        let mut packet = frame(protocols, NUMBERS, (1, 2), &payload, None);
        let whole = on_wire(&packet);
        if already_complete {
            packet = whole.clone();
            packet[0] = 2;
        }
        prop_assert!(corrupt(&mut packet, bit));
        prop_assert_eq!(VnetHeader::parse(&packet).unwrap().flags, 0, "no kernel may take it for right");
        prop_assert!(!sums_up(&packet, protocols));
        let transport_at = IP_AT + protocols.ip_len();
        prop_assert_eq!(&packet[VNET_LEN..transport_at], &whole[VNET_LEN..transport_at], "it still arrives");
        let flipped: u32 = packet[VNET_LEN..].iter().zip(&whole[VNET_LEN..]).map(|(ours, theirs)| (ours ^ theirs).count_ones()).sum();
        prop_assert_eq!(flipped, 1);
        if !protocols.tcp {
            prop_assert_eq!(&packet[transport_at + 4..transport_at + 8], &whole[transport_at + 4..transport_at + 8]);
        }
    }

    #[test]
    fn scraps_never_panic(
        protocols in Protocols::any(),
        payload in prop::collection::vec(any::<u8>(), 0..100),
        damage in prop::collection::vec((0_usize..90, any::<u8>()), 0..6),
        length in 0_usize..200,
        bit: u64,
    ) {
        let mut bytes = frame(protocols, NUMBERS, (1, 2), &payload, None);
        for (at, value) in damage {
            if let Some(slot) = bytes.get_mut(at) {
                *slot = value;
            }
        }
        bytes.truncate(length);
        mark_ce(&mut bytes);
        let before = bytes.clone();
        if !corrupt(&mut bytes, bit) {
            prop_assert_eq!(before, bytes);
        }
    }
}

#[test]
fn every_bit_of_a_packet_can_be_hit() {
    let protocols = Protocols { ipv4: true, tcp: false, options: 0 };
    let mut packet = on_wire(&frame(protocols, NUMBERS, (1, 2), &[0; 4], None));
    packet[0] = 0;
    // Ports and payload, without UDP's length and checksum.
    let expected: Vec<usize> = (0..4).chain(8..12).map(|offset| IP_AT + 20 + offset).collect();
    let hit = |bit| {
        let mut damaged = packet.clone();
        assert!(corrupt(&mut damaged, bit));
        (IP_AT..packet.len()).find(|at| damaged[*at] != packet[*at]).unwrap()
    };
    let hits: Vec<usize> = (0..64).step_by(8).map(hit).collect();
    assert_eq!(hits, expected);
    assert_eq!(hit(64), expected[0], "modulo their number");
}

#[test]
fn what_has_only_an_ip_header_stays() {
    let protocols = Protocols { ipv4: true, tcp: false, options: 0 };
    let mut bare = frame(protocols, NUMBERS, (1, 2), &[], None);
    bare.truncate(IP_AT + 20);
    bare[IP_AT + 3] = 20;
    assert!(!corrupt(&mut bare, 1));
}

#[test]
fn options_of_ipv6_are_passed_over() {
    // A report of MLDv2 as every IPv6 host sends it: hop-by-hop options, then ICMPv6.
    let protocols = Protocols { ipv4: false, tcp: false, options: 0 };
    let mut report = frame(protocols, NUMBERS, (1, 2), &[0; 20], None);
    report[0] = 0;
    report[IP_AT + 6] = 0;
    report[IP_AT + 40..IP_AT + 48].copy_from_slice(&[58, 0, 5, 2, 0, 0, 1, 0]);
    let before = report.clone();
    for bit in 0..500 {
        let mut damaged = before.clone();
        assert!(corrupt(&mut damaged, bit));
        assert_eq!(damaged[VNET_LEN..IP_AT + 48], before[VNET_LEN..IP_AT + 48]);
    }
}
