//! `pause`: lets time pass, unless the run is stopped.

use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use std::time::Duration;

pub(super) const MODULE: Module = Module { name: "pause", independent: false, parse };

struct Pause(Duration);

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let seconds = args.number("seconds")?;
    let minutes = args.number("minutes")?;
    if seconds.is_none() && minutes.is_none() {
        return Err(
            args.error("seconds", "pause needs seconds or minutes: nobody is asked to press a key here")
        );
    }
    Ok(Box::new(Pause(Duration::from_secs_f64(seconds.unwrap_or(0.0) + 60.0 * minutes.unwrap_or(0.0)))))
}

impl Action for Pause {
    fn summary(&self) -> String {
        format!("{} s", self.0.as_secs_f64())
    }

    fn run(&self, call: &Call<'_>) -> Result<Outcome, Stop> {
        call.cancel.wait(self.0)?;
        Ok(Outcome::default().field("delta", self.0.as_secs_f64()))
    }
}
