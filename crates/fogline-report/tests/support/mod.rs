//! A run folder that lasts as long as its test.

use fogline_journal::{Clock, RunFolder};

pub(crate) struct Run {
    _scenario: tempfile::TempDir,
    pub(crate) folder: RunFolder,
}

impl Run {
    pub(crate) fn new() -> Self {
        let scenario = tempfile::tempdir().expect("a folder");
        let folder =
            RunFolder::create(scenario.path(), &Clock::fixed(1_700_000_000_000_000_000)).expect("a run");
        Self { _scenario: scenario, folder }
    }
}
