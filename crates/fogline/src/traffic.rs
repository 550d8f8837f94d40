//! `fogline __traffic`: what hosts send each other while `fogline bench network` measures. One line of JSON on
//! standard output says what came of it; both ends of a measurement stamp by the machine's one clock.

mod echo;
mod flood;
mod packet;
mod tcp;
mod udp;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// One end of a measurement.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Traffic {
    /// Receives bulk TCP.
    TcpReceive(TcpReceive),
    /// Sends bulk TCP until the receiver has enough.
    TcpSend(TcpSend),
    /// Sends back what TCP connections bring, each until its other side has ended.
    TcpAnswer(TcpAnswer),
    /// Receives numbered datagrams.
    UdpReceive(UdpReceive),
    /// Sends numbered datagrams.
    UdpSend(UdpSend),
    /// Sends ICMP echo requests, which the other host's kernel answers.
    Echo(Echo),
    /// Sends datagrams one by one to `udp-answer`.
    UdpEcho(Echo),
    /// Answers `udp-echo`.
    UdpAnswer(UdpAnswer),
    /// Sends small datagrams as fast as it can, to whom it may concern.
    Flood(Flood),
    /// Keeps cores busy.
    Spin(Spin),
}

/// Arguments of `tcp-receive`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TcpReceive {
    /// Port to listen on.
    #[arg(long)]
    pub(crate) port: u16,
    /// Connections to wait for.
    #[arg(long, default_value_t = 1)]
    pub(crate) flows: usize,
    /// Beginning that does not count, seconds, from the moment when all connections are there.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) skip: f64,
    /// What counts, seconds.
    #[arg(long)]
    pub(crate) seconds: f64,
}

/// Arguments of `tcp-send`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TcpSend {
    /// The receiver.
    #[arg(long)]
    pub(crate) to: SocketAddrV4,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    pub(crate) flows: usize,
    /// Payload per second and connection, bits; without limit when absent.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Bytes handed to the kernel at once.
    #[arg(long, default_value_t = 128 << 10)]
    pub(crate) block: usize,
}

/// Arguments of `tcp-answer`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TcpAnswer {
    /// Port to listen on.
    #[arg(long)]
    pub(crate) port: u16,
    /// Life, seconds.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) patience: f64,
}

/// Arguments of `udp-receive`.
#[derive(Clone, Debug, Args)]
pub(crate) struct UdpReceive {
    /// Port to receive on.
    #[arg(long)]
    pub(crate) port: u16,
    /// Beginning that does not count for the rate, seconds, from the first arrival.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) skip: f64,
    /// Longest wait for the end, seconds.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) patience: f64,
    /// Whether to tell every single one-way delay.
    #[arg(long)]
    pub(crate) delays: bool,
}

/// Arguments of `udp-send`.
#[derive(Clone, Debug, Args)]
pub(crate) struct UdpSend {
    /// The receiver.
    #[arg(long)]
    pub(crate) to: SocketAddrV4,
    /// Bytes of UDP payload.
    #[arg(long, default_value_t = 100)]
    pub(crate) payload: usize,
    /// Datagrams handed to the kernel at once, which cuts them apart (UDP segmentation).
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=32))]
    pub(crate) segments: u64,
    /// Datagrams per second; as many as go when absent.
    #[arg(long)]
    pub(crate) pace: Option<f64>,
    /// Most datagrams.
    #[arg(long, default_value_t = u64::MAX)]
    pub(crate) packets: u64,
    /// Longest sending, seconds.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) seconds: f64,
}

/// Arguments of `echo` and `udp-echo`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Echo {
    /// Who answers (the port counts for `udp-echo` only).
    #[arg(long)]
    pub(crate) to: SocketAddrV4,
    /// Round trips.
    #[arg(long)]
    pub(crate) count: u32,
    /// Time from one to the next, microseconds; a later answer delays the next.
    #[arg(long, default_value_t = 0)]
    pub(crate) interval_us: u64,
}

