//! What the runner and the lab say to each other: JSON messages, each after its length as four bytes (big endian),
//! at most one file descriptor with each.

use super::rights::{MissingRight, Rights};
use crate::sys;
use netem::DataPath;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// No message is longer; 400 hosts with a link between any two stay below it.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What the runner tells the lab.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToLab {
    /// Bring up hosts and links. Answered by one `Agent` per host, then `Ready`.
    Deploy(Order),
    /// Find out what this machine allows. Answered by `Allowed` or `Missing`.
    Probe {
        /// The TUN device node.
        tun: PathBuf,
        /// How packets shall travel; any way that works when absent.
        path: Option<DataPath>,
    },
    /// Tell the network's counters. Answered by `Snapshot`.
    Snapshot,
    /// Tell what links do now. Answered by `Profiles`.
    Profiles,
    /// Make links behave differently, on top of all else. Answered by `Done`.
    Alter {
        /// Indices of the links.
        links: Vec<usize>,
        /// What is to be different.
        patch: link::Patch,
    },
    /// Forget what `Alter` did to links. Answered by `Done`.
    Heal {
        /// Indices of the links.
        links: Vec<usize>,
    },
    /// Begin a timeline now, in place of any other. Answered by `Done`.
    Play(Vec<link::Change>),
    /// End the timeline. Answered by `Done`.
    Rest,
    /// End everything. Answered by `Released`.
    Release,
}

/// What the lab tells the runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromLab {
    /// The next host's agent; its socket comes along.
    Agent,
    /// All hosts and links are up.
    Ready {
        /// What hosts cannot see of the machine.
        hidden: Vec<String>,
        /// What is not as it would best be.
        notes: Vec<String>,
    },
    /// The machine allows all that is needed.
    Allowed(Rights),
    /// The machine withholds a right.
    Missing(MissingRight),
    /// A step failed for another reason.
    Failed(String),
    /// The network's counters.
    Snapshot(Box<netem::Snapshot>),
    /// What links do now, in their order.
    Profiles(Vec<link::Profile>),
    /// It is so now.
    Done,
    /// The hosts are gone; the lab ends now.
    Released,
}

impl FromLab {
    /// The message's name, for errors.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Ready { .. } => "ready",
            Self::Allowed(_) => "allowed",
            Self::Missing(_) => "missing",
            Self::Failed(_) => "failed",
            Self::Snapshot(_) => "snapshot",
            Self::Profiles(_) => "profiles",
            Self::Done => "done",
            Self::Released => "released",
        }
    }
}

/// All that the lab has to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) hosts: Vec<HostOrder>,
    /// Length of the network prefix that all hosts share.
    pub(crate) prefix: u8,
    pub(crate) links: Vec<LinkOrder>,
    pub(crate) seed: u64,
    /// The namespace's own when absent.
    pub(crate) congestion: Option<String>,
    pub(crate) program_directories: Vec<PathBuf>,
    pub(crate) software: Vec<SoftwareOrder>,
    pub(crate) data_bytes: u64,
    pub(crate) tun: PathBuf,
    /// By TAPs when absent, and by packet sockets where these cannot be had.
    pub(crate) path: Option<DataPath>,
    pub(crate) workers: usize,
}

/// One package of software that hosts share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SoftwareOrder {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

/// One host to bring up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HostOrder {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) address6: Ipv6Addr,
    /// Congestion controls of what it sends to some addresses.
    pub(crate) congestion_to: Vec<(IpAddr, String)>,
    /// Most that one TCP connection may have under way.
    pub(crate) send_buffer_bytes: u64,
    /// Packages that are mounted on it, as indices into [`Order::software`].
    pub(crate) software: Vec<usize>,
}

/// One link to bring up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LinkOrder {
    pub(crate) source: usize,
    pub(crate) destination: usize,
    pub(crate) profile: link::Profile,
    pub(crate) bottleneck: Option<usize>,
    pub(crate) seed: Option<u64>,
}

impl From<&fogline_plan::Link> for LinkOrder {
    fn from(link: &fogline_plan::Link) -> Self {
        Self {
            source: link.source.0,
            destination: link.destination.0,
            profile: link.profile,
            bottleneck: link.bottleneck,
            seed: link.seed,
        }
    }
}

/// Why a message did not come or go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The other end is closed.
    #[error("has ended")]
    Closed,
    /// No answer in time.
    #[error("did not answer within {0:?}")]
    Late(Duration),
    /// The message cannot be read.
    #[error("speaks another language: {0}")]
    Garbled(String),
    /// The socket failed.
    #[error("cannot be reached: {0}")]
    Io(io::Error),
}

