//! `set_fact`: variables for the later tasks of the play on this host.

use super::{Action, Call, Module, Outcome, Stop};
use crate::args::{ArgError, Args};
use fogline_scenario::Task;
use serde_json::{Map, Value};

pub(super) const MODULE: Module = Module { name: "set_fact", independent: false, parse };

struct SetFact(Map<String, Value>);

fn parse(args: &Args) -> Result<Box<dyn Action>, ArgError> {
    let mut facts = args.all();
    facts.shift_remove("cacheable");
    for name in facts.keys() {
        let letters = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if name == Task::FREE_FORM || !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(args.error(name, format!("set_fact: {name} cannot be the name of a variable")));
        }
    }
    if facts.is_empty() {
        return Err(args.error("", "set_fact needs at least one variable"));
    }
    Ok(Box::new(SetFact(facts)))
}

impl Action for SetFact {
    fn summary(&self) -> String {
        let pair = |(name, value): (&String, &Value)| format!("{name}={value}");
        self.0.iter().map(pair).collect::<Vec<_>>().join(" ")
    }

    fn run(&self, _call: &Call<'_>) -> Result<Outcome, Stop> {
        let facts = self.0.clone();
        Ok(Outcome { facts: facts.clone(), ..Outcome::default() }.field("ansible_facts", facts))
    }
}
