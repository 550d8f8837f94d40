//! `gauge probe`: waits until a cluster is complete.

use crate::Failure;
use crate::cli::{Engine, Probe};
use crate::flink::Overview;
use crate::rest::Rest;
use crate::wait::{Look, until};
use serde_json::{Value, json};
use std::time::Duration;

/// Waits, and prints the cluster's answers.
pub(crate) fn run(options: &Probe) -> Result<(), Failure> {
    let Engine::Flink = options.engine;
    let rest = Rest::new(&options.url);
    let what = format!("{} is not complete", options.url);
    let answer = until(&what, options.timeout, |left| Ok(look(&rest, options, left)))?;
    println!("{answer}");
    Ok(())
}

fn look(rest: &Rest, options: &Probe, left: Duration) -> Look<Value> {
    let overview: Value = match rest.get("/overview", &[], left) {
        Ok(answer) => answer,
        Err(error) => return Look::NotYet(error.to_string()),
    };
    let counted: Overview = match serde_json::from_value(overview.clone()) {
        Ok(counted) => counted,
        Err(error) => return Look::NotYet(format!("/overview is not Flink's: {error}")),
    };
    if counted.taskmanagers < options.task_managers || counted.slots_total < options.slots {
        return Look::NotYet(format!(
            "it has {} of {} task managers and {} of {} slots",
            counted.taskmanagers, options.task_managers, counted.slots_total, options.slots
        ));
    }
    match rest.get::<Value>("/taskmanagers", &[], left) {
        Ok(taskmanagers) => Look::Found(json!({"overview": overview, "taskmanagers": taskmanagers})),
        Err(error) => Look::NotYet(error.to_string()),
    }
}
