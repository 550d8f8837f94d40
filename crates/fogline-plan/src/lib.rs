//! Scenario to plan: hosts, addresses, services, bindings, links, tasks.

mod types;

pub use fogline_scenario::Phase;
pub use types::{
    Binding, Entry, EntryHost, Host, HostId, Link, Monitoring, Options, Plan, Profile, Rule, Service,
    Variables,
};
