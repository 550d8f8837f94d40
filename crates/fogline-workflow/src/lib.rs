//! Plays: templates, loops and modules, turned into agent requests.
//!
//! A play is one workflow entry in one phase: a list of tasks that run on the entry's hosts. Tasks have Ansible's
//! shape, because that is what E2Clab's workflows are written in: a module with arguments, `loop`, `when`, `register`,
//! `until`, `async` and the rest around it, and Jinja templates (by `minijinja`) in every string.
//!
//! - [`check`] renders everything dry, before anything is started, and says what cannot work.
//! - [`commands`] lists what would run.
//! - [`Workflow`] runs it: entries in file order, each task on all hosts of its entry at once, then the next task.
//!
//! ```no_run
//! # fn story(plan: &fogline_plan::Plan, agents: Vec<fogline_agent::Client>, folder: fogline_journal::RunFolder,
//! #     journal: fogline_journal::Journal, context: fogline_workflow::Context)
//! #     -> Result<(), fogline_workflow::WorkflowError> {
//! use fogline_plan::Phase;
//! use fogline_workflow::{Cancel, Workflow};
//!
//! let cancel = Cancel::new();
//! let workflow = Workflow::new(&plan.hosts, agents, context, folder, journal, cancel);
//! workflow.deploy(&plan.deployments)?;
//! workflow.run_phase(&plan.entries, Phase::Prepare)?;
//! workflow.run_phase(&plan.entries, Phase::Launch)?;
//! workflow.run_phase(&plan.entries, Phase::Finalize)?;
//! workflow.check_jobs()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is E2Clab's
//! `working_dir` is the artifacts folder in prepare and launch and the run folder in finalize. Every entry and phase is
//! a play of its own: registered variables and facts do not outlive it. A failed task stops the run after it has been
//! tried on all hosts of its entry, unless a block rescues it. Unlike there, jobs (`async` with `poll: 0`) are watched: one that ends by itself
//! with something else than 0 is a failure.

mod args;
mod cancel;
mod check;
mod commands;
mod context;
mod dry;
mod modules;
mod play;
mod run;
mod suggest;
mod template;

pub use cancel::{Cancel, Cancelled};
pub use check::check;
pub use commands::{PlannedCommand, commands};
pub use context::Context;
pub use modules::module_names;
pub use run::error::{JobFailure, TaskFailure, WorkflowError};
pub use run::{PhaseOutcome, Workflow};
