//! Byte streams over the framed connection: a process that somebody talks to, or a TCP connection made on the host.
//!
//! A request opens a stream, which has the request's number. From then on both sides send its parts, each a frame of
//! kind [`Stream`](crate::frame::Kind::Stream) whose header is a [`Part`] in JSON; data is the frame's payload.
//!
//! - **Channels**: [`Channel::Input`] goes to the host, [`Channel::Output`] and [`Channel::Error`] come from it.
//! - **Flow control**: whoever sends data on a channel has credit for [`WINDOW_BYTES`], every part costs [`cost`], and the
//!   side that takes data grants the cost again once it has passed the data on. So a reader that stalls stops its own
//!   stream alone, and what is held for it is bounded.
//! - **End**: [`Part::End`] ends one channel (half-close). The host's last part is [`Part::Over`], or [`Part::Reset`]
//!   with the reason. The other side hangs up by [`Part::Reset`]; a process then gets `SIGHUP`, as do all that it
//!   started in its session.

use crate::exec::Exit;
use crate::frame::{Frame, Kind};
use crate::limits::{PART_BYTES_MAX, WINDOW_BYTES};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::PathBuf;

/// What a part costs beside its data, so that very many small ones are bounded too.
const PART_COST: usize = 64;

/// The credit that a part with so many bytes of data takes.
pub const fn cost(bytes: usize) -> usize {
    bytes + PART_COST
}

/// A direction of a stream, or one of the two that come from a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// To the host: what a process reads, or what is sent on a connection.
    Input,
    /// From the host: standard output, all that a terminal shows, or what a connection receives.
    Output,
    /// From the host: standard error of a process without a terminal.
    Error,
}

/// A part of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// Data, which is the frame's payload, at most [`PART_BYTES_MAX`].
    Data(Channel),
    /// The other side may send so many bytes more (by [`cost`]) on this channel.
    Credit(Channel, usize),
    /// No more data will come on this channel.
    End(Channel),
    /// The terminal has another size now.
    Resize(TerminalSize),
    /// All is done: how the process ended; absent when there was none.
    Over(Option<Exit>),
    /// It ended before it was done, and why.
    Reset(String),
}

impl Part {
    /// The frame that carries this part of stream `id`.
    pub fn frame(&self, id: u64, payload: Vec<u8>) -> Frame {
        // Parts are plain data of ours, which always serialise.
        let header = serde_json::to_vec(self).unwrap_or_default();
        Frame { kind: Kind::Stream, id, header, payload }
    }

    /// The part in `frame`, and its data.
    ///
    /// # Errors
    /// What is wrong with the frame: its kind, its header, data where there may be none or too much of it.
    pub fn of(frame: Frame) -> Result<(Self, Vec<u8>), String> {
        if frame.kind != Kind::Stream {
            return Err(format!("a {:?} where a part of a stream was due", frame.kind));
        }
        let part: Self =
            serde_json::from_slice(&frame.header).map_err(|error| format!("no part of a stream: {error}"))?;
        let most = if matches!(part, Self::Data(_)) { PART_BYTES_MAX } else { 0 };
        match frame.payload.len() {
            bytes if bytes > most => Err(format!("a part of a stream with {bytes} bytes, at most {most}")),
            _ => Ok((part, frame.payload)),
        }
    }

    /// Whether nothing comes after it.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Over(_) | Self::Reset(_))
    }
}

/// What may still be sent on a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit(usize);

impl Default for Credit {
    /// A window.
    fn default() -> Self {
        Self(WINDOW_BYTES)
    }
}

impl Credit {
    /// Most bytes of data that the next part may have; zero when it has to wait.
    pub const fn room(self) -> usize {
        let room = self.0.saturating_sub(PART_COST);
        if room < PART_BYTES_MAX { room } else { PART_BYTES_MAX }
    }

    /// A part with so many bytes, at most [`Credit::room`], is sent.
    pub const fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(cost(bytes));
    }

    /// The other side grants more. It cannot owe more than a window.
    pub fn grant(&mut self, bytes: usize) {
        self.0 = self.0.saturating_add(bytes).min(WINDOW_BYTES);
    }
}

/// What was taken from a channel and not granted again yet. It is granted in large pieces: a part for each would be
/// as many parts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed(usize);

impl Owed {
    /// A part with so many bytes was passed on; what to grant now, if anything.
    pub fn passed_on(&mut self, bytes: usize) -> Option<usize> {
        self.0 += cost(bytes);
        (self.0 >= WINDOW_BYTES / 4).then(|| std::mem::take(&mut self.0))
    }
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// A pseudo-terminal to make on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// What kind it is, for `TERM`.
    pub name: String,
    /// Its size to begin with.
    pub size: TerminalSize,
}

/// A process to start on the host, in a session of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRequest {
    /// Program and arguments; bash, or else the host's `sh`, when empty.
    pub argv: Vec<String>,
    /// Variables added to the agent's own environment; the last of equal names wins.
    pub environment: Vec<(String, String)>,
    /// Working directory; the home directory when absent.
    pub directory: Option<PathBuf>,
    /// The pseudo-terminal that it gets in place of three pipes.
    pub terminal: Option<Terminal>,
}

/// A TCP connection to make on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectRequest {
    /// Addresses to try in turn: where a service listens on one address only, loopback may not be it.
    pub addresses: Vec<IpAddr>,
    /// The port.
    pub port: u16,
}
