//! A job whose results, state and offsets become visible together, in one Kafka transaction after the other.
//!
//! Now and then a barrier goes through the queues of the workers. At the barrier each hands over all that has changed
//! since the one before: results, cameras, offsets. When all have, a thread of its own puts that into a transaction,
//! while the workers go on. There is one barrier or transaction at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, ConsumerGroupMetadata};
use vision::Scores;

use super::crew::Crew;
use super::outlet::{Held, Outlet};
use super::recovery;
use super::source::Source;
use super::spec::JobSpec;
use super::state::{Identity, State};
use super::transactions::{Batch, Transactions};
use super::worker::{Handover, Task};
use super::{Ending, Figures, JobArgs, Stage, note_facts, verdict};
use crate::clock;
use crate::drain::Drain;
use crate::exit::Failure;
use crate::kafka;
use crate::tally::Tally;

/// Bytes of results that bring the next barrier forward, and at which the job stops reading until a transaction is
/// through.
const HELD_SOON: usize = 8 << 20;
const HELD_MAX: usize = 32 << 20;

/// How long the last transaction may take when the job ends.
const SETTLE: Duration = Duration::from_secs(20);

/// Runs the job to its end.
pub(super) fn run(args: &JobArgs, spec: &JobSpec, stage: &Stage) -> Result<(), Failure> {
    let name = stage.name.as_str();
    let probe: BaseConsumer = kafka::consumer(&args.kafka, name, name)
        .create()
        .map_err(|error| Failure::failed(format!("cannot make a Kafka client: {error}")))?;
    let input = kafka::await_topic(&probe, &args.kafka, &spec.input_topic, args.connect_timeout)?;
    kafka::await_topic(&probe, &args.kafka, &spec.output_topic, args.connect_timeout)?;
    drop(probe);
    let topic = recovery::topic_of(&spec.group_id);
    let transactions = Transactions::fence(&args.kafka, name, spec, &topic)?;
    recovery::ensure(&args.kafka, &topic, input, args.connect_timeout)?;
    let state = recovery::read(&args.kafka, name, &topic)?;
    let mut source =
        Source::open(&args.kafka, name, &spec.group_id, &spec.input_topic, false, args.connect_timeout)?;
    let identity = Identity::new(spec, input.partitions);
    recovery::check(&state, &identity, &source, &spec.group_id)?;
    let group = source.group().ok_or_else(|| Failure::failed("the Kafka consumer has no group"))?;

    remember(&stage.tally, &state);
    let earlier = state.figures.clone();
    let (handovers, gathered) = channel();
    let level = Arc::new(AtomicUsize::new(0));
    let outlet = || Outlet::Held(Held::new(Arc::clone(&level), handovers.clone()));
    let partitions: Vec<i32> = source.partitions().collect();
    let mut crew = Crew::hire(args.parallelism, spec, &partitions, state, &stage.tally, outlet)?;
    let interval = Duration::from_millis(spec.checkpoint_ms);
    let mut checkpoints = Checkpoints::start(
        transactions,
        group,
        (identity, earlier),
        gathered,
        Arc::clone(&level),
        interval,
        &stage.tally,
    )?;
    stage.presence.ready()?;
    let mut drain = Drain::new(Arc::clone(&stage.stop), args.drain_timeout);
    let outcome = flow(&mut source, &mut crew, &mut checkpoints, &stage.tally, &mut drain)
        .and_then(|()| checkpoints.settle(&mut crew));
    let (status, open) = crew.dismiss();
    stage.tally.note(|recorder| recorder.fact("transactions", checkpoints.transactions));
    let figures = sum(&checkpoints.earlier, &status.scores);
    note_facts(args, &stage.tally, &status, &figures, &open);
    stage.tally.finish("unfinished")?;
    outcome
        .map_err(|failure| Failure { message: format!("job {}: {}", args.id, failure.message), ..failure })?;
    verdict(args, &Ending { unsent: status.error, outstanding: 0, open, obstacle: drain.obstacle() })
}

/// The account goes on where the state is.
fn remember(tally: &Tally, state: &State) {
    tally.note(|recorder| {
        recorder.fact("restored_cameras", state.cameras.len());
        for (camera, state) in &state.cameras {
            recorder.restore(camera.as_str(), state.stream.account().clone());
        }
    });
}

/// Reads, hands out records and moves the checkpoints on until the drain is over or has run out.
fn flow(
    source: &mut Source,
    crew: &mut Crew,
    checkpoints: &mut Checkpoints,
    tally: &Tally,
    drain: &mut Drain,
) -> Result<(), Failure> {
    loop {
        if !checkpoints.has_room() {
            clock::rest(Duration::from_millis(2));
        } else if let Some(message) = source.poll(checkpoints.patience())? {
            crew.give(message.partition(), Task::Record(Box::new(message), clock::unix_ns()))?;
        }
        tally.tick()?;
        checkpoints.pulse(crew)?;
        if drain.has_read(source) && crew.is_idle() && crew.status().1.is_empty() || drain.is_over() {
            return Ok(());
        }
    }
}

