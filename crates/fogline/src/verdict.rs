//! The end of a run: judge it, write its report, say so.

use crate::exit::Exit;
use crate::run::{Run, Stop};
use fogline_journal::{Clock, Event, RunEnded, RunPhase, Verdict};
use fogline_report::{Evaluation, ReportError};
use fogline_testbed::TestbedError;

/// Judges the run, writes manifest and report, tells the person, and gives the exit code.
pub(crate) fn conclude(mut run: Run<'_>, outcome: Result<(), Stop>) -> Exit {
    let (mut exit, mut reasons) = match &outcome {
        Ok(()) => (Exit::Success, Vec::new()),
        Err(stop) => (exit_of(stop), vec![stop.to_string()]),
    };
    let evaluation = run.journal.phase(RunPhase::Report, || Evaluation::of(&run.folder));
    match &evaluation {
        Ok(evaluation) if exit == Exit::Success => {
            reasons.extend(evaluation.reasons().iter().cloned());
            exit = if reasons.is_empty() { Exit::Success } else { Exit::Invalid };
        }
        Ok(_) => {}
        Err(error) => {
            reasons.push(format!("the report cannot be built: {error}"));
            exit = if exit == Exit::Success { Exit::Internal } else { exit };
        }
    }
    run.manifest.ended_unix_ns = Some(Clock::system().unix_ns());
    run.manifest.verdict = Some(verdict_of(exit));
    run.manifest.exit_code = Some(exit.number());
    run.manifest.reasons.clone_from(&reasons);
    let written = write(&run, evaluation.as_ref().ok());
    let ended = RunEnded { verdict: verdict_of(exit), exit_code: exit.number(), reasons };
    let told = run.journal.emit(Event::RunEnded(ended));
    if let Err(error) = written.and_then(|()| Ok(told?)) {
        eprintln!("error: {error}");
        return if exit == Exit::Success { Exit::Internal } else { exit };
    }
    if let Ok(evaluation) = &evaluation {
        evaluation.summary(&run.manifest).iter().for_each(|line| println!("{line}"));
        println!("report: {}", run.folder.report().display());
    }
    exit
}

fn write(run: &Run<'_>, evaluation: Option<&Evaluation>) -> Result<(), ReportError> {
    run.manifest.write(&run.folder)?;
    evaluation.map_or(Ok(()), |evaluation| evaluation.write(&run.folder, &run.manifest))
}

const fn exit_of(stop: &Stop) -> Exit {
    match stop {
        Stop::Interrupted => Exit::Interrupted,
        Stop::Testbed(TestbedError::Lost(_) | TestbedError::Io { .. }) => Exit::Internal,
        Stop::Testbed(_) => Exit::Testbed,
        Stop::Workflow(_) => Exit::Task,
        Stop::Journal(_) | Stop::Agent(_) | Stop::Measure(_) => Exit::Internal,
    }
}

const fn verdict_of(exit: Exit) -> Verdict {
    match exit {
        Exit::Success => Verdict::Passed,
        Exit::Invalid => Verdict::Invalid,
        Exit::Interrupted => Verdict::Interrupted,
        Exit::Internal | Exit::Refused | Exit::Testbed | Exit::Task | Exit::Unreached => Verdict::Failed,
    }
}
