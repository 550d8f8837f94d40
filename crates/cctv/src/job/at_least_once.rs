//! A job whose results go out at once, and whose offsets follow the results.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::CommitMode;

use super::crew::Crew;
use super::outlet::{Direct, Outlet};
use super::output::Output;
use super::source::Source;
use super::spec::JobSpec;
use super::state::State;
use super::worker::{Status, Task};
use super::{Ending, JobArgs, Stage, note_facts, verdict};
use crate::clock;
use crate::drain::Drain;
use crate::exit::Failure;
use crate::kafka;
use crate::tally::Tally;

/// How often offsets are committed.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the job to its end.
pub(super) fn run(args: &JobArgs, spec: &JobSpec, stage: &Stage) -> Result<(), Failure> {
    let name = stage.name.as_str();
    let mut source =
        Source::open(&args.kafka, name, &spec.group_id, &spec.input_topic, false, args.connect_timeout)?;
    let config = kafka::producer(&args.kafka, name, 200_000, Duration::from_millis(5));
    let output = Arc::new(Output::new(&config, &spec.output_topic)?);
    let partitions: Vec<i32> = source.partitions().collect();
    let outlet = || Outlet::Direct(Direct::new(Arc::clone(&output), stage.tally.clone()));
    let mut crew = Crew::hire(args.parallelism, spec, &partitions, State::default(), &stage.tally, outlet)?;
    stage.presence.ready()?;
    let mut drain = Drain::new(Arc::clone(&stage.stop), args.drain_timeout);
    let outcome = flow(&mut source, &mut crew, &stage.tally, &mut drain);
    let (status, open) = dismiss(crew, &output);
    let committed = source.commit(&status.committable, CommitMode::Sync);
    stage.tally.note(|recorder| recorder.fact("offsets_committed", committed.is_ok()));
    let figures = status.scores.figures().into_iter().collect();
    note_facts(args, &stage.tally, &status, &figures, &open);
    stage.tally.finish("unfinished")?;
    outcome?;
    committed.map_err(|error| {
        Failure::failed(format!("cannot commit the offsets of {:?}: {error}", spec.group_id))
    })?;
    let unsent = output.error().or(status.error);
    verdict(args, &Ending { unsent, outstanding: status.outstanding, open, obstacle: drain.obstacle() })
}

/// Reads and hands out records until the drain is over or has run out.
fn flow(source: &mut Source, crew: &mut Crew, tally: &Tally, drain: &mut Drain) -> Result<(), Failure> {
    let mut committed = Instant::now();
    loop {
        if let Some(message) = source.poll(Duration::from_millis(50))? {
            crew.give(message.partition(), Task::Record(Box::new(message), clock::unix_ns()))?;
        }
        tally.tick()?;
        if committed.elapsed() >= COMMIT_INTERVAL {
            committed = Instant::now();
            let committable = crew.status().0.committable;
            if let Err(error) = source.commit(&committable, CommitMode::Async) {
                tally.note(|recorder| recorder.fact("commit_last_error", error.to_string()));
            }
        }
        if drain.has_read(source) && crew.is_idle() && crew.status().1.is_empty() || drain.is_over() {
            return Ok(());
        }
    }
}

/// Closes all windows, waits for the receipts, ends the workers.
fn dismiss(mut crew: Crew, output: &Output) -> (Status, Vec<String>) {
    // A worker that has died keeps its last status.
    let _ = crew.give_all(|| Task::CloseAll);
    let deadline = Instant::now() + Duration::from_secs(10);
    output.flush(Duration::from_secs(5));
    while !crew.is_idle() && Instant::now() < deadline {
        clock::rest(Duration::from_millis(10));
    }
    crew.dismiss()
}
