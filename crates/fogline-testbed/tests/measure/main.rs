//! The links of a real testbed, measured: as asked where they are, and found out where they are not.
//!
//! A harness of its own, because this program must be able to become the lab before it has any thread. `--table`
//! prints what is measured on the surveillance topology, and how long it takes.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test program, though clippy cannot see that")]

mod properties;

use fogline_plan::{Host, HostId, Link, Plan, Profile, Rule};
use fogline_scenario::Place;
use fogline_testbed::{
    LocalOptions, LocalTestbed, MeasureOptions, RuleMeasurement, TestbedError, Verdict, lab_main, measure,
    probe_rights_with,
};
use link::{LossModel, Share};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "__lab") {
        lab_main();
    }
    if let Err(TestbedError::Right(right)) = probe_rights_with(&LocalOptions::default()) {
        eprintln!("measuring links: SKIPPED, {right}");
        return ExitCode::SUCCESS;
    }
    if arguments.iter().any(|it| it == "--table") {
        print_table(&measured(&surveillance()));
        return ExitCode::SUCCESS;
    }
    links_as_asked_agree();
    links_not_as_asked_are_found_out();
    properties::are_confirmed();
    properties::are_missed();
    properties::rates_are_shared_or_not();
    ExitCode::SUCCESS
}

fn profile(delay: &str, rate: &str, loss: &str) -> Profile {
    let loss = LossModel::Independent(loss.parse().unwrap());
    Profile { delay: delay.parse().unwrap(), rate: Some(rate.parse().unwrap()), loss, ..Profile::default() }
}

/// Layers of so many hosts each, without rules.
fn layers(layers: &[(&str, usize)]) -> Plan {
    let names = layers.iter().flat_map(|(layer, count)| (1..=*count).map(move |number| (*layer, number)));
    let hosts = names.enumerate().map(|(index, (layer, number))| Host {
        name: format!("{layer}-{number}"),
        address: Ipv4Addr::new(10, 77, 0, u8::try_from(index + 1).unwrap()),
        layer: layer.to_owned(),
        roles: Vec::new(),
        monitored: false,
        software: Vec::new(),
    });
    Plan {
        scenario: "test".to_owned(),
        hosts: hosts.collect(),
        services: Vec::new(),
        deployments: Vec::new(),
        collections: Vec::new(),
        rules: Vec::new(),
        links: Vec::new(),
        changes: Vec::new(),
        bounds: link::Bounds::default(),
        entries: Vec::new(),
        monitoring: None,
    }
}

/// Adds a rule between two layers that asks for one thing, and links that do another.
fn rule(plan: &mut Plan, source: &str, destination: &str, asked: Profile, real: Profile) {
    let of = |layer: &str| -> Vec<HostId> {
        let ids = plan.hosts.iter().enumerate().filter(|(_, host)| host.layer == layer);
        ids.map(|(index, _)| HostId(index)).collect()
    };
    let (sources, destinations) = (of(source), of(destination));
    let first = plan.links.len();
    for source in sources {
        let to = destinations.iter().copied();
        plan.links.extend(to.map(|destination| Link::new(source, destination, real)));
    }
    plan.rules.push(Rule {
        name: format!("{source}-{destination}"),
        place: Place { file: "network.yaml".into(), line: 1, column: 1 },
        source: source.to_owned(),
        destination: destination.to_owned(),
        mirrored: false,
        profile: asked,
        share: Share::Pair,
        congestion: None,
        seed: None,
        links: (first..plan.links.len()).collect(),
    });
}

fn surveillance() -> Plan {
    let mut plan = layers(&[("cloud", 2), ("fog", 4), ("edge", 8)]);
    let (near, far) = (profile("5ms", "1gbit", "2%"), profile("50ms", "150mbit", "5%"));
    rule(&mut plan, "cloud", "fog", near, near);
    rule(&mut plan, "fog", "cloud", near, near);
    rule(&mut plan, "fog", "edge", far, far);
    rule(&mut plan, "edge", "fog", far, far);
    plan
}

fn measured(plan: &Plan) -> Vec<RuleMeasurement> {
    measured_as(plan, plan)
}

