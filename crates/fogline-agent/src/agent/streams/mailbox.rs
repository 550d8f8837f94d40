//! What has come for a stream and not been taken by its thread.

use crate::limits::WINDOW_BYTES;
use crate::stream::{Channel, Part, cost};
use crate::sys::Waker;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts without data that may wait; nobody has reason to send more.
const PARTS_MAX: usize = 16 << 10;

/// Filled by the thread that reads the agent's connection, which must never wait; emptied by the stream's own.
pub(super) struct Mailbox {
    mail: Mutex<Mail>,
    pub(super) waker: Waker,
}

#[derive(Default)]
struct Mail {
    parts: VecDeque<(Part, Vec<u8>)>,
    /// What input has cost and was not granted again.
    held: usize,
    /// Set with the last part.
    closed: bool,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { mail: Mutex::default(), waker: Waker::new()? })
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a part; one that the other side has no credit for ends the stream.
    pub(super) fn put(&self, part: Part, payload: Vec<u8>) {
        let mut mail = self.mail();
        if mail.closed {
            return;
        }
        let mut part = part;
        match &part {
            Part::Data(Channel::Input) => mail.held += cost(payload.len()),
            Part::Data(_) => part = Part::Reset("data came on a channel that comes from the host".to_owned()),
            _ => {}
        }
        if mail.held > WINDOW_BYTES || mail.parts.len() >= PARTS_MAX {
            part = Part::Reset("more came than was granted".to_owned());
        }
        mail.closed = part.is_last();
        mail.parts.push_back((part, payload));
        drop(mail);
        self.waker.wake();
    }

    /// All that has come since the last time.
    pub(super) fn take(&self) -> VecDeque<(Part, Vec<u8>)> {
        self.waker.clear();
        std::mem::take(&mut self.mail().parts)
    }

    /// So much input is granted again.
    pub(super) fn granted(&self, bytes: usize) {
        let mut mail = self.mail();
        mail.held = mail.held.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PART_BYTES_MAX;

    #[test]
    fn who_sends_more_than_was_granted_is_cut_off() {
        let mailbox = Mailbox::new().unwrap();
        let full = WINDOW_BYTES / cost(PART_BYTES_MAX);
        for _ in 0..full {
            mailbox.put(Part::Data(Channel::Input), vec![0; PART_BYTES_MAX]);
        }
        assert!(mailbox.take().iter().all(|(part, _)| !part.is_last()));
        mailbox.granted(cost(PART_BYTES_MAX));
        mailbox.put(Part::Data(Channel::Input), vec![0; PART_BYTES_MAX]);
        assert!(mailbox.take().iter().all(|(part, _)| !part.is_last()), "what was granted may come");
        for _ in 0..3 {
            mailbox.put(Part::Data(Channel::Input), vec![0; PART_BYTES_MAX]);
        }
        let taken = mailbox.take();
        assert_eq!(taken.iter().filter(|(part, _)| part.is_last()).count(), 1, "and nothing after it");
        assert!(taken.back().is_some_and(|(part, _)| part.is_last()));
    }

    #[test]
    fn data_on_a_channel_of_the_host_is_refused() {
        let mailbox = Mailbox::new().unwrap();
        mailbox.put(Part::Data(Channel::Output), vec![0]);
        assert!(matches!(mailbox.take().pop_front(), Some((Part::Reset(_), _))));
    }
}
