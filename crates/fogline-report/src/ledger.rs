//! The frames ledger: for each camera, where every frame went.
//!
//! A frame walks camera -> gateway -> job -> out-sink, and the in-sink reads beside the job. What leaves a stage must
//! enter the next; what enters a stage must leave it or be dropped there for a reason. The rest is unexplained.

use meter::{Account, CameraAccount};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The stages in the order of the walk, as the metric files name their roles.
const STAGES: [&str; 5] = ["camera", "gateway", "in-sink", "job", "out-sink"];

/// Stage to stage: what leaves the first enters the second.
const HAND_OVERS: [(&str, &str); 4] =
    [("camera", "gateway"), ("gateway", "in-sink"), ("gateway", "job"), ("job", "out-sink")];

/// One camera's frames through all stages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerRow {
    stages: BTreeMap<&'static str, CameraAccount>,
}

impl LedgerRow {
    /// The camera's account at a stage; `None` when the stage never saw it.
    pub fn stage(&self, role: &str) -> Option<&CameraAccount> {
        self.stages.get(role)
    }

    /// Frames that nothing explains: sum over hand-overs and stages of what is missing or too many.
    pub fn unexplained(&self) -> u64 {
        let inside = self.stages.values().map(|account| account.unexplained().unsigned_abs());
        let between = HAND_OVERS.iter().map(|(from, to)| {
            let left = self.stage(from).map_or(0, |account| account.frames_out);
            let entered = self.stage(to).map_or(0, |account| account.frames_in);
            left.abs_diff(entered)
        });
        inside.sum::<u64>() + between.sum::<u64>()
    }
}

/// All cameras.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    rows: BTreeMap<String, LedgerRow>,
    missing_roles: Vec<&'static str>,
}

impl Ledger {
    /// Builds the ledger from the accounts of all processes. A camera that several processes of one role served
    /// (after a reconnection elsewhere) is summed up.
    pub fn from_accounts(accounts: &[Account]) -> Self {
        let mut rows: BTreeMap<String, LedgerRow> = BTreeMap::new();
        let mut roles = BTreeSet::new();
        for account in accounts {
            let Some(role) = STAGES.into_iter().find(|stage| *stage == account.role) else { continue };
            roles.insert(role);
            for (camera, frames) in &account.cameras {
                let row = rows.entry(camera.clone()).or_default();
                add(row.stages.entry(role).or_default(), frames);
            }
        }
        let missing_roles = match rows.is_empty() {
            true => Vec::new(),
            false => STAGES.into_iter().filter(|stage| !roles.contains(stage)).collect(),
        };
        Self { rows, missing_roles }
    }

    /// Cameras and their rows, by name.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &LedgerRow)> {
        self.rows.iter().map(|(name, row)| (name.as_str(), row))
    }

    /// Frames that nothing explains, over all cameras.
    pub fn unexplained(&self) -> u64 {
        self.rows.values().map(LedgerRow::unexplained).sum()
    }

    /// The sum over all cameras at a stage.
    pub fn total(&self, role: &str) -> CameraAccount {
        let mut total = CameraAccount::default();
        for account in self.rows.values().filter_map(|row| row.stage(role)) {
            add(&mut total, account);
        }
        total
    }

    /// Why the ledger forbids trust; empty when every frame is explained.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> =
            self.missing_roles.iter().map(|role| format!("no {role} left an account")).collect();
        let unexplained = self.unexplained();
        if unexplained > 0 {
            let cameras = self.rows.values().filter(|row| row.unexplained() > 0).count();
            reasons
                .push(format!("{unexplained} frames of {cameras} cameras are unexplained (see the ledger)"));
        }
        reasons
    }

    /// One line for a terminal.
    pub(crate) fn summary(&self) -> String {
        let (due, sent) = (self.total("camera").frames_in, self.total("camera").frames_out);
        let counted = self.total("job").frames_out;
        format!(
            "frames: {due} due at {} cameras, {sent} sent, {counted} counted, {} unexplained",
            self.rows.len(),
            self.unexplained()
        )
    }

    /// The ledger as CSV, one line per camera; drops as `reason:frames` joined by blanks.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from("camera");
        for stage in STAGES {
            push(&mut csv, format_args!(",{stage}_in,{stage}_out,{stage}_dropped,{stage}_duplicates"));
        }
        csv.push_str(",unexplained\n");
        for (camera, row) in &self.rows {
            csv.push_str(camera);
            for stage in STAGES {
                let account = row.stage(stage).cloned().unwrap_or_default();
                let (entered, left, again) = (account.frames_in, account.frames_out, account.duplicates);
                push(&mut csv, format_args!(",{entered},{left},{},{again}", drops(&account)));
            }
            push(&mut csv, format_args!(",{}\n", row.unexplained()));
        }
        csv
    }

    /// Stages with their sums, for the report's table.
    pub(crate) fn stage_totals(&self) -> impl Iterator<Item = (&'static str, CameraAccount)> {
        STAGES.into_iter().map(|stage| (stage, self.total(stage)))
    }

    /// Whether there is anything to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Drops by reason as `reason:frames`, joined by blanks.
pub(crate) fn drops(account: &CameraAccount) -> String {
    let each = account.dropped.iter().map(|(reason, frames)| format!("{reason}:{frames}"));
    each.collect::<Vec<_>>().join(" ")
}

fn add(sum: &mut CameraAccount, account: &CameraAccount) {
    sum.frames_in += account.frames_in;
    sum.frames_out += account.frames_out;
    sum.duplicates += account.duplicates;
    for (reason, frames) in &account.dropped {
        *sum.dropped.entry(reason.clone()).or_default() += frames;
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a String cannot fail");
}