/// Measures the links of one plan as if they were to be those of another.
fn measured_as(real: &Plan, plan: &Plan) -> Vec<RuleMeasurement> {
    let testbed = LocalTestbed::deploy(real, &LocalOptions::default()).unwrap();
    let started = Instant::now();
    let measured =
        measure(plan, testbed.agents(), &|| testbed.network().ok(), &MeasureOptions::default()).unwrap();
    eprintln!("measured {} links in {:.2} s", plan.links.len(), started.elapsed().as_secs_f64());
    testbed.release().unwrap();
    measured
}

fn print_table(rules: &[RuleMeasurement]) {
    for rule in rules {
        let (delay, rate, loss) = (&rule.delay, &rule.rate, &rule.loss);
        if let Some(jitter) = &rule.jitter {
            eprintln!("{}: {jitter:?}", rule.rule);
        }
        eprintln!(
            "{}: MTU {:?} {:?}, {:?}",
            rule.rule, rule.mtu.measured_bytes, rule.mtu.verdict, loss.account
        );
        eprintln!(
            "{}: delay {:.1} -> {:.3} ms (min {:.3}, worst pair {:.3}, rtt {:.3}, {} samples) {:?}; \
             loss {:.2} -> {:.3} % (se {:.3}, {} packets, drops {}+{}) {:?}; rate {:?} -> {:.4e} {:?} {:?}",
            rule.rule,
            delay.asked_ms,
            delay.one_way_ms_p50.unwrap_or(f64::NAN),
            delay.one_way_ms_min.unwrap_or(f64::NAN),
            delay.one_way_ms_p50_worst_pair.unwrap_or(f64::NAN),
            delay.rtt_ms_p50.unwrap_or(f64::NAN),
            delay.samples,
            delay.verdict,
            100.0 * loss.asked,
            100.0 * loss.measured.unwrap_or(f64::NAN),
            100.0 * loss.standard_error,
            loss.packets_sent,
            loss.receiver_drops,
            loss.interface_drops,
            loss.verdict,
            rate.asked_bits_per_s,
            rate.measured_bits_per_s.unwrap_or(f64::NAN),
            rate.probes.iter().map(|it| (it.offered_bits_per_s / 1e6).round()).collect::<Vec<_>>(),
            rate.verdict,
        );
    }
}

/// What does not depend on how busy the machine is: no packet is early, none is lost but by the links.
fn links_as_asked_agree() {
    let mut plan = layers(&[("cloud", 1), ("fog", 2)]);
    let asked = profile("20ms", "20mbit", "5%");
    rule(&mut plan, "cloud", "fog", asked, asked);
    rule(&mut plan, "fog", "cloud", asked, asked);
    let rules = measured(&plan);
    print_table(&rules);
    assert_eq!(rules.iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(), ["cloud-fog", "fog-cloud"]);
    for rule in rules {
        assert_eq!(rule.pairs, 2);
        assert!(rule.delay.silent_pairs.is_empty() && rule.delay.samples > 0, "{rule:?}");
        assert!(rule.delay.one_way_ms_min.unwrap() >= 20.0, "{rule:?}");
        assert!(rule.delay.rtt_ms_p50.unwrap() >= 40.0, "{rule:?}");
        assert_eq!(rule.loss.verdict, Verdict::Within, "{rule:?}");
        assert!(rule.loss.standard_error <= rule.loss.asked / 24.0, "{rule:?}");
        assert!(rule.rate.measured_bits_per_s.unwrap() <= 20e6 * 1.05, "{rule:?}");
    }
}

fn links_not_as_asked_are_found_out() {
    let mut plan = layers(&[("cloud", 1), ("fog", 1), ("edge", 1)]);
    let real = profile("5ms", "20mbit", "5%");
    rule(&mut plan, "cloud", "fog", profile("20ms", "20mbit", "5%"), real);
    rule(&mut plan, "fog", "edge", profile("5ms", "10mbit", "5%"), real);
    rule(&mut plan, "edge", "cloud", profile("5ms", "20mbit", "2%"), real);
    let rules = measured(&plan);
    print_table(&rules);
    assert_eq!(rules[0].delay.verdict, Verdict::Outside, "{:?}", rules[0]);
    assert_eq!(rules[1].rate.verdict, Verdict::Outside, "{:?}", rules[1]);
    assert_eq!(rules[2].loss.verdict, Verdict::Outside, "{:?}", rules[2]);
    assert!(rules.iter().all(|rule| !rule.agrees()));
    assert_eq!(rules[1].loss.verdict, Verdict::Within, "{:?}", rules[1]);
}
