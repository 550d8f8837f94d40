//! The frames a camera has on the way, and what becomes of them. Pure: no socket, no clock.

use std::collections::{HashMap, VecDeque};

/// A frame (or the end marker) that waits for its acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sent<T> {
    /// Position in the stream.
    pub(super) sequence: u64,
    /// Intended capture time, nanoseconds since the Unix epoch.
    pub(super) captured_unix_ns: u64,
    /// What has to be published again when the connection is lost.
    pub(super) publication: T,
}

/// Unacknowledged publications in the order of their sequence numbers, at most `bound` of them, and the MQTT
/// packet identifiers they currently travel under.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    bound: usize,
    unacknowledged: VecDeque<Sent<T>>,
    /// Handed to the client, not yet given an identifier. The client keeps the order.
    handed: VecDeque<u64>,
    under: HashMap<u16, u64>,
}

impl<T: Clone> Outbox<T> {
    /// An empty outbox.
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, unacknowledged: VecDeque::new(), handed: VecDeque::new(), under: HashMap::new() }
    }

    /// Whether another frame has to be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.unacknowledged.len() >= self.bound
    }

    /// How many publications wait for their acknowledgement.
    pub(super) fn len(&self) -> usize {
        self.unacknowledged.len()
    }

    /// Notes a publication that has been handed to the client.
    pub(super) fn hand_over(&mut self, sent: Sent<T>) {
        self.handed.push_back(sent.sequence);
        self.unacknowledged.push_back(sent);
    }

    /// The client gave the oldest handed publication this identifier.
    pub(super) fn identified(&mut self, packet: u16) {
        if let Some(sequence) = self.handed.pop_front() {
            self.under.insert(packet, sequence);
        }
    }

    /// The broker acknowledged this identifier; `None` when it stands for nothing of ours.
    pub(super) fn acknowledged(&mut self, packet: u16) -> Option<Sent<T>> {
        let sequence = self.under.remove(&packet)?;
        let index = self.unacknowledged.iter().position(|sent| sent.sequence == sequence)?;
        self.unacknowledged.remove(index)
    }

    /// A new connection with a clean session: everything unacknowledged has to be published again, in this
    /// order. The receiver tells a second delivery by its sequence number.
    pub(super) fn start_over(&mut self) -> Vec<T> {
        self.under.clear();
        self.handed = self.unacknowledged.iter().map(|sent| sent.sequence).collect();
        self.unacknowledged.iter().map(|sent| sent.publication.clone()).collect()
    }

    /// Takes what was never acknowledged.
    pub(super) fn give_up(&mut self) -> Vec<Sent<T>> {
        self.handed.clear();
        self.under.clear();
        self.unacknowledged.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence: u64) -> Sent<u64> {
        Sent { sequence, captured_unix_ns: sequence * 10, publication: sequence }
    }

    #[test]
    fn acknowledgements_find_their_frames_in_any_order() {
        let mut outbox = Outbox::new(3);
        (0..3).for_each(|n| outbox.hand_over(sent(n)));
        assert!(outbox.is_full());
        [7, 8, 9].into_iter().for_each(|packet| outbox.identified(packet));
        assert_eq!(outbox.acknowledged(8), Some(sent(1)));
        assert_eq!(outbox.acknowledged(8), None);
        assert!(!outbox.is_full());
        assert_eq!(outbox.acknowledged(7), Some(sent(0)));
        assert_eq!(outbox.give_up(), [sent(2)]);
    }

    #[test]
    fn a_new_connection_publishes_again_what_is_open_and_forgets_old_identifiers() {
        let mut outbox = Outbox::new(4);
        (0..3).for_each(|n| outbox.hand_over(sent(n)));
        outbox.identified(1);
        outbox.identified(2);
        assert_eq!(outbox.acknowledged(1), Some(sent(0)));
        assert_eq!(outbox.start_over(), [1, 2]);
        assert_eq!(outbox.acknowledged(2), None, "an identifier of the lost connection");
        outbox.identified(2);
        assert_eq!(outbox.acknowledged(2), Some(sent(1)));
        assert_eq!(outbox.len(), 1);
    }
}
