//! The workers of a job, and the threads they run in.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use vision::Judge;

use super::engine::Engine;
use super::outlet::Outlet;
use super::spec::JobSpec;
use super::state::{CameraState, State};
use super::watermark::Watermarks;
use super::worker::{Board, Status, Task, Worker};
use crate::exit::Failure;
use crate::tally::Tally;

/// Records that may wait for one worker. When its queue is full the job stops reading, and the rest waits in
/// Kafka.
const WORKER_QUEUE: usize = 64;

/// See the module. Partition p belongs to the worker p mod N.
pub(super) struct Crew {
    senders: Vec<SyncSender<Task>>,
    boards: Vec<Board>,
    threads: Vec<JoinHandle<()>>,
    given: Vec<u64>,
}

impl Crew {
    /// Starts `size` workers, which go on where `state` is.
    pub(super) fn hire(
        size: u16,
        spec: &JobSpec,
        partitions: &[i32],
        state: State,
        tally: &Tally,
        outlet: impl Fn() -> Outlet,
    ) -> Result<Self, Failure> {
        let epoch = Instant::now();
        let mut crew =
            Self { senders: Vec::new(), boards: Vec::new(), threads: Vec::new(), given: Vec::new() };
        let number_of = |partition: i32| partition.unsigned_abs() as usize % usize::from(size);
        let mut cameras: Vec<Vec<CameraState>> = (0..size).map(|_| Vec::new()).collect();
        for (_, camera) in state.cameras {
            cameras[number_of(camera.stream.partition())].push(camera);
        }
        for (number, cameras) in cameras.into_iter().enumerate() {
            let mine = |partition: &i32| number_of(*partition) == number;
            let ns = |ms: u64| ms * 1_000_000;
            let silent = partitions.iter().copied().filter(mine);
            let marks = Watermarks::new(ns(spec.watermark_bound_ms), ns(spec.idle_ms), silent, 0);
            let mut engine = Engine::new(marks, ns(spec.window_ms));
            let known: BTreeMap<_, _> = state
                .partitions
                .iter()
                .filter(|(partition, _)| mine(partition))
                .map(|(p, s)| (*p, s.clone()))
                .collect();
            engine.restore(cameras, &known, 0);
            let judge = Judge::new(&spec.counter.to_string(), spec.detect_every)
                .map_err(|error| Failure::failed(error.to_string()))?;
            let board = Board::default();
            let worker = Worker::new(engine, judge, outlet(), tally.clone(), board.clone(), epoch);
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
    pub(super) fn give(&mut self, partition: i32, task: Task) -> Result<(), Failure> {
        let number = partition.unsigned_abs() as usize % self.senders.len();
        self.give_to(number, task)
    }

    /// Hands a task to every worker, behind all that was given before; says how many there are.
    pub(super) fn give_all(&mut self, task: impl Fn() -> Task) -> Result<usize, Failure> {
        for number in 0..self.senders.len() {
            self.give_to(number, task())?;
        }
        Ok(self.senders.len())
    }

    fn give_to(&mut self, number: usize, task: Task) -> Result<(), Failure> {
        self.given[number] += 1;
        self.senders[number].send(task).map_err(|_| Failure::failed("a worker of the job has died"))
    }

    /// The sum of all workers, and the cameras without end marker.
    pub(super) fn status(&self) -> (Status, Vec<String>) {
        let mut sum = Status::default();
        let mut open = Vec::new();
        for board in &self.boards {
            let status = board.lock().unwrap_or_else(PoisonError::into_inner);
            sum.tasks += status.tasks;
            sum.outstanding += status.outstanding;
            sum.windows += status.windows;
            sum.committable.extend(&status.committable);
            sum.scores.merge(&status.scores);
            sum.error = sum.error.or_else(|| status.error.clone());
            open.extend(status.open_cameras.iter().cloned());
        }
        open.sort();
        (sum, open)
    }

    /// Whether every worker has dealt with all it was given, and all output is acknowledged.
    pub(super) fn is_idle(&self) -> bool {
        let (status, _) = self.status();
        status.tasks == self.given.iter().sum::<u64>() && status.outstanding == 0
    }

    /// Ends the workers when they have dealt with all they were given, and says how they ended.
    pub(super) fn dismiss(mut self) -> (Status, Vec<String>) {
        self.senders.clear();
        for thread in self.threads.drain(..) {
            // A worker that panicked has printed why; its frames stay open in the account.
            let _ = thread.join();
        }
        self.status()
    }
}
