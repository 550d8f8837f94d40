//! How long many hosts take to come up and to go: `cargo run --release -p fogline-testbed --example scale -- 15 200 1000`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for the terminal that may stop at any trouble"
)]

use fogline_plan::{Host, HostId, Link, Plan, Profile};
use fogline_testbed::{LocalOptions, LocalTestbed, lab_main};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use units::Delay;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "__lab") {
        lab_main();
    }
    for count in arguments.iter().map(|text| text.parse().unwrap()) {
        let plan = ring(count);
        let begin = Instant::now();
        let testbed = LocalTestbed::deploy(&plan, &LocalOptions::default()).unwrap();
        let up = begin.elapsed();
        for agent in testbed.agents() {
            agent.info(Duration::from_secs(30)).unwrap();
        }
        let answered = begin.elapsed();
        let begin = Instant::now();
        testbed.release().unwrap();
        println!(
            "{count} hosts: up in {:.3} s, all agents answered after {:.3} s, down in {:.3} s",
            up.as_secs_f64(),
            answered.as_secs_f64(),
            begin.elapsed().as_secs_f64()
        );
    }
}

/// Hosts with a link from each to the next.
fn ring(count: usize) -> Plan {
    let host = |index: usize| Host {
        name: format!("host-{index}"),
        address: Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 77, 0, 0)) + index as u32 + 1),
        layer: "ring".to_owned(),
        roles: Vec::new(),
        monitored: false,
        software: Vec::new(),
    };
    let profile = Profile { delay: Delay::from_millis(5), ..Profile::default() };
    Plan {
        scenario: "scale".to_owned(),
        hosts: (0..count).map(host).collect(),
        services: Vec::new(),
        deployments: Vec::new(),
        collections: Vec::new(),
        rules: Vec::new(),
        links: (0..count)
            .map(|index| Link::new(HostId(index), HostId((index + 1) % count), profile))
            .collect(),
        changes: Vec::new(),
        bounds: link::Bounds::default(),
        entries: Vec::new(),
        monitoring: None,
    }
}
