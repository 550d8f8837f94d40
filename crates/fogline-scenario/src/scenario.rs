//! What the user wrote, typed, every value with its place.

use crate::{Definition, NetworkChange, NetworkRule, Place, Spanned, Step};
use link::Bounds;
use serde_json::Value;
use std::collections::BTreeMap;
use units::Rate;

/// The three documents of an experiment and the service definitions it may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `environment:` of the layers file.
    pub environment: Environment,
    /// `monitoring:` of the layers file.
    pub monitoring: Option<MonitoringRequest>,
    /// `layers:` in file order, never empty.
    pub layers: Vec<Layer>,
    /// `networks:` in file order.
    pub rules: Vec<NetworkRule>,
    /// `changes:` beside `networks:`, in file order; their target is never [`Target::Rule`](crate::Target::Rule).
    pub changes: Vec<NetworkChange>,
    /// `bounds:` of the network file.
    pub bounds: Bounds,
    /// The workflow in file order.
    pub entries: Vec<WorkflowEntry>,
    /// Service definitions, in the order in which they were given.
    pub definitions: Vec<Definition>,
}

/// Where the experiment runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Where the block stands.
    pub place: Place,
    /// `job_name:`.
    pub job_name: Option<Spanned<String>>,
    /// `walltime:` in seconds, written `hh:mm:ss`.
    pub walltime_s: Option<Spanned<u64>>,
    /// Provider blocks in file order; the first one is the default.
    pub providers: Vec<Provider>,
}

/// One provider block: `local: {}`, `g5k: {...}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// The provider's name.
    pub name: Spanned<String>,
    /// Its settings as written.
    pub settings: Value,
}

/// `monitoring:` as asked.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitoringRequest {
    /// `type:`: `dstat`, `tig` or `tpg`.
    pub kind: Spanned<String>,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name as written.
    pub name: Spanned<String>,
    /// Its services in file order, never empty.
    pub services: Vec<ServiceRequest>,
}

/// One service of a layer, as asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRequest {
    /// Where the block begins.
    pub place: Place,
    /// Service name as written; selects the definition.
    pub name: Spanned<String>,
    /// Hosts for one instance, at least 1.
    pub quantity: Spanned<u32>,
    /// Extra copies of the instance: `repeat: 3` makes four.
    pub repeat: Spanned<u32>,
    /// The scenario's own roles.
    pub roles: Vec<Spanned<String>>,
    /// `env:` in file order; values are texts, numbers or booleans.
    pub env: Vec<(String, Spanned<Value>)>,
    /// `engine:`: which engine of the definition to use.
    pub engine: Option<Spanned<String>>,
    /// Every other key, as written.
    pub metadata: Vec<(String, Spanned<Value>)>,
}

/// The phases of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Bring files, make topics.
    Prepare,
    /// Start.
    Launch,
    /// Stop and fetch.
    Finalize,
}

impl Phase {
    /// All phases in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Prepare, Self::Launch, Self::Finalize];

    /// The key in `workflow.yaml`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Launch => "launch",
            Self::Finalize => "finalize",
        }
    }
}

/// One entry of `workflow.yaml`.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowEntry {
    /// Where it begins.
    pub place: Place,
    /// `hosts:`, a selector.
    pub hosts: Spanned<String>,
    /// `depends_on:`, written as a map or a list.
    pub depends_on: Vec<Dependency>,
    /// Its tasks by phase; the play's `environment` is merged into them.
    pub phases: BTreeMap<Phase, Vec<Step>>,
    /// Play `vars:` in file order; strings are templates.
    pub vars: Vec<(String, Spanned<Value>)>,
}

/// One item of `depends_on:`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Where it begins.
    pub place: Place,
    /// `service_selector:`.
    pub selector: Spanned<String>,
    /// `grouping:`, `round_robin` when absent.
    pub grouping: Grouping,
    /// `prefix:`: the variable that takes the service.
    pub prefix: Spanned<String>,
    /// `sends:`: what one flow from a host of the entry to its service offers. Not E2Clab's; only warnings use it.
    pub sends: Option<Spanned<Rate>>,
}

/// How the hosts of an entry are bound to the services they depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// Host *i* gets service *i* mod *n*.
    RoundRobin,
    /// Each host gets the service on its own address.
    AddressMatch,
    /// Every host gets every service, as `prefix<service>_<machine>`.
    Aggregate,
    /// Every host gets a list with one item per service.
    AsArray(ArrayInfo),
}

impl Grouping {
    /// The name in `workflow.yaml`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::AddressMatch => "address_match",
            Self::Aggregate => "aggregate",
            Self::AsArray(_) => "asarray",
        }
    }
}

/// What `asarray` lists: `array_info:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ArrayInfo {
    /// `id`: the service's `_id` without underscores.
    #[default]
    Id,
    /// `hostname`: the service's address.
    Hostname,
}
