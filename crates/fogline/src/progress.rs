//! What a person sees while a run lasts. Knows events, not the runner.

use fogline_journal::{Event, NetworkChanged, Record, RunPhase, TaskEnded, Turn, Verdict};
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How often the live line is drawn again while nothing happens.
const TICK: Duration = Duration::from_millis(500);

/// Prints events: a live line on a terminal, a line per phase elsewhere.
pub(crate) struct Progress {
    state: Mutex<State>,
    live: bool,
    begin: Instant,
}

#[derive(Default)]
struct State {
    phase: Option<RunPhase>,
    hosts: BTreeSet<String>,
    tasks: usize,
    failed: usize,
    /// What is being done, for the live line.
    doing: String,
    shown: bool,
}

impl Progress {
    /// Progress on standard error. On a terminal a thread keeps the elapsed time going until the last handle is gone.
    pub(crate) fn start() -> Arc<Self> {
        let live = std::io::stderr().is_terminal();
        let progress = Arc::new(Self { state: Mutex::new(State::default()), live, begin: Instant::now() });
        let shown = Arc::downgrade(&progress);
        if live {
            // Without the thread the line merely stands still between events.
            let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(move || tick(&shown));
        }
        progress
    }

    /// Takes one event.
    pub(crate) fn event(&self, record: &Record) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &record.event {
            Event::RunStarted(run) => {
                self.line(
                    &mut state,
                    &format!("{}: {} hosts, results in {}", run.scenario, run.hosts, run.folder),
                );
            }
            Event::PhaseStarted { phase } => {
                *state = State { phase: Some(*phase), shown: state.shown, ..State::default() };
                self.refresh(&mut state, "");
            }
            Event::PhaseEnded { phase, ok, elapsed_ms } => {
                let line = phase_line(&state, *phase, *ok, record.elapsed_s, *elapsed_ms);
                state.phase = None;
                self.line(&mut state, &line);
            }
            Event::HostUp(host) => {
                state.hosts.insert(host.host.clone());
                self.refresh(&mut state, &host.host);
            }
            Event::TaskStarted(task) => self.refresh(&mut state, &format!("{} on {}", task.task, task.host)),
            Event::TaskEnded(task) => {
                state.hosts.insert(task.host.clone());
                state.tasks += 1;
                self.task_ended(&mut state, task);
            }
            Event::JobEnded(job) if job.failed => {
                state.failed += 1;
                let line = format!(
                    "  job failed on {}: {} (rc {}){}",
                    job.host,
                    job.task,
                    job.rc,
                    tail(&job.stderr_tail)
                );
                self.line(&mut state, &line);
            }
            Event::Warning { message } => self.line(&mut state, &format!("  warning: {message}")),
            Event::Note { message } => self.line(&mut state, &format!("  {message}")),
            Event::RunEnded(run) => {
                self.line(&mut state, verdict_words(run.verdict));
                for reason in &run.reasons {
                    self.line(&mut state, &format!("  {reason}"));
                }
            }
            Event::NetworkChanged(change) => self.line(&mut state, &change_line(change)),
            Event::JobStarted(_) | Event::JobEnded(_) | Event::NetworkMeasured(_) => {}
        }
    }

    /// Shows how far a wait has come.
    pub(crate) fn waiting(&self, waited_s: u64, of_s: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.live {
            self.refresh(&mut state, &format!("{waited_s} of {of_s} s"));
        }
    }

    fn task_ended(&self, state: &mut State, task: &TaskEnded) {
        if task.failed {
            state.failed += 1;
            let rc = task.rc.map_or_else(String::new, |rc| format!(" (rc {rc})"));
            let said = task.message.as_deref().map_or_else(|| tail(&task.stderr_tail), tail);
            self.line(state, &format!("  {}: {} failed on {}{rc}{said}", task.place, task.task, task.host));
        } else {
            self.refresh(state, &format!("{} on {}", task.task, task.host));
        }
    }

    /// Draws the live line again, now with `doing`.
    fn refresh(&self, state: &mut State, doing: &str) {
        if self.live {
            doing.clone_into(&mut state.doing);
            self.draw(state);
        }
    }

    fn draw(&self, state: &mut State) {
        let Some(phase) = state.phase else { return };
        let (hosts, tasks, elapsed_s) = (state.hosts.len(), state.tasks, self.begin.elapsed().as_secs_f64());
        let line =
            format!("{phase:>9}  {hosts:>3} hosts  {tasks:>5} tasks  {elapsed_s:>6.1} s  {}", state.doing);
        self.show(state, &line);
    }

    /// Replaces the live line.
    fn show(&self, state: &mut State, line: &str) {
        let cut: String = line.chars().take(110).collect();
        eprint!("\r\x1b[K{cut}");
        // A progress line that cannot be written is no reason to stop a run.
        let _ = std::io::stderr().flush();
        state.shown = true;
    }

    /// Prints a line that stays.
    fn line(&self, state: &mut State, line: &str) {
        if state.shown {
            eprint!("\r\x1b[K");
            state.shown = false;
        }
        eprintln!("{line}");
    }
}

/// Draws the live line again and again, as long as there is somebody to draw for.
fn tick(progress: &Weak<Progress>) {
    while let Some(progress) = progress.upgrade() {
        progress.draw(&mut progress.state.lock().unwrap_or_else(PoisonError::into_inner));
        drop(progress);
        std::thread::park_timeout(TICK);
    }
}

fn phase_line(state: &State, phase: RunPhase, ok: bool, elapsed_s: f64, took_ms: f64) -> String {
    let mark = if ok { "ok" } else { "FAILED" };
    let mut line = format!("{phase:>9}  {mark:<6} {:>7.2} s  at {elapsed_s:>6.1} s", took_ms / 1e3);
    if !state.hosts.is_empty() {
        line.push_str(&format!("  {} hosts", state.hosts.len()));
    }
    if state.tasks > 0 {
        line.push_str(&format!(", {} tasks", state.tasks));
    }
    if state.failed > 0 {
        line.push_str(&format!(", {} failed", state.failed));
    }
    line
}

/// `network, by hand: fog -> edge: cut (4 links)`.
fn change_line(change: &NetworkChanged) -> String {
    let ends = if change.turn == Turn::Ends { " is over" } else { "" };
    let plural = if change.links == 1 { "" } else { "s" };
    let NetworkChanged { what, links, .. } = change;
    format!("  network, by {}: {what}{ends} ({links} link{plural})", change.by.name())
}

fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed: everything was done, and the results can be trusted",
        Verdict::Invalid => "invalid: the run went through, but its results must not be used",
        Verdict::Failed => "failed",
        Verdict::Interrupted => "interrupted; everything was released",
    }
}

/// The last lines of what a command said, indented.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = &lines[lines.len().saturating_sub(4)..];
    shown.iter().map(|line| format!("\n      {line}")).collect()
}
