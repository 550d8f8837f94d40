//! Threads for requests: as many as are needed, up to a limit; what is beyond waits in a bounded queue.

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

type Task = Box<dyn FnOnce() + Send>;

pub(super) struct Pool {
    name: &'static str,
    threads_max: usize,
    queue_max: usize,
    threads: AtomicUsize,
    idle: Arc<AtomicUsize>,
    tasks: Sender<Task>,
    taken: Receiver<Task>,
}

impl Pool {
    pub(super) fn new(name: &'static str, threads_max: usize, queue_max: usize) -> Self {
        // A bounded channel would take its memory at once: a megabyte for each of maybe a thousand hosts.
        let (tasks, taken) = unbounded();
        let idle = Arc::new(AtomicUsize::new(0));
        Self { name, threads_max, queue_max, threads: AtomicUsize::new(0), idle, tasks, taken }
    }

    /// Runs `task` on a thread of the pool; why not, when the queue is full or no thread can be had. Called from one
    /// thread only, so neither the threads nor the tasks that wait can overshoot.
    pub(super) fn run(&self, task: Task) -> Result<(), String> {
        let threads = self.threads.load(Ordering::Acquire);
        if threads < self.threads_max && self.idle.load(Ordering::Acquire) <= self.tasks.len() {
            match self.add_thread() {
                Ok(()) => self.threads.store(threads + 1, Ordering::Release),
                Err(error) if threads == 0 => return Err(format!("no thread for it: {error}")),
                // The threads there are will come to it.
                Err(_) => {}
            }
        }
        let full = || {
            let (threads, most) = (self.threads_max, self.queue_max);
            format!("{threads} requests run already and {most} wait, the most this host's agent takes")
        };
        if self.tasks.len() >= self.queue_max {
            return Err(full());
        }
        self.tasks.send(task).map_err(|_| full())
    }

    fn add_thread(&self) -> std::io::Result<()> {
        let taken = self.taken.clone();
        let idle = Arc::clone(&self.idle);
        std::thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            loop {
                idle.fetch_add(1, Ordering::AcqRel);
                let task = taken.recv();
                idle.fetch_sub(1, Ordering::AcqRel);
                match task {
                    Ok(task) => task(),
                    Err(_) => return,
                }
            }
        })?;
        Ok(())
    }
}
