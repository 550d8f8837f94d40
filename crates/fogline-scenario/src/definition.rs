//! Service definitions (`services/*.yaml`): services are data, no Rust.
//!
//! ```yaml
//! service: Kafka                  # the name in layers_services.yaml, compared without case
//! summary: one line
//! default_engine: embedded
//! env:                            # process environment and variables, with defaults
//!   KAFKA_BATCH_SIZE: {default: "16384", meaning: bytes of a producer's batch}
//! engines:
//!   embedded:
//!     software: [kafka]           # what `fogline fetch` keeps; on the hosts under /opt/fogline/software/<name>
//!     roles:                      # sub services, in registration order
//!       leader:
//!         hosts: first            # first | rest | others | all, of the instance's hosts
//!         port: 9092
//!         extra: {data: "/opt/kafka/data"}        # variables; `{{ env.X }}`, `{{ _self.x }}`
//!         deploy: [...]           # tasks in the workflow's own format, ending in a readiness probe
//!         collect: [...]          # tasks that bring back what it has recorded, when all is over
//! ```
//!
//! An engine without sub services has `hosts`, `port`, `extra`, `deploy` and `collect` directly.

use crate::{Place, Spanned, Step};
use serde_json::Value;

/// One service definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Where it begins.
    pub place: Place,
    /// `service:`.
    pub service: Spanned<String>,
    /// `summary:`, one line for listings.
    pub summary: Option<String>,
    /// `default_engine:`, one of [`Definition::engines`].
    pub default_engine: Spanned<String>,
    /// `env:` in file order.
    pub env: Vec<EnvDefault>,
    /// `engines:` in file order, never empty.
    pub engines: Vec<Engine>,
}

impl Definition {
    /// The name of the definition that serves every service without one of its own.
    pub const FALLBACK: &'static str = "Default";

    /// The engine called `name`, if there is one.
    pub fn engine(&self, name: &str) -> Option<&Engine> {
        self.engines.iter().find(|engine| engine.name.value == name)
    }
}

/// One variable of a service's environment.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvDefault {
    /// Its name.
    pub name: String,
    /// Its value when the scenario does not set it.
    pub default: Spanned<Value>,
    /// What it is for, with its unit.
    pub meaning: String,
}

/// One way to run a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Its name: `embedded`.
    pub name: Spanned<String>,
    /// `software:`, names of packages that its hosts need; see [`Engine::SOFTWARE`].
    pub software: Vec<Spanned<String>>,
    /// Its roles in registration order, never empty; a service without sub services has one nameless role.
    pub roles: Vec<Role>,
}

impl Engine {
    /// Where a host finds a package of [`Engine::software`]: `/opt/fogline/software/<name>`, read-only.
    pub const SOFTWARE: &'static str = "/opt/fogline/software";
}

/// One role (sub service) of an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// Where it begins.
    pub place: Place,
    /// Its name; absent when the service has no sub services.
    pub name: Option<String>,
    /// Which of the instance's hosts it is on.
    pub placement: Placement,
    /// The port it listens on.
    pub port: Option<Spanned<u16>>,
    /// Further variables; strings may hold `{{ env.X }}` and `{{ _self.x }}`.
    pub extra: Vec<(String, Spanned<Value>)>,
    /// What starts it and waits until it is ready. A role without such tasks may share the port of one that has them:
    /// it is then another name for it.
    pub deploy: Vec<Step>,
    /// What brings back its records after the workflow's end, also after a failure; `working_dir` is the run folder.
    pub collect: Vec<Step>,
}

/// Which of an instance's hosts a role is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Placement {
    /// The first host.
    First,
    /// Every host but the first; the only host when there is one.
    Rest,
    /// Every host but the first; none when there is one.
    Others,
    /// Every host.
    #[default]
    All,
}
