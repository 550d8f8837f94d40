//! The three YAML documents of an experiment, typed, with diagnostics.

mod place;
mod task;

pub use place::{Diagnostic, Place, Severity, Spanned};
pub use task::{Job, Task, Until};