/// One end of the conversation.
#[derive(Debug)]
pub(crate) struct Control {
    stream: UnixStream,
    deadline: Option<Duration>,
    /// Answers that did not come in time and are still to come.
    owed: usize,
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Control {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, deadline: None, owed: 0 }
    }

    /// How long each following call may wait for the other side.
    pub(crate) fn set_deadline(&mut self, deadline: Duration) -> Result<(), ControlError> {
        self.deadline = Some(deadline);
        self.stream.set_read_timeout(self.deadline).map_err(ControlError::Io)?;
        self.stream.set_write_timeout(self.deadline).map_err(ControlError::Io)
    }

    /// Sends one message, with a file descriptor or without.
    pub(crate) fn send<T: Serialize>(
        &mut self,
        message: &T,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), ControlError> {
        let mut bytes = vec![0; 4];
        serde_json::to_writer(&mut bytes, message)
            .map_err(|error| ControlError::Garbled(error.to_string()))?;
        let length = u32::try_from(bytes.len() - 4)
            .ok()
            .filter(|length| *length as usize <= MESSAGE_BYTES_MAX)
            .ok_or_else(|| ControlError::Garbled(format!("a message of {} bytes", bytes.len())))?;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
        let mut sent = 0;
        while sent < bytes.len() {
            // The descriptor travels with the first byte.
            let descriptor = descriptor.filter(|_| sent == 0);
            match sys::send_with_descriptor(self.stream.as_fd(), &bytes[sent..], descriptor) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
            }
        }
        Ok(())
    }

    /// Waits for one message, and the file descriptor that came with it.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Result<(T, Option<OwnedFd>), ControlError> {
        let mut header = [0; 4];
        let mut got = 0;
        let mut descriptor = None;
        while got < header.len() {
            match sys::receive_with_descriptor(self.stream.as_fd(), &mut header[got..]) {
                Ok((0, _)) => return Err(ControlError::Closed),
                Ok((count, received)) => {
                    got += count;
                    descriptor = descriptor.or(received);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(error)),
            }
        }
        let length = u32::from_be_bytes(header) as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(ControlError::Garbled(format!("a message of {length} bytes")));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).map_err(|error| self.explain(error))?;
        let message =
            serde_json::from_slice(&body).map_err(|error| ControlError::Garbled(error.to_string()))?;
        Ok((message, descriptor))
    }

    /// As [`receive`](Self::receive), for the answer to a question that was asked; one that is late will be owed.
    pub(crate) fn receive_owed<T: DeserializeOwned>(&mut self) -> Result<T, ControlError> {
        let answer = self.receive();
        self.owed += usize::from(matches!(answer, Err(ControlError::Late(_))));
        answer.map(|(message, _)| message)
    }

    /// Takes the answers that are owed, so that they are not held for answers to what is asked next.
    pub(crate) fn catch_up<T: DeserializeOwned>(&mut self) -> Result<(), ControlError> {
        while self.owed > 0 {
            self.receive::<T>()?;
            self.owed -= 1;
        }
        Ok(())
    }

    fn explain(&self, error: io::Error) -> ControlError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ControlError::Late(self.deadline.unwrap_or_default())
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
                ControlError::Closed
            }
            _ => ControlError::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pair() -> (Control, Control) {
        let (one, two) = UnixStream::pair().unwrap();
        (Control::new(one), Control::new(two))
    }

    #[test]
    fn messages_and_descriptors_keep_their_order() {
        let (mut one, mut two) = pair();
        let (ours, theirs) = UnixStream::pair().unwrap();
        one.send(&FromLab::Agent, Some(theirs.as_fd())).unwrap();
        one.send(&FromLab::Failed("why".into()), None).unwrap();
        drop(theirs);
        let (message, descriptor) = two.receive::<FromLab>().unwrap();
        assert!(matches!(message, FromLab::Agent));
        let mut received = UnixStream::from(descriptor.unwrap());
        let (message, descriptor) = two.receive::<FromLab>().unwrap();
        assert!(matches!(message, FromLab::Failed(why) if why == "why") && descriptor.is_none());
        received.write_all(b"x").unwrap();
        let mut byte = [0];
        (&ours).read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn a_large_message_passes_whole() {
        let (mut one, mut two) = pair();
        let text = "f".repeat(3 << 20);
        std::thread::scope(|scope| {
            scope.spawn(|| one.send(&FromLab::Failed(text.clone()), None).unwrap());
            let (message, _) = two.receive::<FromLab>().unwrap();
            assert!(matches!(message, FromLab::Failed(got) if got == text));
        });
    }

    #[test]
    fn a_closed_or_garbled_end_is_told_apart() {
        let (one, mut two) = pair();
        (&one.stream).write_all(&[0, 0, 0, 2, b'{', b'x']).unwrap();
        assert!(matches!(two.receive::<FromLab>(), Err(ControlError::Garbled(_))));
        (&one.stream).write_all(&[0xff; 4]).unwrap();
        assert!(matches!(two.receive::<FromLab>(), Err(ControlError::Garbled(_))));
        drop(one);
        assert!(matches!(two.receive::<FromLab>(), Err(ControlError::Closed)));
        assert!(matches!(two.send(&FromLab::Agent, None), Err(ControlError::Closed)));
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let (_one, mut two) = pair();
        two.set_deadline(Duration::from_millis(20)).unwrap();
        assert!(matches!(two.receive::<FromLab>(), Err(ControlError::Late(_))));
    }

    #[test]
    fn a_late_answer_is_not_held_for_the_next_one() {
        let (mut one, mut two) = pair();
        two.set_deadline(Duration::from_millis(20)).unwrap();
        assert!(matches!(two.receive_owed::<FromLab>(), Err(ControlError::Late(_))));
        one.send(&FromLab::Done, None).unwrap();
        one.send(&FromLab::Released, None).unwrap();
        two.catch_up::<FromLab>().unwrap();
        assert!(matches!(two.receive_owed::<FromLab>(), Ok(FromLab::Released)));
    }
}
