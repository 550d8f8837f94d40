//! One task on one host for one item.

use super::Inner;
use crate::args::{ArgError, Args, template_error};
use crate::modules::{Action, Call, Module, Outcome, Process, Stop};
use crate::template::scope::{Layer, Scope};
use fogline_agent::{AgentError, Client, JobId, JobRequest};
use fogline_scenario::{Place, Spanned, Task};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came of it.
#[derive(Debug)]
pub(super) struct ItemResult {
    pub(super) item: Option<Value>,
    pub(super) outcome: Outcome,
    /// Where the culprit stands, if the task failed.
    pub(super) place: Place,
    /// The job that was started.
    pub(super) job: Option<JobId>,
    pub(super) elapsed: Duration,
}

/// Why there is no result at all.
#[derive(Debug)]
pub(super) enum Fatal {
    Lost(AgentError),
    Cancelled,
}

/// What one item is run with.
pub(super) struct ItemRun<'r> {
    pub(super) inner: &'r Inner,
    pub(super) task: &'r Task,
    pub(super) module: &'static Module,
    pub(super) client: &'r Client,
    /// With the item on top.
    pub(super) scope: Arc<Scope>,
    /// The task's name and item, by which a job is known.
    pub(super) label: String,
}

impl ItemRun<'_> {
    /// Runs it. A task that fails is a result, too.
    pub(super) fn run(&self, item: Option<Value>) -> Result<ItemResult, Fatal> {
        let begin = Instant::now();
        let mut place = self.task.place.clone();
        let mut job = None;
        let outcome = match self.attempt(&mut job) {
            Ok(outcome) => outcome,
            Err(Trouble::Argument(error)) => {
                place = error.place;
                let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                Outcome::failed(format!("{}{hint}", error.message))
            }
            Err(Trouble::Stop(Stop::Failed(message))) => Outcome::failed(message),
            Err(Trouble::Stop(Stop::Lost(error))) => return Err(Fatal::Lost(error)),
            Err(Trouble::Stop(Stop::Cancelled)) => return Err(Fatal::Cancelled),
        };
        Ok(ItemResult { item, outcome, place, job, elapsed: begin.elapsed() })
    }

    fn attempt(&self, job: &mut Option<JobId>) -> Result<Outcome, Trouble> {
        self.inner.cancel.check().map_err(Stop::from)?;
        for condition in &self.task.when {
            if !self.holds(condition, "when", &self.scope)? {
                return Ok(Outcome::skipped("conditional result was False"));
            }
        }
        let environment = self.environment()?;
        let args = Args::render(self.task, self.module, &self.inner.engine, &self.scope)?;
        let action = (self.module.parse)(&args)?;
        let limit =
            self.task.job.map(|job| Duration::from_secs(job.limit_s)).filter(|limit| !limit.is_zero());
        let call = Call {
            client: self.client,
            context: &self.inner.context,
            engine: &self.inner.engine,
            scope: &self.scope,
            environment,
            timeout: limit.unwrap_or(self.inner.context.task_timeout),
            cancel: &self.inner.cancel,
        };
        match action.process().filter(|_| self.task.job.is_some_and(|job| job.poll_s == 0)) {
            Some(process) => Ok(self.start(process, &call, job)?),
            None => self.tries(action.as_ref(), &call),
        }
    }

    /// Starts a job and does not wait for it.
    fn start(&self, process: &Process, call: &Call<'_>, job: &mut Option<JobId>) -> Result<Outcome, Stop> {
        if let Some(outcome) = process.spared(call)? {
            return Ok(outcome);
        }
        let exec = process.request(call.environment.clone(), call.timeout);
        let id = self.client.start_job(&JobRequest { label: self.label.clone(), exec })?;
        *job = Some(id);
        let outcome = Outcome::changed(true).field("started", 1).field("finished", 0);
        Ok(outcome.field("ansible_job_id", id.to_string()))
    }

    /// Runs the action once, or until its condition holds.
    fn tries(&self, action: &dyn Action, call: &Call<'_>) -> Result<Outcome, Trouble> {
        let Some(until) = &self.task.until else { return self.once(action, call) };
        let mut tried = 0;
        loop {
            tried += 1;
            let mut outcome = self.once(action, call)?.field("attempts", tried);
            if self.holds(&until.condition, "until", &self.scope.with(self.result(&outcome)))? {
                return Ok(outcome);
            }
            if tried > until.retries {
                outcome.failed = true;
                let said = outcome.message.take().map(|said| format!(": {said}")).unwrap_or_default();
                outcome.message =
                    Some(format!("tried {tried} times in vain until {}{said}", until.condition.value));
                return Ok(outcome);
            }
            let pause = Duration::try_from_secs_f64(until.delay_s).unwrap_or_default();
            self.inner.cancel.wait(pause).map_err(Stop::from)?;
        }
    }

    fn once(&self, action: &dyn Action, call: &Call<'_>) -> Result<Outcome, Trouble> {
        let mut outcome = match action.run(call) {
            Err(Stop::Failed(message)) => Outcome::failed(message),
            other => other?,
        };
        if let Some(condition) = &self.task.changed_when {
            outcome.changed =
                self.holds(condition, "changed_when", &self.scope.with(self.result(&outcome)))?;
        }
        if let Some(condition) = &self.task.failed_when {
            let failed = self.holds(condition, "failed_when", &self.scope.with(self.result(&outcome)))?;
            if failed && !outcome.failed {
                outcome.message = Some(format!("failed_when holds: {}", condition.value));
            }
            outcome.failed = failed;
            outcome = outcome.field("failed_when_result", failed);
        }
        Ok(outcome)
    }

    /// The result under its registered name, for conditions over it.
    fn result(&self, outcome: &Outcome) -> Layer {
        let mut layer = Layer::default();
        if let Some(name) = &self.task.register {
            layer.set(name, &Value::Object(outcome.registered()));
        }
        layer
    }

    fn environment(&self) -> Result<Vec<(String, String)>, Trouble> {
        let mut environment = Vec::new();
        for (name, value) in &self.task.environment {
            let text = self.inner.engine.text(&value.value, &self.scope);
            let of = format!("environment {name}");
            environment.push((name.clone(), text.map_err(|e| template_error(e, &value.place, &of))?));
        }
        Ok(environment)
    }

    fn holds(&self, condition: &Spanned<String>, keyword: &str, scope: &Arc<Scope>) -> Result<bool, Trouble> {
        let value = self.inner.engine.condition(&condition.value, scope);
        Ok(value.map_err(|error| template_error(error, &condition.place, keyword))?)
    }
}

/// Why an attempt has no outcome.
enum Trouble {
    Argument(ArgError),
    Stop(Stop),
}

impl From<ArgError> for Trouble {
    fn from(error: ArgError) -> Self {
        Self::Argument(error)
    }
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// What `register` keeps of a task on one host.
pub(super) fn registered(results: &[ItemResult], is_loop: bool) -> Value {
    let one = |result: &ItemResult| {
        let mut map = result.outcome.registered();
        if let Some(item) = &result.item {
            map.insert("item".into(), item.clone());
            map.insert("ansible_loop_var".into(), json!("item"));
        }
        Value::Object(map)
    };
    if !is_loop {
        return results.first().map_or(Value::Null, one);
    }
    json!({
        "results": results.iter().map(one).collect::<Vec<_>>(),
        "changed": results.iter().any(|result| result.outcome.changed),
        "failed": results.iter().any(|result| result.outcome.failed),
        "skipped": results.iter().all(|result| result.outcome.skipped),
        "msg": "All items completed",
    })
}
