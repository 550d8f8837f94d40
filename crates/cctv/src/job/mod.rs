//! The counting job: frames in from Kafka, windows of counts out to Kafka.
//!
//! Frames are keyed by camera, so a camera lives in one partition and no shuffle is needed: each of N workers
//! takes the partitions p with p mod N = its number.

mod engine;
mod output;
pub(crate) mod source;
mod spec;
mod watermark;
mod window;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::CommitMode;
use vision::{Judge, Scores};

use crate::clock;
use crate::exit::{Failure, shortened};
use crate::kafka;
use crate::options::{Brokers, span};
use crate::presence::Presence;
use crate::signals;
use crate::tally::{Tally, UNDRAINED};
use engine::Engine;
use output::Output;
use source::Source;
use spec::JobSpec;
use watermark::Watermarks;
use worker::{Board, LATENCY, Status, Task, Worker};

/// Records that may wait for one worker. When its queue is full the job stops reading, and the rest waits in
/// Kafka.
const WORKER_QUEUE: usize = 64;

/// How often offsets are committed.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

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
///   guarantee           at-least-once
///   about               free text
///
/// Frames that come after their window has closed are dropped as `late`, and counted. A window goes to the
/// output topic as one JSON record keyed by its camera. A camera's end marker closes its windows and is
/// passed on. Offsets are committed after the windows they belong to are acknowledged.
///
/// SIGTERM drains: the job goes on until every camera it has seen has ended and all windows are acknowledged,
/// or until `--drain-timeout`; then the windows still open are sent as they are.
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

struct Crew {
    senders: Vec<SyncSender<Task>>,
    boards: Vec<Board>,
    threads: Vec<JoinHandle<()>>,
    given: Vec<u64>,
}

/// Runs the job to its end.
pub(crate) fn run(args: &JobArgs) -> Result<(), Failure> {
    let spec = JobSpec::read(&args.spec)?;
    let presence = Presence::announce(&args.metrics, "job", &args.id)?;
    let tally = Tally::create(&args.metrics, "job", &args.id, LATENCY)?;
    let stop = signals::stop_flag()?;
    let name = format!("job-{}", args.id);
    let mut source =
        Source::open(&args.kafka, &name, &spec.group_id, &spec.input_topic, false, args.connect_timeout)?;
    let config = kafka::producer(&args.kafka, &name, 200_000, Duration::from_millis(5));
    let output = Arc::new(Output::new(&config, &spec.output_topic)?);
    let mut crew = Crew::hire(args, &spec, &source, &output, &tally)?;
    presence.ready()?;
    let outcome = flow(args, &mut source, &mut crew, &tally, &stop);
    let (status, open) = crew.dismiss(&output);
    let committed = source.commit(&status.committable, CommitMode::Sync);
    tally.note(|recorder| {
        for (key, figure) in status.scores.figures() {
            recorder.fact(&key, figure);
        }
        recorder.fact("windows", status.windows);
        recorder.fact("parallelism", args.parallelism);
        recorder.fact("offsets_committed", committed.is_ok());
        if !open.is_empty() {
            recorder.fact(UNDRAINED, open.clone());
        }
    });
    tally.finish("unfinished")?;
    outcome?;
    committed.map_err(|error| {
        Failure::failed(format!("cannot commit the offsets of {:?}: {error}", spec.group_id))
    })?;
    verdict(args, &status, &open, &output)
}

/// Reads and hands out records until the drain is over or has run out.
fn flow(
    args: &JobArgs,
    source: &mut Source,
    crew: &mut Crew,
    tally: &Tally,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut committed = Instant::now();
    let mut drain: Option<(Instant, BTreeMap<i32, i64>)> = None;
    loop {
        if let Some(message) = source.poll(Duration::from_millis(50))? {
            crew.give(message.partition(), Task::Record(Box::new(message), clock::unix_ns()))?;
        }
        tally.tick()?;
        if committed.elapsed() >= COMMIT_INTERVAL {
            committed = Instant::now();
            let committable = crew.status().0.committable;
            if let Err(error) = source.commit(&committable, CommitMode::Async) {
                tally.note(|recorder| recorder.fact("commit_last_error", error.to_string()));
            }
        }
        if drain.is_none() && stop.load(Ordering::Relaxed) {
            drain = Some((Instant::now(), source.ends()?));
        }
        if let Some((since, ends)) = &drain {
            let read = source.has_reached(ends) && crew.is_idle();
            if (read && crew.status().1.is_empty()) || since.elapsed() >= args.drain_timeout {
                return Ok(());
            }
        }
    }
}

