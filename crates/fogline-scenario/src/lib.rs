//! The three YAML documents of an experiment, typed, with diagnostics.
//!
//! [`parse`] takes the texts of `layers_services.yaml`, `network.yaml`, `workflow.yaml` and the service definitions
//! and gives a [`Scenario`], or everything that is wrong with them, each finding with file, line, column and a hint.
//! Pure: no file is opened, no name is looked up, no template is rendered. What a value means together with others
//! (selectors, bindings, hosts) is the plan's affair.
//!
//! The formats are E2Clab's (<https://e2clab.gitlabpages.inria.fr/e2clab/>), in both its dialects: `depends_on` as a
//! map or a list, `environment: {name: g5k}` or one block per provider. `local: {}` is our own provider. Tasks are
//! Ansible's, with the modules and keywords that are listed when another one is refused. The network file's own keys
//! beyond E2Clab's are described by [`schema::NETWORK`].

mod blocks;
mod catalogue;
mod definition;
mod definitions;
mod fields;
mod findings;
mod layers;
mod modules;
mod nearest;
mod network;
mod parse;
mod place;
mod scenario;
pub mod schema;
mod shaping;
mod step;
mod task;
mod tasks;
mod workflow;
mod workflow_env;
mod yaml;

pub use definition::{Definition, Engine, EnvDefault, Placement, Role};
pub use findings::Findings;
pub use nearest::{hint, nearest};
pub use network::{TraceFile, patch, traces_named};
pub use parse::parse;
pub use place::{Diagnostic, Place, Severity, Spanned};
pub use scenario::{
    ArrayInfo, Dependency, Environment, Grouping, Layer, MonitoringRequest, Phase, Provider, Scenario,
    ServiceRequest, WorkflowEntry,
};
pub use shaping::{Effect, LinkValues, NetworkChange, NetworkRule, Target};
pub use step::{Block, Step};
pub use task::{Job, Task, Until};
pub use workflow_env::{Configuration, configurations};

/// One of the user's files: its name as shown in diagnostics, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file as the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A source of a name and a text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// The texts that make up a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// `layers_services.yaml`.
    pub layers: Source,
    /// `network.yaml`; without it nothing is shaped.
    pub network: Option<Source>,
    /// `workflow.yaml`; without it only the services are deployed.
    pub workflow: Option<Source>,
    /// Service definitions, `services/*.yaml`.
    pub services: Vec<Source>,
    /// The trace files that the network file names ([`traces_named`] tells which).
    pub traces: Vec<TraceFile>,
}
