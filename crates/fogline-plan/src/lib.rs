//! Scenario to plan: hosts, addresses, services, bindings, links, tasks.
//!
//! [`plan`] expands a [`fogline_scenario::Scenario`] into a [`Plan`]: every host with its address, every service
//! instance with its variables, every ordered pair of hosts with its delay, rate and loss, every workflow entry with
//! its hosts and what each is bound to, and what starts the services. Pure and deterministic; whatever cannot be done
//! is a diagnostic with a place and a hint.
//!
//! The algorithms are E2Clab's, with these differences: ids are stable (registration order, never a set's); a layer's
//! name selects all of its hosts; a service's key may be written without its machine number, as old scenarios do;
//! all rules of the network hold together, on every host; a selector that matches nothing is an error.

mod bind;
mod cycle;
mod deploy;
pub mod estimate;
mod expand;
mod lint;
mod lookup;
mod name;
mod network;
mod own;
mod plan;
mod selector;
mod substitute;
mod types;

pub use fogline_scenario::Phase;
pub use link::Profile;
pub use plan::plan;
pub use types::{
    Binding, Entry, EntryHost, Host, HostId, Link, Monitoring, Options, Plan, PlannedChange, Rule, Service,
    Variables,
};