/// Arguments of `udp-answer`.
#[derive(Clone, Debug, Args)]
pub(crate) struct UdpAnswer {
    /// Port to receive on.
    #[arg(long)]
    pub(crate) port: u16,
    /// Longest life, seconds.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) patience: f64,
}

/// Arguments of `flood`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Flood {
    /// Where to; nobody needs to listen.
    #[arg(long)]
    pub(crate) to: SocketAddrV4,
    /// Bytes of UDP payload.
    #[arg(long, default_value_t = 64)]
    pub(crate) payload: usize,
    /// How long, seconds.
    #[arg(long)]
    pub(crate) seconds: f64,
}

/// Arguments of `spin`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Spin {
    /// Threads.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// How long, seconds.
    #[arg(long)]
    pub(crate) seconds: f64,
}

/// What a TCP receiver got in the time that counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TcpReceived {
    /// Payload.
    pub(crate) bytes: u64,
    /// In so many seconds.
    pub(crate) seconds: f64,
}

/// What a sender handed to the kernel.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Datagrams that the kernel took, or blocks of a TCP sender.
    pub(crate) packets: u64,
    /// Datagrams that it refused (buffer full).
    pub(crate) refused: u64,
    /// Time that it took, seconds.
    pub(crate) seconds: f64,
}

/// What a receiver of numbered datagrams got.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct UdpReceived {
    /// Datagrams that the sender says it has sent.
    pub(crate) sent: u64,
    /// Different datagrams received.
    pub(crate) packets: u64,
    /// Datagrams that came again.
    pub(crate) duplicates: u64,
    /// Datagrams that the receiving socket dropped: not the network's doing.
    pub(crate) socket_drops: u64,
    /// Payload after the skipped beginning, the first datagram there left out.
    pub(crate) rate_bytes: u64,
    /// Datagrams of which that is the payload.
    pub(crate) rate_packets: u64,
    /// From that first datagram to the last, by the kernel's stamps, seconds.
    pub(crate) rate_seconds: f64,
    /// Kernel's receive stamp less sender's stamp of each datagram, nanoseconds.
    pub(crate) delays_ns: Vec<i64>,
}

/// Round trips.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trips {
    /// Kernel's receive stamp of the answer less the sender's stamp, nanoseconds, in order.
    pub(crate) nanos: Vec<i64>,
    /// Requests without an answer.
    pub(crate) unanswered: u32,
}

/// Runs one end and prints its result.
pub(crate) fn run(traffic: &Traffic) -> ExitCode {
    let result = match traffic {
        Traffic::TcpReceive(args) => tcp::receive(args).and_then(|it| json(&it)),
        Traffic::TcpSend(args) => tcp::send(args).and_then(|it| json(&it)),
        Traffic::TcpAnswer(args) => tcp::answer(args).and_then(|it| json(&it)),
        Traffic::UdpReceive(args) => udp::receive(args).and_then(|it| json(&it)),
        Traffic::UdpSend(args) => udp::send(args).and_then(|it| json(&it)),
        Traffic::Echo(args) => echo::icmp(args).and_then(|it| json(&it)),
        Traffic::UdpEcho(args) => echo::udp(args).and_then(|it| json(&it)),
        Traffic::UdpAnswer(args) => echo::answer(args).and_then(|it| json(&it)),
        Traffic::Flood(args) => flood::flood(args).and_then(|it| json(&it)),
        Traffic::Spin(args) => json(&flood::spin(args)),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn json(value: &impl Serialize) -> io::Result<String> {
    serde_json::to_string(value).map_err(io::Error::other)
}

/// The address on which receivers listen.
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// A time-out or a buffer that was full, not a failure.
fn is_busy(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
        || error.raw_os_error() == Some(libc::ENOBUFS)
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what.to_owned())
}

fn wait_until(moment: Instant) {
    while let Some(rest) = moment.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        std::thread::park_timeout(rest);
    }
}

/// Seconds from a command line, which may be anything.
fn seconds(value: f64) -> io::Result<Duration> {
    Duration::try_from_secs_f64(value).map_err(|error| io::Error::other(format!("{value} seconds: {error}")))
}
