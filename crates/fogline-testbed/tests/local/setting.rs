//! What every case starts from: a marker that all its processes carry, plans, and commands on hosts.

use crate::traces;
use fogline_agent::{Client, ExecRequest};
use fogline_plan::{Host, HostId, Link, Plan, Profile};
use fogline_testbed::{LocalOptions, LocalTestbed};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use units::Delay;

pub(crate) struct Setting {
    case: AtomicU32,
    mounts: String,
}

pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self { case: AtomicU32::new(0), mounts: traces::mounts() }
    }

    /// Begins a use of the testbed with a marker of its own.
    pub(crate) fn options(&self) -> LocalOptions {
        self.case.fetch_add(1, Ordering::Relaxed);
        options(&self.marker())
    }

    /// The command lines of all processes of the current testbed hold this.
    pub(crate) fn marker(&self) -> String {
        format!("mark-{}-{}", std::process::id(), self.case.load(Ordering::Relaxed))
    }

    pub(crate) fn deploy(&self, plan: &Plan) -> LocalTestbed {
        LocalTestbed::deploy(plan, &self.options()).unwrap()
    }

    /// Waits until no process of the current testbed is left, and checks that the machine has nothing of it.
    pub(crate) fn assert_clear(&self) {
        traces::assert_no_process(&self.marker());
        traces::assert_no_file();
        assert_eq!(traces::mounts(), self.mounts);
    }
}

pub(crate) fn options(marker: &str) -> LocalOptions {
    let mut options = LocalOptions::default();
    options.lab_command.1.push(marker.to_owned());
    options
}

/// `count` hosts; the first and the second are 30 ms apart each way.
pub(crate) fn plan(count: usize) -> Plan {
    let hosts = (0..count)
        .map(|index| Host {
            name: format!("fog-{index}"),
            address: Ipv4Addr::new(10, 77, 0, u8::try_from(index + 1).unwrap()),
            layer: "fog".to_owned(),
            roles: Vec::new(),
            monitored: false,
            software: Vec::new(),
        })
        .collect();
    let profile = Profile { delay: Delay::from_millis(30), ..Profile::default() };
    let link = |source, destination| Link::new(HostId(source), HostId(destination), profile);
    Plan {
        scenario: "test".to_owned(),
        hosts,
        services: Vec::new(),
        deployments: Vec::new(),
        collections: Vec::new(),
        rules: Vec::new(),
        links: if count > 1 { vec![link(0, 1), link(1, 0)] } else { Vec::new() },
        changes: Vec::new(),
        bounds: link::Bounds::default(),
        entries: Vec::new(),
        monitoring: None,
    }
}

/// Runs a shell script on a host: its return code and what it wrote.
pub(crate) fn shell(host: &Client, script: &str) -> (i32, String) {
    let result = host.exec(&ExecRequest::new(["sh", "-c", script])).unwrap();
    let mut output = String::from_utf8_lossy(&result.stdout).into_owned();
    output.push_str(&String::from_utf8_lossy(&result.stderr));
    (result.exit.rc(), output.trim().to_owned())
}

/// Runs a shell script that has to succeed.
pub(crate) fn succeed(host: &Client, script: &str) -> String {
    let (code, output) = shell(host, script);
    assert_eq!(code, 0, "{}: {script}: {output}", host.host());
    output
}
