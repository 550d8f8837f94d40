//! The few route netlink requests that devices need, written by hand after `linux/netlink.h`,
//! `linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h` and `linux/veth.h`. Unlike the `ioctl`s of old they
//! are all permitted in an unprivileged user namespace that owns the network namespace.

mod message;
mod request;

pub(crate) use message::Message;
pub(crate) use request::{
    Ends, Route, Veth, add_address, add_address6, add_route, bridge, bring_up, broadcast_of, configure,
    enslave, veth,
};

use crate::sys;
use message::{IFINFO_LEN, attribute_of, take_answer, u64_at};
use std::fs::File;
use std::io::{self, Read, Write};

const RTM_GETLINK: u16 = 18;
const IFLA_STATS64: u16 = 23;

/// How long an answer of the kernel may take, seconds. It normally comes before `write` returns.
const ANSWER_S: i64 = 5;

/// Room for the answers that one read returns.
const ANSWER_LEN_MAX: usize = 32 * 1024;

/// A conversation with the kernel about one network namespace, the one it was opened in.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: File,
    sequence: u32,
}

/// Frames that the kernel dropped at a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceDrops {
    /// Sent by the namespace, and gone.
    pub(crate) transmit: u64,
    /// Sent to the namespace, and gone.
    pub(crate) receive: u64,
}

impl Netlink {
    /// Opens it in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: sys::netlink_socket(ANSWER_S)?, sequence: 0 })
    }

    /// Does one thing.
    pub(crate) fn perform(&mut self, message: Message) -> io::Result<()> {
        match self.perform_all(vec![message])?.pop() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Does all of it in one call of the kernel's and returns what was refused, by position. A refusal does not keep
    /// the kernel from doing what follows.
    pub(crate) fn perform_all(&mut self, mut messages: Vec<Message>) -> io::Result<Vec<(usize, io::Error)>> {
        let Some(last) = messages.last_mut() else { return Ok(Vec::new()) };
        // Refusals are always told; one confirmation at the end says that there are no more.
        last.confirm();
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(messages.len() * 128);
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(message.seal(self.sequence));
        }
        self.socket.write_all(&bytes)?;
        let mut refused = Vec::new();
        let mut buffer = vec![0; ANSWER_LEN_MAX];
        loop {
            let length = self.socket.read(&mut buffer)?;
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                let answer = take_answer(&mut rest)?;
                let position = answer.sequence.wrapping_sub(first) as usize;
                // Answers to earlier requests that had timed out have positions far off.
                let ours = position <= self.sequence.wrapping_sub(first) as usize;
                if let (true, Some(Err(error))) = (ours, answer.outcome) {
                    refused.push((position, error));
                }
                if answer.sequence == self.sequence {
                    return Ok(refused);
                }
            }
        }
    }

    /// What the kernel dropped at a device since it was made.
    pub(crate) fn drops(&mut self, index: u32) -> io::Result<DeviceDrops> {
        self.sequence = self.sequence.wrapping_add(1);
        let question = Message::link(RTM_GETLINK, 0, index, 0, 0);
        self.socket.write_all(&question.seal(self.sequence))?;
        let mut buffer = vec![0; ANSWER_LEN_MAX];
        loop {
            let length = self.socket.read(&mut buffer)?;
            let answer = take_answer(&mut &buffer[..length])?;
            if answer.sequence != self.sequence {
                continue;
            }
            if let Some(outcome) = answer.outcome {
                outcome?;
            }
            let attributes = answer.payload.get(IFINFO_LEN..).unwrap_or_default();
            let stats = attribute_of(attributes, IFLA_STATS64).unwrap_or_default();
            // `struct rtnl_link_stats64`: rx_dropped and tx_dropped are its seventh and eighth counters.
            return match (u64_at(stats, 48), u64_at(stats, 56)) {
                (Some(receive), Some(transmit)) => Ok(DeviceDrops { transmit, receive }),
                _ => Err(io::Error::new(io::ErrorKind::InvalidData, "answer without counters")),
            };
        }
    }
}
