//! The life of one host, from its first process's first step.

use super::mounts::{OwnFiles, Store};
use super::rights::{Right, Trouble};
use super::view::View;
use crate::sys;
use fogline_agent::Role;
use std::io::{PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Capabilities over the whole machine that no task of a host may have, by their numbers in linux/capability.h:
/// loading modules, raw input and output, rebooting, setting the clock, making device nodes, security policy.
const FORBIDDEN: [libc::c_ulong; 7] = [16, 17, 22, 25, 27, 32, 33];

/// What a host starts with.
pub(crate) struct Host<'a> {
    pub(crate) index: usize,
    pub(crate) name: &'a str,
    pub(crate) hosts_file: &'a str,
    pub(crate) programs: usize,
    pub(crate) network: &'a OwnedFd,
    pub(crate) store: &'a Store,
    pub(crate) view: &'a View,
}

impl Host<'_> {
    /// Becomes the host, says on `status` that it has (or why not), and serves the runner until that hangs up.
    pub(crate) fn live(&self, agent: UnixStream, mut status: PipeWriter) -> i32 {
        let become_host = self.become_host(&agent, &status).map_err(|trouble| trouble.on(self.name));
        let report = serde_json::to_vec(&become_host).unwrap_or_default();
        if status.write_all(&report).is_err() || become_host.is_err() {
            return 1;
        }
        drop(status);
        match fogline_agent::serve(agent, Role::Init) {
            Ok(()) => 0,
            Err(_) => 1,
        }
    }

    fn become_host(&self, agent: &UnixStream, status: &PipeWriter) -> Result<(), Trouble> {
        let keep = [agent.as_raw_fd(), status.as_raw_fd(), self.network.as_raw_fd()];
        sys::close_all_but(&keep).map_err(Trouble::failed("closing inherited descriptors"))?;
        // A session of its own puts the host's tasks into a scheduling group of their own.
        sys::begin_session()
            .and_then(|()| sys::set_name(&format!("host:{}", self.name)))
            .map_err(Trouble::failed("beginning a session"))?;
        sys::enter(self.network.as_fd(), libc::CLONE_NEWNET)
            .map_err(Trouble::step(Right::Namespaces, "entering the network namespace"))?;
        sys::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC)
            .map_err(Trouble::step(Right::Namespaces, "unshare(NEWNS|NEWUTS|NEWIPC)"))?;
        sys::set_hostname(self.name).map_err(Trouble::failed("setting the hostname"))?;
        let files = OwnFiles { hostname: self.name.to_owned(), hosts: self.hosts_file.to_owned() };
        self.store.enter_root(self.index, self.view, &files)?;
        sys::close_all_but(&keep[..2]).map_err(Trouble::failed("closing the namespace"))?;
        for capability in FORBIDDEN {
            sys::forbid_capability(capability).map_err(Trouble::failed("giving up capabilities"))?;
        }
        sys::set_environment(&self.environment());
        Ok(())
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut path: Vec<String> =
            (0..self.programs).map(|index| format!("/opt/fogline/bin-{index}")).collect();
        path.push("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        let mut variables: Vec<(String, String)> = ["LANG", "LC_ALL", "TZ", "JAVA_HOME"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
        let own = [
            ("PATH", path.join(":")),
            ("HOME", "/root".to_owned()),
            ("USER", "root".to_owned()),
            ("LOGNAME", "root".to_owned()),
            ("SHELL", "/bin/sh".to_owned()),
            ("HOSTNAME", self.name.to_owned()),
            ("FOGLINE_HOST", self.name.to_owned()),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        variables
    }
}
