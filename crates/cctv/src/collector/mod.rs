//! The collectors: read a topic to its end and measure how old its records are.

mod sink;

use std::path::PathBuf;
use std::time::Duration;

use rdkafka::Message;

use crate::clock;
use crate::drain::Drain;
use crate::exit::{Failure, shortened};
use crate::job::source::Source;
use crate::options::{Brokers, span};
use crate::presence::Presence;
use crate::signals;
use crate::tally::{Tally, UNDRAINED};
use sink::{Seen, Sink};

/// Which end of the cloud a collector listens at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum As {
    /// Frames: latencies `fog-to-cloud` (received by the gateway until seen here) and `capture-to-cloud`
    InSink,
    /// Windows: latency `end-to-end` (intended capture of the window's last frame until seen here)
    OutSink,
}

/// Measure the latency of a topic's records.
///
/// Reads all partitions from the earliest record on, without a consumer group; of transactions, those that were
/// committed. Records that were there before
/// the collector was ready are counted (fact `before_ready`), but their latency is not recorded: it would say
/// when the collector was started.
///
/// SIGTERM drains: the collector goes on until it has read all there was at that moment and every camera it
/// has seen has ended, or until `--drain-timeout`.
#[derive(Debug, clap::Args)]
pub(crate) struct CollectorArgs {
    /// Kafka brokers, one or more
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Brokers,
    /// Topic to read
    #[arg(long)]
    topic: String,
    /// What the topic carries, and so what is measured
    #[arg(long = "as", value_enum, value_name = "SINK")]
    role: As,
    /// Name of this collector: 1 to 64 characters of A-Z a-z 0-9 . _ -
    #[arg(long, default_value = "1")]
    id: String,
    /// Folder for metrics, pid and ready files
    #[arg(long, value_name = "DIR")]
    metrics: PathBuf,
    /// How long to try to reach the broker at the start
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    connect_timeout: Duration,
    /// How long to drain after SIGTERM
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "30s")]
    drain_timeout: Duration,
}

/// Runs the collector to its end.
pub(crate) fn run(args: &CollectorArgs) -> Result<(), Failure> {
    let (role, latency) = match args.role {
        As::InSink => ("in-sink", sink::FOG_TO_CLOUD),
        As::OutSink => ("out-sink", sink::END_TO_END),
    };
    let presence = Presence::announce(&args.metrics, role, &args.id)?;
    let tally = Tally::create(&args.metrics, role, &args.id, latency)?;
    let stop = signals::stop_flag()?;
    let name = format!("{role}-{}", args.id);
    let mut source = Source::open(&args.kafka, &name, &name, &args.topic, true, args.connect_timeout)?;
    let mut sink = Sink::new(args.role, source.ends()?, tally.clone());
    presence.ready()?;
    let mut drain = Drain::new(stop, args.drain_timeout);
    let outcome = listen(&mut source, &mut sink, &tally, &mut drain);
    sink.note_facts();
    let open = sink.open_cameras();
    if !open.is_empty() {
        tally.note(|recorder| recorder.fact(UNDRAINED, open.clone()));
    }
    tally.finish("unfinished")?;
    if outcome? && open.is_empty() {
        return Ok(());
    }
    Err(Failure::incomplete(format!(
        "{role} {}: the drain ended after {:?} without the end of {} cameras: {}{}",
        args.id,
        args.drain_timeout,
        open.len(),
        shortened(&open),
        drain.obstacle()
    )))
}

/// Reads until drained; false when the drain ran out.
fn listen(source: &mut Source, sink: &mut Sink, tally: &Tally, drain: &mut Drain) -> Result<bool, Failure> {
    loop {
        if let Some(message) = source.poll(Duration::from_millis(100))? {
            let seen = Seen {
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().unwrap_or_default(),
                payload: message.payload().unwrap_or_default(),
                at_unix_ns: clock::unix_ns(),
            };
            sink.take(&seen, message.headers());
        }
        tally.tick()?;
        if drain.has_read(source) && sink.open_cameras().is_empty() {
            return Ok(true);
        }
        if drain.is_over() {
            return Ok(false);
        }
    }
}
