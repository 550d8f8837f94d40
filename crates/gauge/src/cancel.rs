//! `gauge cancel`: ends a job.

use crate::Failure;
use crate::cli::Cancel;
use crate::flink::{self, JobLine};
use crate::job::describe;
use crate::rest::{Rest, cause};
use crate::wait::{Look, until};
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
struct Requested {
    #[serde(rename = "request-id")]
    id: String,
}

#[derive(Deserialize)]
struct Savepoint {
    status: Status,
    operation: Option<Operation>,
}

#[derive(Deserialize)]
struct Status {
    id: String,
}

#[derive(Deserialize)]
struct Operation {
    location: Option<String>,
    #[serde(rename = "failure-cause")]
    failure: Option<FailureCause>,
}

#[derive(Deserialize)]
struct FailureCause {
    #[serde(rename = "stack-trace")]
    trace: String,
}

/// Ends the job, waits for its end, and prints what became of it.
pub(crate) fn run(options: &Cancel) -> Result<(), Failure> {
    let rest = Rest::new(&options.url);
    let begin = Instant::now();
    let left = || options.timeout.saturating_sub(begin.elapsed());
    let line = find(&rest, options)?;
    let mut savepoint = None;
    if !line.state.is_end() {
        match &options.savepoint {
            None => cancel(&rest, &line, left())?,
            Some(folder) => savepoint = Some(stop(&rest, options, &line, folder, left())?),
        }
    }
    let what = format!("job `{}` of {} has not ended", line.name, options.url);
    let job = until(&what, left(), |left| {
        Ok(match flink::job(&rest, &line.jid, left) {
            Ok(job) if job.state.is_end() => Look::Found(job),
            Ok(job) => Look::NotYet(format!("it is {}", job.state.0)),
            Err(error) => Look::NotYet(error.to_string()),
        })
    })?;
    if job.state.0 == "FAILED" {
        let why =
            flink::root_exception(&rest, &job.jid, left())?.unwrap_or_else(|| "no exception".to_owned());
        return Err(Failure::Job { name: job.name, id: job.jid, what: format!("is FAILED: {why}") });
    }
    let mut described = describe(&rest, &job, left())?;
    if let Some(location) = savepoint {
        described["savepoint"] = json!(location);
    }
    println!("{described}");
    Ok(())
}

/// The job, once the cluster answers.
fn find(rest: &Rest, options: &Cancel) -> Result<JobLine, Failure> {
    let what = format!("{} does not say which jobs it has", options.url);
    let jobs = until(&what, options.timeout, |left| {
        Ok(flink::jobs(rest, left).map_or_else(|error| Look::NotYet(error.to_string()), Look::Found))
    })?;
    flink::newest(&jobs, &options.name).cloned().ok_or_else(|| flink::no_job(rest, &options.name, &jobs))
}

fn cancel(rest: &Rest, line: &JobLine, left: Duration) -> Result<(), Failure> {
    match rest.patch(&format!("/jobs/{}", line.jid), ("mode", "cancel"), left) {
        // It ended meanwhile.
        Err(error) if error.is_conflict() => Ok(()),
        asked => Ok(asked?),
    }
}

/// Stops the job with a savepoint; its location.
fn stop(
    rest: &Rest,
    options: &Cancel,
    line: &JobLine,
    folder: &str,
    left: Duration,
) -> Result<String, Failure> {
    let body = json!({"targetDirectory": folder, "drain": false});
    let asked: Requested = rest.post(&format!("/jobs/{}/stop", line.jid), &body, left)?;
    let path = format!("/jobs/{}/savepoints/{}", line.jid, asked.id);
    let failed = |why: String| Failure::Job { name: line.name.clone(), id: line.jid.clone(), what: why };
    let what = format!("job `{}` of {} has no savepoint", line.name, options.url);
    until(&what, left, |left| {
        let answer: Savepoint = match rest.get(&path, &[], left) {
            Ok(answer) => answer,
            Err(error) => return Ok(Look::NotYet(error.to_string())),
        };
        match answer.operation {
            Some(Operation { location: Some(location), .. }) => Ok(Look::Found(location)),
            Some(Operation { failure: Some(failure), .. }) => {
                let why = cause(&failure.trace).unwrap_or_default();
                Err(failed(format!("could not make a savepoint: {why}")))
            }
            _ => Ok(Look::NotYet(format!("the savepoint is {}", answer.status.id))),
        }
    })
}
