//! `assert`: conditions that must all hold.

use super::{Action, Call, Module, Outcome, Rehearsal, Stop};
use crate::args::{ArgError, Args};
use fogline_scenario::Place;

pub(super) const MODULE: Module = Module { name: "assert", independent: false, parse };

struct Assert {
    conditions: Vec<String>,
    place: Place,
    known: bool,
    failure: Option<String>,
    success: String,
}

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let conditions = args.texts("that")?;
    if conditions.is_empty() {
        return Err(args.error("that", "assert needs that: one condition or a list of them"));
    }
    let failure = args.text("fail_msg")?;
    let success = args.text("success_msg")?.unwrap_or_else(|| "All assertions passed".to_owned());
    Ok(Box::new(Assert {
        conditions,
        place: args.place("that").clone(),
        known: args.is_known("that"),
        failure,
        success,
    }))
}

impl Action for Assert {
    fn summary(&self) -> String {
        self.conditions.join(" and ")
    }

    fn dry(&self, rehearsal: &Rehearsal<'_>) -> Result<(), ArgError> {
        for condition in self.conditions.iter().filter(|_| self.known) {
            rehearsal.scope.take_touched();
            match rehearsal.engine.condition(condition, rehearsal.scope) {
                Err(error) if error.undefined || !rehearsal.scope.take_touched() => {
                    return Err(crate::args::template_error(error, &self.place, "that"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        for condition in &self.conditions {
            let holds =
                call.engine.condition(condition, call.scope).map_err(|e| Stop::Failed(e.to_string()))?;
            if !holds {
                let message =
                    self.failure.clone().unwrap_or_else(|| format!("assertion failed: {condition}"));
                return Ok(Outcome::failed(message).field("assertion", condition.clone()));
            }
        }
        Ok(Outcome { message: Some(self.success.clone()), ..Outcome::default() })
    }
}
