//! What the network file asks for, typed, every value with its place.

use crate::{Place, Spanned};
use link::{Congestion, Jitter, LossModel, LossUnit, Patch, Profile, Queue, Schedule, Share, Trace};
use units::{Delay, Percent, Rate};

/// Properties of links as written; those absent are not asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinkValues {
    /// `delay:`, one way.
    pub delay: Option<Spanned<Delay>>,
    /// `jitter:`, a spread or a map.
    pub jitter: Option<Spanned<Jitter>>,
    /// `rate:`.
    pub rate: Option<Spanned<Rate>>,
    /// `loss:`, one way, a percentage or a map.
    pub loss: Option<Spanned<LossModel>>,
    /// `reorder:`.
    pub reorder: Option<Spanned<Percent>>,
    /// `duplicate:`.
    pub duplicate: Option<Spanned<Percent>>,
    /// `corrupt:`.
    pub corrupt: Option<Spanned<Percent>>,
    /// `queue:`, a limit, a discipline or a map.
    pub queue: Option<Spanned<Queue>>,
}

impl LinkValues {
    /// The values without their places.
    pub fn patch(&self) -> Patch {
        Patch {
            delay: self.delay.as_ref().map(|asked| asked.value),
            jitter: self.jitter.as_ref().map(|asked| asked.value),
            rate: self.rate.as_ref().map(|asked| asked.value),
            loss: self.loss.as_ref().map(|asked| asked.value),
            reorder: self.reorder.as_ref().map(|asked| asked.value),
            duplicate: self.duplicate.as_ref().map(|asked| asked.value),
            corrupt: self.corrupt.as_ref().map(|asked| asked.value),
            queue: self.queue.as_ref().map(|asked| asked.value),
            cut: None,
        }
    }
}

/// One rule of `networks:`.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkRule {
    /// Where it begins.
    pub place: Place,
    /// `src:`, a selector.
    pub source: Spanned<String>,
    /// `dst:`, a selector.
    pub destination: Spanned<String>,
    /// `symmetric:`: whether the mirrored rule holds too.
    pub symmetric: bool,
    /// What each link shall do.
    pub values: LinkValues,
    /// `loss_unit:`, `packet` when absent.
    pub loss_unit: LossUnit,
    /// `ecn:`, false when absent.
    pub ecn: bool,
    /// `share:`, `pair` when absent.
    pub share: Share,
    /// `congestion:`, the run's when absent.
    pub congestion: Option<Congestion>,
    /// `seed:`, the run's when absent.
    pub seed: Option<u64>,
    /// `changes:` of the rule, in file order; their target is [`Target::Rule`].
    pub changes: Vec<NetworkChange>,
}

impl NetworkRule {
    /// What each link of the rule does unless something changes it.
    pub fn profile(&self) -> Profile {
        let plain = Profile { loss_unit: self.loss_unit, ecn: self.ecn, ..Profile::default() };
        self.values.patch().applied_to(&plain)
    }
}

/// One block of `changes:`.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkChange {
    /// Where it begins.
    pub place: Place,
    /// `at:`, `for:` and `every:`.
    pub schedule: Schedule,
    /// Which links.
    pub target: Target,
    /// What happens to them.
    pub effect: Effect,
}

/// The links that a change is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Those of the rule in which it stands, both directions of a symmetric one.
    Rule,
    /// All links from and to the hosts that `hosts:` selects.
    Hosts(Spanned<String>),
    /// Those from hosts to hosts.
    Pairs {
        /// `src:`, a selector.
        source: Spanned<String>,
        /// `dst:`, a selector.
        destination: Spanned<String>,
        /// `symmetric:`: whether those back change too.
        symmetric: bool,
    },
}

/// What a change does.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Some properties have other values.
    Alter(Box<LinkValues>),
    /// `cut: true`: nothing passes.
    Cut,
    /// `trace:`: the links follow a recording.
    Follow {
        /// The file as named.
        name: Spanned<String>,
        /// What it holds.
        trace: Trace,
    },
}
