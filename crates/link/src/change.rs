//! Changes of links over time.

use crate::{Jitter, LossModel, Profile, Queue, Trace};
use serde::{Deserialize, Serialize};
use units::{Delay, Percent, Rate};

/// Something that happens to some links, once or again and again.
///
/// Times count from the moment when the workflow's launch is done; what is in force ends with the run. Of several
/// changes in force at once, the later in the list wins, key by key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub schedule: Schedule,
    /// Which links, as indices into the list of all links.
    pub links: Vec<usize>,
    /// What.
    pub action: Action,
}

/// When a change is in force: `at <= t < at + lasts`, and again each `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// First beginning.
    pub at: Delay,
    /// How long each time; for good when absent. Shorter than `every`.
    pub lasts: Option<Delay>,
    /// From beginning to beginning; once when absent.
    pub every: Option<Delay>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The links behave differently.
    Alter(Patch),
    /// The links follow a recording, which begins with the change.
    Follow(Trace),
}

/// Other values for some properties of a link; those absent stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// As [`Profile::delay`].
    pub delay: Option<Delay>,
    /// As [`Profile::jitter`].
    pub jitter: Option<Jitter>,
    /// As [`Profile::rate`].
    pub rate: Option<Rate>,
    /// As [`Profile::loss`].
    pub loss: Option<LossModel>,
    /// As [`Profile::reorder`].
    pub reorder: Option<Percent>,
    /// As [`Profile::duplicate`].
    pub duplicate: Option<Percent>,
    /// As [`Profile::corrupt`].
    pub corrupt: Option<Percent>,
    /// As [`Profile::queue`].
    pub queue: Option<Queue>,
    /// As [`Profile::cut`].
    pub cut: Option<bool>,
}

impl Patch {
    /// `profile` with these values.
    pub fn applied_to(&self, profile: &Profile) -> Profile {
        Profile {
            delay: self.delay.unwrap_or(profile.delay),
            jitter: self.jitter.or(profile.jitter),
            rate: self.rate.or(profile.rate),
            loss: self.loss.unwrap_or(profile.loss),
            loss_unit: profile.loss_unit,
            reorder: self.reorder.unwrap_or(profile.reorder),
            duplicate: self.duplicate.unwrap_or(profile.duplicate),
            corrupt: self.corrupt.unwrap_or(profile.corrupt),
            queue: self.queue.unwrap_or(profile.queue),
            ecn: profile.ecn,
            cut: self.cut.unwrap_or(profile.cut),
        }
    }

    /// This patch, and then `later` on top of it: one patch that does both.
    #[must_use]
    pub fn and_then(&self, later: &Self) -> Self {
        Self {
            delay: later.delay.or(self.delay),
            jitter: later.jitter.or(self.jitter),
            rate: later.rate.or(self.rate),
            loss: later.loss.or(self.loss),
            reorder: later.reorder.or(self.reorder),
            duplicate: later.duplicate.or(self.duplicate),
            corrupt: later.corrupt.or(self.corrupt),
            queue: later.queue.or(self.queue),
            cut: later.cut.or(self.cut),
        }
    }

    /// Whether it touches the bottleneck, which links may share.
    pub const fn of_bottleneck(&self) -> bool {
        self.rate.is_some() || self.queue.is_some()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
