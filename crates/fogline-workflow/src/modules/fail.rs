//! `fail`: stops with a message.

use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};

pub(super) const MODULE: Module = Module { name: "fail", independent: false, parse };

struct Fail(String);

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    Ok(Box::new(Fail(args.text("msg")?.unwrap_or_else(|| "Failed as requested from task".to_owned()))))
}

impl Action for Fail {
    fn summary(&self) -> String {
        self.0.clone()
    }

    fn run(&self, _call: &Call<'_>) -> Result<Outcome, Stop> {
        Err(Stop::Failed(self.0.clone()))
    }
}
