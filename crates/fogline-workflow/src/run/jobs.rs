//! Jobs beside the workflow, watched until they end.

use super::Inner;
use super::error::{JobFailure, WorkflowError};
use super::record::short_tail;
use fogline_agent::{Exit, JobId, JobStatus};
use fogline_journal::{Event, JobEnded, JobStarted};
use fogline_plan::HostId;
use fogline_scenario::Place;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Return codes of programs that were asked to end: 128 + SIGINT, SIGKILL, SIGTERM.
const ASKED_TO_END: [i32; 3] = [130, 137, 143];

/// A job that is believed to run.
#[derive(Clone, Debug)]
pub(super) struct WatchedJob {
    pub(super) host: HostId,
    pub(super) host_name: String,
    pub(super) id: JobId,
    pub(super) entry: String,
    pub(super) task: String,
    pub(super) item: Option<String>,
    pub(super) place: Place,
}

impl Inner {
    /// Remembers a job that was started.
    pub(super) fn watch(&self, job: WatchedJob) -> Result<(), WorkflowError> {
        self.journal.emit(Event::JobStarted(JobStarted {
            entry: job.entry.clone(),
            host: job.host_name.clone(),
            task: job.task.clone(),
            item: job.item.clone(),
            job: job.id.0,
        }))?;
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
        Ok(())
    }

    /// Looks at all jobs; those that have ended are not watched any longer, and those that failed are returned.
    pub(super) fn look_at_jobs(&self) -> Result<Vec<JobFailure>, WorkflowError> {
        let watched = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        let mut by_host: BTreeMap<HostId, Vec<WatchedJob>> = BTreeMap::new();
        for job in watched {
            by_host.entry(job.host).or_default().push(job);
        }
        let mut running = Vec::new();
        let mut failures = Vec::new();
        for (host, mut jobs) in by_host {
            // Items of a loop start at once; tell them in their order, numbers by their size.
            jobs.sort_by_cached_key(|job| {
                (job.place.clone(), job.item.as_ref().map(|item| (item.len(), item.clone())))
            });
            let client = self.client(host)?;
            let states: BTreeMap<JobId, JobStatus> =
                client.jobs()?.into_iter().map(|job| (job.id, job)).collect();
            for job in jobs {
                match states.get(&job.id).and_then(|status| Some((status, status.exit?))) {
                    None => running.push(job),
                    Some((status, exit)) => failures.extend(self.job_ended(&job, status, exit)?),
                }
            }
        }
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).extend(running);
        Ok(failures)
    }

    fn job_ended(
        &self,
        job: &WatchedJob,
        status: &JobStatus,
        exit: Exit,
    ) -> Result<Option<JobFailure>, WorkflowError> {
        let rc = exit.rc();
        // Once finalize has begun, jobs are stopped by its tasks, and some programs die of the signal.
        let stopped = self.finalizing.load(Ordering::Relaxed) && ASKED_TO_END.contains(&rc);
        let failed = rc != 0 && !stopped;
        let stderr_tail = short_tail(&String::from_utf8_lossy(&status.stderr_tail));
        self.journal.emit(Event::JobEnded(JobEnded {
            entry: job.entry.clone(),
            host: job.host_name.clone(),
            task: job.task.clone(),
            item: job.item.clone(),
            job: job.id.0,
            rc,
            failed,
            stderr_tail: stderr_tail.clone(),
            elapsed_ms: (status.elapsed.as_secs_f64() * 1e6).round() / 1e3,
        }))?;
        Ok(failed.then(|| JobFailure {
            entry: job.entry.clone(),
            host: job.host_name.clone(),
            task: job.task.clone(),
            item: job.item.clone(),
            place: job.place.clone(),
            rc,
            stderr_tail,
        }))
    }
}
