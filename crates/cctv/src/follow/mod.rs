//! Stands in for the metric files of a job that runs elsewhere, from what can be seen of it in Kafka.

mod progress;
mod stream;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::clock;
use crate::drain::Drain;
use crate::exit::{Failure, shortened};
use crate::job::source::Source;
use crate::options::{Brokers, span};
use crate::presence::Presence;
use crate::signals;
use crate::tally::{Tally, UNDRAINED};
use progress::Progress;
use stream::{LATENCY, Streams};

/// How often the brokers are asked how far the job is, once the drain has begun.
const LOOK: Duration = Duration::from_millis(500);

/// Write the metric files of a job that runs elsewhere, for instance in Flink.
///
/// Reads the job's output topic from the earliest record on (of transactions, those that were committed) and writes
/// job-ID.hlog, job-ID.csv and job-ID.account.json as `cctv job` would: throughput from the frames in the windows,
/// accounts from the cameras' end records. The latency is `window-end-to-readable`: from the end of a window's span of
/// event time until the window could be read. CPU time and memory are those of this process, not of the job.
///
/// SIGTERM drains: this goes on until GROUP's committed offsets have reached the end of the input topic, no transaction
/// is open on the output topic, and every camera seen has its end record, or until `--drain-timeout`. A camera whose
/// windows hold other frames than its end record says makes this end with exit code 3.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowArgs {
    /// Name of the job: 1 to 64 characters of A-Z a-z 0-9 . _ -
    #[arg(long, default_value = "1")]
    id: String,
    /// Kafka brokers, one or more
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Brokers,
    /// The job's input topic
    #[arg(long, value_name = "TOPIC", default_value = "in-uni-data")]
    input: String,
    /// The job's output topic
    #[arg(long, value_name = "TOPIC", default_value = "out-uni-data")]
    output: String,
    /// The consumer group under which the job commits its offsets
    #[arg(long, value_name = "GROUP")]
    group: String,
    /// Folder for metrics, pid and ready files
    #[arg(long, value_name = "DIR")]
    metrics: PathBuf,
    /// How long to try to reach the brokers at the start
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    connect_timeout: Duration,
    /// How long to drain after SIGTERM
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "30s")]
    drain_timeout: Duration,
}

/// Runs until the job has done all there was to do.
pub(crate) fn run(args: &FollowArgs) -> Result<(), Failure> {
    let presence = Presence::announce(&args.metrics, "job", &args.id)?;
    let tally = Tally::create(&args.metrics, "job", &args.id, LATENCY)?;
    let stop = signals::stop_flag()?;
    let name = format!("follow-{}", args.id);
    let progress = Progress::open(
        &args.kafka,
        &name,
        &args.group,
        [args.input.as_str(), args.output.as_str()],
        args.connect_timeout,
    )?;
    let mut source = Source::open(&args.kafka, &name, &name, &args.output, true, args.connect_timeout)?;
    let mut streams = Streams::new(source.ends()?, tally.clone());
    presence.ready()?;
    let mut drain = Drain::new(stop, args.drain_timeout);
    let outcome = listen(&mut source, &mut streams, &progress, &tally, &mut drain);
    let (open, mismatched) = (streams.open_cameras(), streams.mismatched());
    tally.note(|recorder| {
        recorder.fact("followed_group", args.group.as_str());
        recorder.fact("windows", streams.windows());
        if !mismatched.is_empty() {
            recorder.fact("mismatched", mismatched.clone());
        }
        if !open.is_empty() || !matches!(outcome, Ok(None)) {
            recorder.fact(UNDRAINED, open.clone());
        }
    });
    tally.finish("unfinished")?;
    if let Some(behind) = outcome? {
        return Err(Failure::incomplete(format!(
            "follow {}: the drain ended after {:?}: {behind}; {} cameras have no end record: {}{}",
            args.id,
            args.drain_timeout,
            open.len(),
            shortened(&open),
            drain.obstacle()
        )));
    }
    if mismatched.is_empty() {
        return Ok(());
    }
    Err(Failure::incomplete(format!(
        "follow {}: {} cameras have windows that do not hold what their end records say: {}",
        args.id,
        mismatched.len(),
        shortened(&mismatched)
    )))
}

/// Reads until drained; otherwise says what was missing when the drain ran out.
fn listen(
    source: &mut Source,
    streams: &mut Streams,
    progress: &Progress,
    tally: &Tally,
    drain: &mut Drain,
) -> Result<Option<String>, Failure> {
    let mut looked = Instant::now();
    let mut behind = Some("the job was not asked how far it is".to_owned());
    loop {
        if let Some(message) = source.poll(Duration::from_millis(100))? {
            streams.take(&message, clock::unix_ns());
        }
        tally.tick()?;
        if !drain.has_begun() {
            continue;
        }
        if behind.is_some() && looked.elapsed() >= LOOK {
            looked = Instant::now();
            behind = progress.shortfall();
        }
        if behind.is_none() && drain.has_read(source) && streams.open_cameras().is_empty() {
            return Ok(None);
        }
        if drain.is_over() {
            return Ok(Some(behind.unwrap_or_else(|| "the job has read everything".to_owned())));
        }
    }
}
