//! A one-node log that speaks Kafka's protocol.
//!
//! [`Server::start`] opens a data folder and serves it to ordinary Kafka clients: topics with partitions, produce
//! (also idempotent), fetch, consumer groups with the classic protocol, committed offsets. Wire format:
//! <https://kafka.apache.org/protocol.html>, versions in `shape.rs`.
//!
//! ```no_run
//! let config = kafka_log::Config::new(([127, 0, 0, 1], 9092).into(), "/tmp/log");
//! let server = kafka_log::Server::start(config)?;
//! println!("serving on {}", server.address());
//! server.shutdown();
//! # Ok::<(), kafka_log::StartError>(())
//! ```
//!
//! # How it works
//! Record batches are stored as they arrive: the CRC is verified once, base offset and leader epoch are set in the
//! header, which the CRC does not cover. A fetch hands whole batches from the segment files to the socket with
//! `sendfile`. Each connection has a thread and one request in work, as in Kafka's request order.
//! Partition folders and segment files are named as Kafka names them, and hold the same bytes.
//!
//! # What it promises
//! What was acknowledged survives the death of the process (`kill -9`); it is in the page cache, not synced, so a
//! power cut may lose the newest records. A torn end is cut off at start. Disk is bounded by the configured
//! retention, memory by [`Limits`]; what happens at each bound is said there. A full disk answers
//! `KAFKA_STORAGE_ERROR` and is told as an [`Event`].
//!
//! # What it is not
//! One node, no replicas, no TLS, no authentication, no quotas, no compaction, no transactions (a transactional
//! producer is refused when it asks for its coordinator). Producer state keeps epochs and the fetch path a last
//! stable offset, so that transactions can be added.

mod api;
mod batch;
mod clock;
mod config;
mod connection;
mod event;
mod groups;
mod log;
mod node;
mod server;
mod shape;
mod sync;
mod sys;
mod topics;
mod wire;

pub use config::{Advertised, Config, Limits};
pub use event::{Event, EventSink};
pub use server::{Server, StartError};
