//! Who answers what is asked of a running experiment.

use super::protocol::{Answer, Request};
use super::socket::{Hear, Heard};
use crate::network::Live;
use crate::shell::Hosts;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

/// Answers about the hosts from the beginning, and about the network once that has been measured.
pub(crate) struct Desk<'a> {
    hosts: Hosts<'a>,
    network: OnceLock<Live<'a>>,
}

impl<'a> Desk<'a> {
    /// Answers about these hosts.
    pub(crate) fn new(hosts: Hosts<'a>) -> Self {
        Self { hosts, network: OnceLock::new() }
    }

    /// The network can be looked at and changed from now on.
    pub(crate) fn take_network(&self, live: Live<'a>) -> &Live<'a> {
        self.network.get_or_init(|| live)
    }
}

impl Hear for Desk<'_> {
    fn hear(&self, request: Request, who: &UnixStream) -> Heard<'_> {
        match request {
            Request::Network(ask) => match self.network.get() {
                Some(live) => live.answer(ask).into(),
                None => Answer::Failed(
                    "the network is not up yet: it can be looked at and changed once it has been measured"
                        .to_owned(),
                )
                .into(),
            },
            Request::Hosts => self.hosts.list().into(),
            Request::Shell { host, process } => self.hosts.shell(&host, process, who),
            Request::Forward { host, port } => self.hosts.forward(host.as_deref(), port, who),
            Request::Connect { host, port } => self.hosts.connect(&host, port),
        }
    }
}
