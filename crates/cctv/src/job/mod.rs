//! The counting job: frames in from Kafka, windows of counts out to Kafka.
//!
//! Frames are keyed by camera, so a camera lives in one partition and no shuffle is needed: each of N workers
//! takes the partitions p with p mod N = its number.

mod at_least_once;
mod crew;
mod engine;
mod exactly_once;
mod outlet;
mod output;
mod record;
mod recovery;
pub(crate) mod source;
mod spec;
mod state;
mod transactions;
mod watermark;
mod window;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::exit::{Failure, shortened};
use crate::options::{Brokers, span};
use crate::presence::Presence;
use crate::signals;
use crate::tally::{Tally, UNDRAINED};
use spec::{Guarantee, JobSpec};
use worker::{LATENCY, Status};

/// Count the people in the frames of a topic, per camera and window of event time.
///
/// The job file is JSON:
///
///   input_topic, output_topic, group_id
///   counter             motion or nanodet: who counts the frames that carry no count yet
///   detect_every        check the counter with nanodet on one frame in this many (0: never)
///   watermark_bound_ms  how far out of order the frames of a partition may come
///   idle_ms             a partition silent for this long no longer holds the watermark back
///   window_ms           length of the windows
///   guarantee           at-least-once or exactly-once
///   checkpoint_ms       with exactly-once: how often results, state and offsets become visible (1000)
///   about               free text
///
/// Frames that come after their window has closed are dropped as `late`, and counted. A window goes to the
/// output topic as one JSON record keyed by its camera. A camera's end marker closes its windows and is
/// passed on, with an account of the camera's frames.
///
/// at-least-once: windows go out when they are closed, offsets are committed after the windows they belong to are
/// acknowledged. A job that is killed and started again may write windows twice, then with fewer frames.
///
/// exactly-once (Apache Kafka; the embedded log has no transactions): windows, offsets and the job's memory (open
/// windows, which frames were seen, the accounts) go out every `checkpoint_ms` in one transaction, the memory into
/// the topic `<group_id>-state`. Readers with `isolation.level=read_committed`, as collectors are, see every window
/// once, whatever is killed and started again. A job that is started fences its predecessor, which ends and says so.
/// While the brokers are away the job waits, up to five minutes for a transaction, and says what for.
///
/// SIGTERM drains: the job goes on until every camera it has seen has ended and all windows are acknowledged,
/// or until `--drain-timeout`; then the windows still open are sent as they are (at-least-once) or stay in the
/// memory, for the next job of the group (exactly-once).
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct JobArgs {
    /// The job file
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// Name of this job: 1 to 64 characters of A-Z a-z 0-9 . _ -
    #[arg(long, default_value = "1")]
    id: String,
    /// Kafka brokers, one or more
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Brokers,
    /// What is promised when the job is killed and started again [default: as the job file says]
    #[arg(long, value_enum)]
    guarantee: Option<Guarantee>,
    /// Number of workers
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    parallelism: u16,
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

/// What a running job has, whatever it promises.
struct Stage {
    name: String,
    presence: Presence,
    tally: Tally,
    stop: Arc<AtomicBool>,
}

/// Runs the job to its end.
pub(crate) fn run(args: &JobArgs) -> Result<(), Failure> {
    let spec = JobSpec::read(&args.spec)?;
    let stage = Stage {
        name: format!("job-{}", args.id),
        presence: Presence::announce(&args.metrics, "job", &args.id)?,
        tally: Tally::create(&args.metrics, "job", &args.id, LATENCY)?,
        stop: signals::stop_flag()?,
    };
    match args.guarantee.unwrap_or(spec.guarantee) {
        Guarantee::AtLeastOnce => at_least_once::run(args, &spec, &stage),
        Guarantee::ExactlyOnce => exactly_once::run(args, &spec, &stage),
    }
}

/// How far the counts are from the truth: sums by name.
type Figures = BTreeMap<String, i64>;

/// How a job ended.
struct Ending {
    /// Why a result could not be sent.
    unsent: Option<String>,
    /// Results without receipt.
    outstanding: usize,
    /// Cameras without end marker.
    open: Vec<String>,
    /// What kept the drain from its end.
    obstacle: String,
}

/// Puts what is no frame count into the account.
fn note_facts(args: &JobArgs, tally: &Tally, status: &Status, figures: &Figures, open: &[String]) {
    tally.note(|recorder| {
        for (key, figure) in figures {
            recorder.fact(key, *figure);
        }
        recorder.fact("windows", status.windows);
        recorder.fact("parallelism", args.parallelism);
        if !open.is_empty() {
            recorder.fact(UNDRAINED, open.to_vec());
        }
    });
}

fn verdict(args: &JobArgs, ending: &Ending) -> Result<(), Failure> {
    if let Some(error) = &ending.unsent {
        return Err(Failure::failed(format!("job {}: a window could not be sent: {error}", args.id)));
    }
    if ending.open.is_empty() && ending.outstanding == 0 && ending.obstacle.is_empty() {
        return Ok(());
    }
    Err(Failure::incomplete(format!(
        "job {}: the drain ended after {:?} with {} windows unacknowledged and without the end markers of {} \
         cameras: {}{}",
        args.id,
        args.drain_timeout,
        ending.outstanding,
        ending.open.len(),
        shortened(&ending.open),
        ending.obstacle
    )))
}
