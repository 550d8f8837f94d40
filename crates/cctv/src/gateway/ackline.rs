//! MQTT acknowledgements in the order in which the publications came. Pure.
//!
//! MQTT 5 wants PUBACKs in the order of the PUBLISH packets ([MQTT-4.6.0-2]), but Kafka confirms records in
//! the order of its partitions. So a publication that is done waits here until all before it are done as
//! well. The line is bounded by the receive maximum of the connection.

use std::collections::VecDeque;

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// Publications that are not acknowledged yet; see the module.
#[derive(Debug, Default)]
pub(super) struct AckLine {
    first: u64,
    places: VecDeque<Place>,
}

#[derive(Debug)]
struct Place {
    packet: u16,
    done: bool,
}

impl AckLine {
    /// A publication came under this packet identifier.
    pub(super) fn arrive(&mut self, packet: u16) -> Ticket {
        self.places.push_back(Place { packet, done: false });
        Ticket(self.first + self.places.len() as u64 - 1)
    }

    /// A publication is done; returns the identifiers to acknowledge now, in order. Tickets of a connection
    /// that was lost mean nothing any more.
    pub(super) fn done(&mut self, ticket: Ticket) -> Vec<u16> {
        let place = ticket.0.checked_sub(self.first).and_then(|index| self.places.get_mut(index as usize));
        if let Some(place) = place {
            place.done = true;
        }
        let mut ready = Vec::new();
        while self.places.front().is_some_and(|place| place.done) {
            if let Some(place) = self.places.pop_front() {
                self.first += 1;
                ready.push(place.packet);
            }
        }
        ready
    }

    /// The connection was lost: the broker will deliver again what was not acknowledged.
    pub(super) fn clear(&mut self) {
        self.first += self.places.len() as u64;
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn acknowledges_everything_once_and_in_order_whatever_is_done_first(
            order in Just((0..60usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut line = AckLine::default();
            let tickets: Vec<_> = (0..60).map(|packet| line.arrive(packet)).collect();
            let mut acknowledged = Vec::new();
            for index in order {
                acknowledged.extend(line.done(tickets[index]));
                prop_assert!(acknowledged.len() <= 60);
            }
            prop_assert_eq!(acknowledged, (0..60).collect::<Vec<u16>>());
        }
    }

    #[test]
    fn tickets_of_a_lost_connection_acknowledge_nothing() {
        let mut line = AckLine::default();
        let old = line.arrive(1);
        line.clear();
        let new = line.arrive(1);
        assert!(line.done(old).is_empty());
        assert_eq!(line.done(new), vec![1]);
    }
}
