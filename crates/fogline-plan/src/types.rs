//! The plan: everything an experiment will do, fully expanded, before anything is started.

use fogline_scenario::{Grouping, Phase, Place, Step};
use link::{Bounds, Congestion, Profile, Share};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Variables of one host in one entry: `_self`, the bound services under their prefixes, play `vars`.
pub type Variables = Map<String, Value>;

/// What the scenario's files do not say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// The scenario folder's name.
    pub scenario: String,
    /// Engines by service name (compared without case), over the files' `engine:` and the definitions' defaults.
    pub engines: BTreeMap<String, String>,
    /// The engine of every service that has one of this name, after [`Options::engines`] and before what the files say.
    pub engine: Option<String>,
    /// The run's TCP congestion control, which rules may replace; cubic when absent. Only warnings use it.
    pub congestion: Option<Congestion>,
}

/// The index of a host in [`Plan::hosts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// The whole experiment, expanded.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The scenario folder's name.
    pub scenario: String,
    /// All hosts, in the order of the layers file.
    pub hosts: Vec<Host>,
    /// All registered services, in registration order.
    pub services: Vec<Service>,
    /// What starts each service and waits until it is ready; run before the network is shaped, all at once
    /// within one entry, entry after entry. Only [`Phase::Launch`] is used.
    pub deployments: Vec<Entry>,
    /// What brings back the records of each service when all is over. Only [`Phase::Finalize`] is used.
    pub collections: Vec<Entry>,
    /// The network rules as asked, each with the ordered pairs it covers.
    pub rules: Vec<Rule>,
    /// One link per ordered pair of hosts that a rule covers or a change names; at most one per pair, those of rules
    /// first. All other pairs are unshaped.
    pub links: Vec<Link>,
    /// What changes the links over time: what rules hold, in file order, then what stands beside them.
    pub changes: Vec<PlannedChange>,
    /// How well the emulation must keep its word.
    pub bounds: Bounds,
    /// The workflow, in file order.
    pub entries: Vec<Entry>,
    /// What is sampled on hosts whose role list has `monitoring`.
    pub monitoring: Option<Monitoring>,
}

/// One host of the experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Name that the other hosts resolve, at most 63 characters of `a-z0-9-`: `edge-producer-3-1`.
    pub name: String,
    /// Address, unique in the plan.
    pub address: Ipv4Addr,
    /// The layer that the host belongs to.
    pub layer: String,
    /// Roles as E2Clab assigns them: service name, `<layer id>_<service id>` (`1_2`), layer, the scenario's own.
    pub roles: Vec<String>,
    /// Whether the monitoring samples this host.
    pub monitored: bool,
    /// Packages that its services need, found under `/opt/fogline/software/<name>`; sorted, each once.
    pub software: Vec<String>,
}

impl Host {
    /// Its IPv6 address: the IPv4 address in the last 32 bits of a unique local prefix (RFC 4193), fd0f:6f67:6c69::/96.
    pub const fn address6(&self) -> Ipv6Addr {
        let [a, b, c, d] = self.address.octets();
        let words = [a as u16 * 256 + b as u16, c as u16 * 256 + d as u16];
        Ipv6Addr::new(0xfd0f, 0x6f67, 0x6c69, 0, 0, 0, words[0], words[1])
    }
}

/// One service instance (or a sub service of it) registered on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// `layer.service.id[.sub_service].machine`, lower case: `cloud.kafka.2.leader.1`.
    pub key: String,
    /// Layer name as written.
    pub layer: String,
    /// Service name as written.
    pub name: String,
    /// Sub service (role inside the service), lower case.
    pub sub_service: Option<String>,
    /// The host it runs on.
    pub host: HostId,
    /// The port it listens on, if its definition names one.
    pub port: Option<u16>,
    /// `_self` of this service: `_id`, `layer_id`, `service_id`, `machine_id`, `__address__`, `url`, ... and
    /// the definition's extras.
    pub variables: Variables,
}

/// One workflow entry (or service deployment) with its hosts and their bindings.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the user will recognise it by: the selector, or the service's key.
    pub label: String,
    /// Where it begins.
    pub place: Place,
    /// Its hosts in order, each with its own variables.
    pub hosts: Vec<EntryHost>,
    /// Its tasks by phase; phases it lacks are absent.
    pub phases: BTreeMap<Phase, Vec<Step>>,
}

/// One host of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryHost {
    /// The host.
    pub host: HostId,
    /// The service that was selected on it and is its `_self`, as an index into [`Plan::services`].
    pub service: usize,
    /// The services that it is bound to, in the order of `depends_on`.
    pub bindings: Vec<Binding>,
    /// Its variables, merged: `_self`, the bindings, play `vars` (strings are templates).
    pub variables: Variables,
}

/// One variable of an entry's host and the services behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The variable: the prefix, or for `aggregate` the prefix with the service's ids.
    pub variable: String,
    /// How it was bound.
    pub grouping: Grouping,
    /// The services, as indices into [`Plan::services`]: one, or for `asarray` all.
    pub services: Vec<usize>,
}

/// One rule of `network.yaml` in one direction (a symmetric rule yields two).
#[derive(Clone, Debug)]
pub struct Rule {
    /// `src-dst`, for file names: `cloud-fog`.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Source selector as written.
    pub source: String,
    /// Destination selector as written.
    pub destination: String,
    /// Whether it is the mirrored half of a symmetric rule.
    pub mirrored: bool,
    /// What it asks for.
    pub profile: Profile,
    /// Who shares its rate.
    pub share: Share,
    /// TCP congestion control of what its sources send to its destinations, where it is not the run's.
    pub congestion: Option<Congestion>,
    /// Seed of its links' randomness, where it is not the run's.
    pub seed: Option<u64>,
    /// The ordered pairs that it covers, as indices into [`Plan::links`].
    pub links: Vec<usize>,
}

/// A shaped ordered pair of hosts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Sending host.
    pub source: HostId,
    /// Receiving host.
    pub destination: HostId,
    /// What it does to packets.
    pub profile: Profile,
    /// Links of the same number share one rate and one queue.
    pub bottleneck: Option<usize>,
    /// TCP congestion control of what the source sends to the destination, where it is not the run's.
    pub congestion: Option<Congestion>,
    /// Seed of the link's randomness, where it is not the run's.
    pub seed: Option<u64>,
}

impl Link {
    /// A link with a bottleneck, a congestion control and a seed as usual.
    pub const fn new(source: HostId, destination: HostId, profile: Profile) -> Self {
        Self { source, destination, profile, bottleneck: None, congestion: None, seed: None }
    }
}

/// Something that changes links while the experiment runs.
#[derive(Clone, Debug)]
pub struct PlannedChange {
    /// What the user will recognise it by: `fog-edge: cut`, `fog -> edge: loss 20%`.
    pub label: String,
    /// Where it stands.
    pub place: Place,
    /// When, which of [`Plan::links`], and what.
    pub change: link::Change,
}

/// Monitoring, as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitoring {
    /// `dstat`, `tig` or `tpg` as asked; what is sampled here is what `dstat` samples.
    pub kind: String,
}