fn verdict(args: &JobArgs, status: &Status, open: &[String], output: &Output) -> Result<(), Failure> {
    if let Some(error) = output.error() {
        return Err(Failure::failed(format!("job {}: a window could not be sent: {error}", args.id)));
    }
    if open.is_empty() && status.outstanding == 0 {
        return Ok(());
    }
    Err(Failure::incomplete(format!(
        "job {}: the drain ended after {:?} with {} windows unacknowledged and without the end markers of {} \
         cameras: {}",
        args.id,
        args.drain_timeout,
        status.outstanding,
        open.len(),
        shortened(open)
    )))
}

impl Crew {
    /// Starts the workers.
    fn hire(
        args: &JobArgs,
        spec: &JobSpec,
        source: &Source,
        output: &Arc<Output>,
        tally: &Tally,
    ) -> Result<Self, Failure> {
        let epoch = Instant::now();
        let mut crew =
            Self { senders: Vec::new(), boards: Vec::new(), threads: Vec::new(), given: Vec::new() };
        let number_of = |partition: i32| partition.unsigned_abs() as usize % usize::from(args.parallelism);
        for number in 0..usize::from(args.parallelism) {
            let partitions = source.partitions().filter(|partition| number_of(*partition) == number);
            let ns = |ms: u64| ms * 1_000_000;
            let marks = Watermarks::new(ns(spec.watermark_bound_ms), ns(spec.idle_ms), partitions, 0);
            let engine = Engine::new(marks, ns(spec.window_ms));
            let judge = Judge::new(&spec.counter.to_string(), spec.detect_every)
                .map_err(|error| Failure::failed(error.to_string()))?;
            let board = Board::default();
            let worker =
                Worker::new(engine, judge, Arc::clone(output), tally.clone(), Arc::clone(&board), epoch);
            let (sender, tasks) = sync_channel(WORKER_QUEUE);
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || worker.run(&tasks))
                .map_err(|error| Failure::failed(format!("cannot start a worker: {error}")))?;
            crew.senders.push(sender);
            crew.boards.push(board);
            crew.threads.push(thread);
            crew.given.push(0);
        }
        Ok(crew)
    }

    /// Hands a task to the worker of a partition; waits while its queue is full.
    fn give(&mut self, partition: i32, task: Task) -> Result<(), Failure> {
        let number = partition.unsigned_abs() as usize % self.senders.len();
        self.given[number] += 1;
        self.senders[number].send(task).map_err(|_| Failure::failed("a worker of the job has died"))
    }

    /// The sum of all workers, and the cameras without end marker.
    fn status(&self) -> (Status, Vec<String>) {
        let mut sum = Status { scores: Scores::default(), ..Status::default() };
        let mut open = Vec::new();
        for board in &self.boards {
            let status = board.lock().unwrap_or_else(PoisonError::into_inner);
            sum.tasks += status.tasks;
            sum.outstanding += status.outstanding;
            sum.windows += status.windows;
            sum.committable.extend(&status.committable);
            sum.scores.merge(&status.scores);
            open.extend(status.open_cameras.iter().cloned());
        }
        open.sort();
        (sum, open)
    }

    /// Whether every worker has dealt with all it was given, and all output is acknowledged.
    fn is_idle(&self) -> bool {
        let (status, _) = self.status();
        status.tasks == self.given.iter().sum::<u64>() && status.outstanding == 0
    }

    /// Closes all windows, waits for the receipts, ends the workers.
    fn dismiss(mut self, output: &Output) -> (Status, Vec<String>) {
        let (_, open) = self.status();
        for number in 0..self.senders.len() {
            self.given[number] += 1;
            // A worker that has died keeps its last status.
            let _ = self.senders[number].send(Task::CloseAll);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        output.flush(Duration::from_secs(5));
        while !self.is_idle() && Instant::now() < deadline {
            clock::rest(Duration::from_millis(10));
        }
        let (status, _) = self.status();
        self.senders.clear();
        for thread in self.threads.drain(..) {
            // A worker that panicked has printed why; its frames stay open in the account.
            let _ = thread.join();
        }
        (status, open)
    }
}
