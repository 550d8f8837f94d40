//! The three YAML documents of an experiment, typed, with diagnostics.

mod definition;
mod place;
mod scenario;
mod task;

pub use definition::{Definition, Engine, EnvDefault, Placement, Role};
pub use place::{Diagnostic, Place, Severity, Spanned};
pub use scenario::{
    ArrayInfo, Dependency, Environment, Grouping, Layer, MonitoringRequest, NetworkRule, Phase, Provider,
    Scenario, ServiceRequest, WorkflowEntry,
};
pub use task::{Job, Task, Until};

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
}