/// What the checkpoints are at.
enum Phase {
    /// Nothing, until it is time.
    Resting,
    /// So many workers have not reached the barrier.
    Gathering(usize, Batch, Scores),
    /// A transaction is under way.
    Committing,
}

struct Checkpoints {
    batches: SyncSender<Batch>,
    /// Bytes of results that have become visible.
    done: Receiver<Result<usize, Failure>>,
    gathered: Receiver<Handover>,
    level: Arc<AtomicUsize>,
    interval: Duration,
    last: Instant,
    phase: Phase,
    /// Until it has been written.
    identity: Option<Identity>,
    /// The figures of earlier processes.
    earlier: Figures,
    transactions: u64,
}

impl Checkpoints {
    /// Starts the thread that makes the transactions.
    fn start(
        transactions: Transactions,
        group: ConsumerGroupMetadata,
        (identity, earlier): (Identity, Figures),
        gathered: Receiver<Handover>,
        level: Arc<AtomicUsize>,
        interval: Duration,
        tally: &Tally,
    ) -> Result<Self, Failure> {
        let (batches, waiting) = sync_channel::<Batch>(1);
        let (finished, done) = channel();
        let tally = tally.clone();
        let work = move || {
            while let Ok(batch) = waiting.recv() {
                let outcome = transactions.commit(&batch, &group).map(|()| {
                    count(&tally, &batch);
                    batch.memory()
                });
                let failed = outcome.is_err();
                if finished.send(outcome).is_err() || failed {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("transactions".to_owned())
            .spawn(work)
            .map_err(|error| Failure::failed(format!("cannot start the thread of transactions: {error}")))?;
        Ok(Self {
            batches,
            done,
            gathered,
            level,
            interval,
            last: Instant::now(),
            phase: Phase::Resting,
            identity: Some(identity),
            earlier,
            transactions: 0,
        })
    }

    fn has_room(&self) -> bool {
        self.level.load(Ordering::Relaxed) < HELD_MAX
    }

    /// How long to wait for a record before the next look.
    fn patience(&self) -> Duration {
        Duration::from_millis(if matches!(self.phase, Phase::Resting) { 50 } else { 2 })
    }

    /// Moves on as far as that is possible now.
    fn pulse(&mut self, crew: &mut Crew) -> Result<(), Failure> {
        let died = || Failure::failed("a thread of the job has died");
        match &mut self.phase {
            Phase::Resting => {
                let soon = self.level.load(Ordering::Relaxed) >= HELD_SOON;
                if soon || self.last.elapsed() >= self.interval {
                    self.last = Instant::now();
                    self.phase = Phase::Gathering(
                        crew.give_all(|| Task::Barrier)?,
                        Batch::default(),
                        Scores::default(),
                    );
                }
            }
            Phase::Gathering(missing, batch, scores) => {
                while *missing > 0 {
                    match self.gathered.try_recv() {
                        Ok(handover) => {
                            batch.add(handover.records, handover.state);
                            scores.merge(&handover.scores);
                            *missing -= 1;
                        }
                        Err(TryRecvError::Empty) => return Ok(()),
                        Err(TryRecvError::Disconnected) => return Err(died()),
                    }
                }
                let mut batch = std::mem::take(batch);
                batch.state.figures = sum(&self.earlier, scores);
                self.phase = Phase::Resting;
                if !batch.is_empty() {
                    batch.state.identity = self.identity.take();
                    self.batches.send(batch).map_err(|_| died())?;
                    self.phase = Phase::Committing;
                }
            }
            Phase::Committing => match self.done.try_recv() {
                Ok(outcome) => {
                    self.level.fetch_sub(outcome?, Ordering::Relaxed);
                    self.transactions += 1;
                    self.phase = Phase::Resting;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(died()),
            },
        }
        Ok(())
    }

    /// Makes everything visible that the workers have been given.
    fn settle(&mut self, crew: &mut Crew) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLE;
        // The barrier that may be under way does not count: it left before the last records.
        for _ in 0..2 {
            loop {
                self.pulse(crew)?;
                if matches!(self.phase, Phase::Resting) {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(Failure::incomplete(format!(
                        "the last transaction was not through after {SETTLE:?}; the next job of the group goes on from \
                         the one before"
                    )));
                }
                clock::rest(Duration::from_millis(2));
            }
            self.interval = Duration::ZERO;
        }
        Ok(())
    }
}

/// The figures of earlier processes and of this one.
fn sum(earlier: &Figures, scores: &Scores) -> Figures {
    let mut sum = earlier.clone();
    for (name, figure) in scores.figures() {
        let whole = sum.entry(name).or_default();
        *whole = whole.saturating_add(figure);
    }
    sum
}

/// What has become visible has left the job.
fn count(tally: &Tally, batch: &Batch) {
    tally.note(|recorder| {
        for record in &batch.records {
            recorder.frames_out(record.camera.as_str(), record.frames, record.payload.len());
        }
    });
}
