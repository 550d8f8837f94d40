//! Work for several threads, with a bound, that can be left behind.

use super::error::WorkflowError;
use crate::cancel::Cancel;
use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Units that are under way at once, over all hosts.
const THREADS_MAX: usize = 32;
/// How soon a stop from outside is seen while units are under way.
const LOOK: Duration = Duration::from_millis(50);

/// One unit of work.
pub(super) type Unit<T> = Box<dyn FnOnce() -> T + Send>;

/// Units that wait, with their numbers.
type Queue<T> = Arc<Mutex<VecDeque<(usize, Unit<T>)>>>;

/// Runs `units`, several at once, and returns their results in order.
///
/// When `cancel` is set it returns at once. Units under way then end on their own: each waits for an agent, with a
/// deadline, and the agents go away with the testbed.
pub(super) fn run<T: Send + 'static>(units: Vec<Unit<T>>, cancel: &Cancel) -> Result<Vec<T>, WorkflowError> {
    let count = units.len();
    let queue: Queue<T> = Arc::new(Mutex::new(units.into_iter().enumerate().collect()));
    let (done, results) = sync_channel(count.max(1));
    for _ in 0..count.min(THREADS_MAX) {
        let (queue, done) = (Arc::clone(&queue), done.clone());
        let work = move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some((index, unit)) = next else { break };
                if done.send((index, unit())).is_err() {
                    break;
                }
            }
        };
        let spawned = thread::Builder::new().name("workflow".to_owned()).spawn(work);
        spawned.map_err(|e| WorkflowError::Internal(format!("cannot start a thread: {e}")))?;
    }
    drop(done);
    let mut slots: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut missing = count;
    while missing > 0 {
        match results.recv_timeout(LOOK) {
            Ok((index, result)) => {
                slots[index] = Some(result);
                missing -= 1;
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(WorkflowError::Internal("a worker thread has died".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if cancel.is_set() {
            queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
            return Err(crate::Cancelled.into());
        }
    }
    Ok(slots.into_iter().flatten().collect())
}
