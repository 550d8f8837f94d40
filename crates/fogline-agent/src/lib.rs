//! What runs on a host: exec, copy, fetch, jobs, samples, probes, streams.
//!
//! One agent runs on every host of an experiment. The runner talks to it over one byte stream and cannot tell a
//! laptop's host from a remote one: the stream is a socket pair locally, and the standard input and output of
//! `ssh host fogline agent` remotely.
//!
//! - [`serve`] (or [`serve_on`] over any two streams) is the agent's life; it ends when the peer closes the stream.
//! - [`Client`] is the runner's end: cheap to clone, usable from many threads at once. Requests carry numbers and
//!   are answered out of order; every call has a deadline.
//!
//! # Protocol
//! Both directions carry frames ([`frame`]): a length, a kind, the request's number, a JSON header and a raw
//! payload. Each side first sends a greeting that names the protocol and its version; anything else on the stream
//! (a login message, say) is refused by name. No frame is longer than [`frame::BYTES_MAX`]; files of any size pass
//! in chunks.
//!
//! A request for a process to talk to, or for a TCP connection made on the host, opens a byte stream with its own flow
//! control over the same connection: see [`stream`].
//!
//! # Bounds
//! Every queue in the agent has a limit and refuses by name when full: see [`limits`].
//!
//! # Needs
//! Linux 5.3 or newer (`pidfd_open`).

mod agent;
mod client;
mod clock;
mod digest;
mod error;
mod exec;
mod file;
pub mod frame;
mod job;
pub mod limits;
mod message;
mod probe;
mod sightings;
pub mod socket;
pub mod stream;
mod sys;

pub use agent::samples::SAMPLE_COLUMNS;
pub use agent::{Role, Settings, serve, serve_on};
pub use client::{Client, Stream};
pub use error::{AgentError, Failure};
pub use exec::{ExecRequest, ExecResult, Exit};
pub use file::{FileKind, FileStat, Put};
pub use job::{JobId, JobRequest, JobStatus};
pub use message::AgentInfo;
pub use probe::{
    FlowReport, FlowSent, ProbeKind, ProbeListen, ProbePlan, ProbePort, ProbeReport, ProbeSent, ProbeTarget,
};
pub use sightings::Sightings;
