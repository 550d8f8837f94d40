//! The diagnostics collected so far.

use crate::{Diagnostic, Place, Severity};

/// All findings about the user's files, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Findings(Vec<Diagnostic>);

impl Findings {
    /// Reports what stops the experiment.
    pub fn error(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.push(Severity::Error, place, message.into(), hint.into());
    }

    /// Reports what to look at before trusting the results.
    pub fn warning(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.push(Severity::Warning, place, message.into(), hint.into());
    }

    fn push(&mut self, severity: Severity, place: &Place, message: String, hint: Option<String>) {
        self.0.push(Diagnostic { severity, place: place.clone(), message, hint });
    }

    /// Whether anything stops the experiment.
    pub fn any_error(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All findings, by file and place.
    pub fn sorted(mut self) -> Vec<Diagnostic> {
        self.0.sort_by(|a, b| (&a.place, a.severity).cmp(&(&b.place, b.severity)));
        self.0.dedup();
        self.0
    }
}
