//! `gauge job`: waits for a job's state.

use crate::Failure;
use crate::cli::{Job as Options, Until};
use crate::flink::{self, Job, JobLine};
use crate::metrics::restarts;
use crate::rest::{Rest, RestError};
use crate::wait::{Look, until};
use serde_json::{Value, json};
use std::time::Duration;

/// A job that restarts so often while it is waited for does not get anywhere.
const RESTARTS_MAX: u64 = 3;

/// Waits, and prints the job.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let rest = Rest::new(&options.url);
    let mut wait = Wait { rest: &rest, name: &options.name, until: options.until, first_restarts: None };
    let state = match options.until {
        Until::Running => "running",
        Until::Finished => "finished",
        Until::Canceled => "cancelled",
    };
    let what = format!("job `{}` of {} is not {state}", options.name, options.url);
    let line = until(&what, options.timeout, |left| wait.look(left))?;
    println!("{line}");
    Ok(())
}

/// A wait under way.
struct Wait<'a> {
    rest: &'a Rest,
    name: &'a str,
    until: Until,
    /// Restarts of the job (by its id) when it was first seen.
    first_restarts: Option<(String, u64)>,
}

impl Wait<'_> {
    /// Answers that fail are looked for again: a job manager that restarts says no for a while.
    fn look(&mut self, left: Duration) -> Result<Look<Value>, Failure> {
        let jobs = match flink::jobs(self.rest, left) {
            Ok(jobs) => jobs,
            Err(error) => return Ok(Look::NotYet(error.to_string())),
        };
        let Some(line) = flink::newest(&jobs, self.name) else {
            return Ok(Look::NotYet(flink::no_job(self.rest, self.name, &jobs).to_string()));
        };
        match self.judge(line, left) {
            Ok(verdict) => verdict,
            Err(error) => Ok(Look::NotYet(error.to_string())),
        }
    }

    fn judge(&mut self, line: &JobLine, left: Duration) -> Result<Result<Look<Value>, Failure>, RestError> {
        let job = flink::job(self.rest, &line.jid, left)?;
        let restarted = restarts(self.rest, &job.jid, left)?;
        let here = match self.until {
            Until::Running => job.state.0 == "RUNNING" && lacking(&job).is_none(),
            Until::Finished => job.state.0 == "FINISHED",
            Until::Canceled => job.state.0 == "CANCELED",
        };
        if here {
            return Ok(Ok(Look::Found(describe(self.rest, &job, left)?)));
        }
        let exception = flink::root_exception(self.rest, &job.jid, left)?;
        let why = exception.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let over = |what: String| {
            Ok(Err(Failure::Job {
                name: job.name.clone(),
                id: job.jid.clone(),
                what: format!("{what}{why}"),
            }))
        };
        if job.state.is_end() {
            return over(format!("is {}", job.state.0));
        }
        let first = match &self.first_restarts {
            Some((id, first)) if *id == job.jid => *first,
            _ => restarted,
        };
        self.first_restarts = Some((job.jid.clone(), first));
        // The cluster tells of exceptions a few seconds (`web.refresh-interval`) later than of restarts.
        if restarted.saturating_sub(first) >= RESTARTS_MAX && exception.is_some() {
            return over(format!("restarts again and again ({restarted} times so far)"));
        }
        let lacking = lacking(&job).unwrap_or_default();
        Ok(Ok(Look::NotYet(format!("it is {}{lacking}, restarted {restarted} times{why}", job.state.0))))
    }
}

/// What a job that is to run lacks, in words; `None` when all subtasks run.
fn lacking(job: &Job) -> Option<String> {
    if job.vertices.is_empty() {
        return Some(", without vertices yet".to_owned());
    }
    let vertex = job.vertices.iter().find(|vertex| vertex.running() < vertex.parallelism)?;
    Some(format!(", with {} of {} subtasks of `{}`", vertex.running(), vertex.parallelism, vertex.name))
}

/// What a job is, for people and programs.
///
/// # Errors
/// When the cluster stops answering.
pub(crate) fn describe(rest: &Rest, job: &Job, left: Duration) -> Result<Value, RestError> {
    let checkpoints = flink::checkpoints(rest, &job.jid, left)?;
    let vertices: Vec<Value> = job
        .vertices
        .iter()
        .map(|vertex| json!({"name": vertex.name, "parallelism": vertex.parallelism, "running": vertex.running()}))
        .collect();
    Ok(json!({
        "job": job.jid,
        "name": job.name,
        "state": job.state.0,
        "parallelism": job.vertices.iter().map(|vertex| vertex.parallelism).max(),
        "vertices": vertices,
        "restarts": restarts(rest, &job.jid, left)?,
        "checkpoints": {"completed": checkpoints.completed, "failed": checkpoints.failed},
    }))
}
