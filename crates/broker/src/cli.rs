//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::size::{Advertise, Millis, Size};

/// Run an embedded broker, or wait for one.
#[derive(Debug, Parser)]
#[command(
    version,
    about = "Run an embedded broker in the foreground, or wait until one answers",
    after_help = "A broker prints one line `ready on ADDRESS` to standard output once it accepts clients, and runs until \
                  SIGTERM or SIGINT.\nTrouble goes to standard error; exit code 1 means that it could not start, 2 that \
                  the command line is wrong.\n\nSizes are bytes, or a number with KiB, MiB or GiB."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// An MQTT broker: versions 3.1.1 and 5 on one port, anonymous clients
    #[command(
        after_help = "Example:\n  broker mqtt --listen 0.0.0.0:1883\n\nNothing is kept on disk. A subscriber that falls \
                            behind by more than --queue messages loses the newer ones."
    )]
    Mqtt(Mqtt),
    /// A one-node log that speaks Kafka's protocol
    #[command(
        after_help = "Example:\n  broker kafka --listen 0.0.0.0:9092 --advertise 10.0.0.2:9092 --data /opt/kafka/data\n\n\
                            Records survive the death of the process. There are no transactions, replicas or passwords.\n\
                            Topics are created by clients, for example:\n  kcat -L -b 10.0.0.2:9092   (lists them)"
    )]
    Kafka(Kafka),
    /// Wait until a broker answers its protocol
    #[command(
        after_help = "Example:\n  broker probe kafka 10.0.0.2:9092 --timeout 10s\n\nEnds with 0 as soon as the broker \
                            answers, with 1 when the time is over; the last reason is printed."
    )]
    Probe(Probe),
}

#[derive(Debug, Args)]
pub(crate) struct Mqtt {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Largest packet accepted, payload and properties together
    #[arg(long, value_name = "SIZE", default_value = "2MiB")]
    pub(crate) max_packet: Size,
    /// Messages kept for one subscriber that is slower than its publishers
    #[arg(long, value_name = "MESSAGES", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) queue: u32,
    /// Messages of QoS 1 and 2 on the way to one subscriber without its acknowledgement
    #[arg(long, value_name = "MESSAGES", default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) inflight: u16,
    /// Clients connected at once; further ones are closed
    #[arg(long, value_name = "CLIENTS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Kafka {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Host and port that clients are told to connect to [default: the address listened on]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<Advertise>,
    /// Folder of the log, made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Bytes that one partition keeps at most; its oldest records go first
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub(crate) retention_bytes: Size,
    /// Bytes that all partitions keep at most [default: 8GiB, or --retention-bytes if that is more]
    #[arg(long, value_name = "SIZE")]
    pub(crate) retention_bytes_total: Option<Size>,
    /// Age at which records go, in milliseconds; -1 keeps them until space is needed
    #[arg(long, value_name = "MS", default_value = "86400000", allow_negative_numbers = true)]
    pub(crate) retention_ms: Millis,
    /// Bytes of one segment file; a quarter of what a partition keeps if that is less
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) segment_bytes: Size,
    /// Largest record batch accepted
    #[arg(long, value_name = "SIZE", default_value = "2MiB")]
    pub(crate) message_max_bytes: Size,
    /// Create a topic when a client asks for one that does not exist
    #[arg(long)]
    pub(crate) auto_create_topics: bool,
    /// Partitions of a topic that is created without a number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub(crate) partitions: i32,
}

#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// The protocol to speak
    pub(crate) protocol: Protocol,
    /// Host and port of the broker
    #[arg(value_name = "HOST:PORT")]
    pub(crate) address: String,
    /// How long to wait: a number with ms, s or min
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = crate::size::duration)]
    pub(crate) timeout: std::time::Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// CONNECT is answered by CONNACK with return code 0
    Mqtt,
    /// ApiVersions and Metadata are answered
    Kafka,
}
