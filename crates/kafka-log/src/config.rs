//! What a server can be told before it starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::EventSink;

/// The address that clients are told to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// Host name or address, as clients can resolve it.
    pub host: String,
    /// Port; 0 stands for the port that is listened on.
    pub port: u16,
}

/// Bounds on what clients can make the server hold. What happens at each bound is said with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections. One more is closed at once.
    pub connections_max: usize,
    /// Bytes of one request. A larger one closes its connection.
    pub request_bytes_max: usize,
    /// Bytes of all requests being read or worked on. Further connections wait before they read.
    pub request_bytes_total: usize,
    /// Bytes of records in one fetch response; less is sent when a client asks for more.
    pub fetch_bytes_max: u64,
    /// Partitions of all topics. Creating more is refused with `POLICY_VIOLATION`.
    pub partitions_max: usize,
    /// Producers remembered per partition. The one idle for longest is forgotten; when it comes back, its
    /// sequence is taken as it is.
    pub producers_per_partition: usize,
    /// Consumer groups with members. Joining one more is refused with `GROUP_MAX_SIZE_REACHED`.
    pub groups_max: usize,
    /// Members of one group. One more is refused with `GROUP_MAX_SIZE_REACHED`.
    pub group_members_max: usize,
    /// Committed offsets of all groups. A new one beyond is refused with `INVALID_COMMIT_OFFSET_SIZE`.
    pub offsets_max: usize,
    /// A connection without a request for this long is closed.
    pub idle: Duration,
    /// A request that is not read, or a response that is not taken, within this time closes the connection.
    pub transfer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            request_bytes_max: 16 << 20,
            request_bytes_total: 128 << 20,
            fetch_bytes_max: 64 << 20,
            partitions_max: 1024,
            producers_per_partition: 1024,
            groups_max: 256,
            group_members_max: 256,
            offsets_max: 100_000,
            idle: Duration::from_secs(600),
            transfer: Duration::from_secs(30),
        }
    }
}

/// Configuration of a [`Server`](crate::Server). Names follow Kafka's where Kafka has one.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What clients are told to connect to; `None` advertises `listen`, which must then be a real address.
    pub advertise: Option<Advertised>,
    /// Folder of the log; created if absent, locked while in use.
    pub data_dir: PathBuf,
    /// Bytes that one partition keeps at most; the oldest segments go first.
    pub retention_bytes: u64,
    /// Bytes that all partitions keep at most: each gets an equal part if that is less than `retention_bytes`.
    pub retention_bytes_total: u64,
    /// Age after which a segment is deleted, by its newest record; `None` keeps records until space is needed.
    pub retention: Option<Duration>,
    /// Bytes after which a new segment is begun; a quarter of what the partition may keep if that is less.
    pub segment_bytes: u64,
    /// Bytes of the largest record batch accepted (`message.max.bytes`).
    pub message_bytes_max: usize,
    /// Whether asking for an unknown topic creates it.
    pub auto_create_topics: bool,
    /// Partitions of a topic created without a number.
    pub partitions_default: i32,
    /// How long the first members of an empty group wait for others (`group.initial.rebalance.delay.ms`).
    pub group_initial_delay: Duration,
    /// Bounds.
    pub limits: Limits,
    /// Where events go.
    pub events: EventSink,
}

impl Config {
    /// A configuration with defaults that suit one laptop: 256 MiB per partition, 8 GiB in total, segments of
    /// 64 MiB, records kept for a day, batches of up to 2 MiB.
    pub fn new(listen: SocketAddr, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen,
            advertise: None,
            data_dir: data_dir.into(),
            retention_bytes: 256 << 20,
            retention_bytes_total: 8 << 30,
            retention: Some(Duration::from_secs(24 * 3600)),
            segment_bytes: 64 << 20,
            message_bytes_max: 2 << 20,
            auto_create_topics: false,
            partitions_default: 1,
            group_initial_delay: Duration::from_millis(300),
            limits: Limits::default(),
            events: EventSink::silent(),
        }
    }

    /// Refuses values that cannot work together, naming the one to change.
    pub(crate) fn fault(&self) -> Option<String> {
        let message = self.message_bytes_max as u64;
        if self.message_bytes_max < 1024 || self.message_bytes_max > 1 << 30 {
            return Some(format!("message_bytes_max is {message}; give 1024 to 1073741824 bytes"));
        }
        if self.retention_bytes < message.saturating_mul(4) {
            return Some(format!(
                "retention_bytes is {}; give at least four times message_bytes_max ({message})",
                self.retention_bytes
            ));
        }
        if self.retention_bytes_total < self.retention_bytes {
            return Some(format!(
                "retention_bytes_total is {}; give at least retention_bytes ({})",
                self.retention_bytes_total, self.retention_bytes
            ));
        }
        if self.segment_bytes < 4096 || self.segment_bytes > 1 << 30 {
            return Some(format!("segment_bytes is {}; give 4096 to 1073741824 bytes", self.segment_bytes));
        }
        if self.limits.request_bytes_max < self.message_bytes_max.saturating_add(4096) {
            return Some(format!(
                "request_bytes_max is {}; give at least message_bytes_max and 4096 bytes ({})",
                self.limits.request_bytes_max,
                self.message_bytes_max + 4096
            ));
        }
        if self.limits.request_bytes_total < self.limits.request_bytes_max {
            return Some("request_bytes_total is less than request_bytes_max; give at least as much".into());
        }
        if self.partitions_default < 1 {
            return Some(format!("partitions_default is {}; give at least 1", self.partitions_default));
        }
        None
    }
}
