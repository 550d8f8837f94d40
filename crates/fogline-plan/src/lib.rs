//! Scenario to plan: hosts, addresses, services, bindings, links, tasks.

mod types;

pub use types::{
    Entry, EntryHost, Host, HostId, Link, Monitoring, Phase, Plan, Profile, Rule, Service, ServicePort,
    Variables,
};
