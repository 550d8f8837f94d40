//! What every service knows of itself: `_self`.

use crate::expand::placed;
use crate::substitute::substitute;
use crate::{Host, Variables};
use fogline_scenario::{Engine, Findings, Role};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::ops::Range;

/// Hosts that an instance of a service with a definition may have: each knows the addresses of all, so that what is
/// remembered grows with the square.
pub(crate) const MEMBERS_MAX: usize = 1_000;

/// What the services of one instance have in common.
pub(crate) struct Own<'a> {
    /// The engine that runs it.
    pub(crate) engine: Option<&'a Engine>,
    /// The hosts of the instance.
    pub(crate) members: &'a Range<usize>,
    /// The process environment.
    pub(crate) env: &'a Map<String, Value>,
}

impl Own<'_> {
    /// `_self` of a service on one of the instance's hosts; ids are texts, as in E2Clab. Beside E2Clab's:
    /// `engine`, and for a service with a definition `member`, the host's number within the instance, from 1; `members`,
    /// the addresses of all its hosts; `urls`, comma-separated, whoever of the instance listens on the same port. Without
    /// a definition nobody in the instance is anything to the others.
    pub(crate) fn variables(
        &self,
        ids: [usize; 3],
        hosts: &[Host],
        host: usize,
        port: Option<u16>,
    ) -> Variables {
        let [layer_id, service_id, machine_id] = ids.map(|id| id.to_string());
        let address_of = |host: usize| hosts[host].address.to_string();
        let url_of = |host: usize| match port {
            Some(port) => format!("{}:{port}", address_of(host)),
            None => address_of(host),
        };
        let (address, url) = (address_of(host), url_of(host));
        let mut variables = vec![
            ("_id", json!(format!("{layer_id}_{service_id}_{machine_id}"))),
            ("layer_id", json!(layer_id)),
            ("service_id", json!(service_id)),
            ("machine_id", json!(machine_id)),
            ("hostname", json!(hosts[host].name)),
            ("__address__", json!(address)),
            ("url", json!(url)),
            ("__address4__", json!(address)),
            ("url4", json!(url)),
            ("env", Value::Object(self.env.clone())),
            ("engine", json!(self.engine.map_or("", |engine| engine.name.value.as_str()))),
        ];
        if let Some(engine) = self.engine {
            let members: Vec<String> = self.members.clone().map(address_of).collect();
            let urls: Vec<String> = self.listening(engine, host, port).into_iter().map(url_of).collect();
            variables.extend([
                ("member", json!((host + 1 - self.members.start).to_string())),
                ("members", json!(members)),
                ("urls", json!(urls.join(","))),
            ]);
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The hosts of the instance with a role on `port`; the host itself where there is no port.
    fn listening(&self, engine: &Engine, host: usize, port: Option<u16>) -> BTreeSet<usize> {
        let same = engine
            .roles
            .iter()
            .filter(|role| port.is_some() && role.port.as_ref().map(|port| port.value) == port);
        let mut hosts: BTreeSet<usize> = same.flat_map(|role| placed(role.placement, self.members)).collect();
        hosts.insert(host);
        hosts
    }
}

/// The same and a role's extras, which may name each other in their order.
pub(crate) fn with_extras(
    mut own: Variables,
    role: &Role,
    env: &Map<String, Value>,
    findings: &mut Findings,
) -> Variables {
    let mut context = Variables::new();
    context.insert("env".to_owned(), Value::Object(env.clone()));
    for (name, extra) in &role.extra {
        context.insert("_self".to_owned(), Value::Object(own.clone()));
        match substitute(&extra.value, &context) {
            Ok(value) => {
                own.insert(name.clone(), value);
            }
            Err(message) => {
                findings.error(&extra.place, message, "add it to the definition's `env`".to_owned())
            }
        }
    }
    own
}
