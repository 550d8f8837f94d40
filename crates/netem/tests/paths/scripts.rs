//! The commands for each property, and what is refused.

use crate::shaped::hosts;
use link::{Discipline, Jitter, JitterShape, Limit, LossModel, LossUnit, Queue};
use netem::kernel::{self, Abilities, KernelHost, Unsupported};
use netem::{LinkSpec, Profile};
use units::{Delay, Percent, Size};

const PLAIN: Abilities = Abilities { seed: false };

fn delay(text: &str) -> Delay {
    text.parse().unwrap()
}

fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

fn profile(delay: &str, rate: &str, loss: &str) -> Profile {
    let loss = LossModel::Independent(percent(loss));
    Profile { delay: delay.parse().unwrap(), rate: Some(rate.parse().unwrap()), loss, ..Profile::default() }
}

fn script_of(links: &[LinkSpec]) -> Result<String, Unsupported> {
    kernel::script(&hosts(), links, 0, 7, PLAIN).map(|lines| lines.join("\n"))
}

fn script(profile: Profile) -> String {
    script_of(&[(0, 1, profile).into()]).unwrap()
}

/// Two clouds, four fogs, eight edges: the hosts of the surveillance scenario.
#[test]
fn the_surveillance_scenario() {
    let host = |number: usize, name: &str| KernelHost {
        name: name.to_owned(),
        device: "net0".to_owned(),
        address: [10, 144, 0, number as u8 + 1].into(),
        address6: None,
    };
    let layers = [("cloud", 0..2), ("fog", 2..6), ("edge", 6..14)];
    let hosts: Vec<KernelHost> = layers
        .iter()
        .flat_map(|(layer, range)| {
            range.clone().map(move |number| host(number, &format!("{layer}-{number}")))
        })
        .collect();
    let mut links: Vec<LinkSpec> = Vec::new();
    for fog in 2..6 {
        for (others, profile) in
            [(0..2, profile("5ms", "1gbit", "2%")), (6..14, profile("50ms", "150mbit", "5%"))]
        {
            links.extend(
                others.flat_map(|other| [(fog, other, profile), (other, fog, profile)].map(LinkSpec::from)),
            );
        }
    }
    assert_eq!(links.len(), 80);
    let scripts: Vec<Vec<String>> =
        (0..14).map(|source| kernel::script(&hosts, &links, source, 7, PLAIN).unwrap()).collect();
    let classes = |lines: &[String]| lines.iter().filter(|line| line.starts_with("tc class")).count();
    assert_eq!(scripts.iter().map(|lines| classes(lines)).sum::<usize>(), 80);
    insta::assert_snapshot!(scripts[2].join("\n"));
}

#[test]
fn delays_and_jitters() {
    let jitter = |shape, correlation: &str, reorder| {
        Some(Jitter { spread: delay("2.5ms"), shape, correlation: percent(correlation), reorder })
    };
    let base = Profile { delay: delay("10.0005ms"), ..Profile::default() };
    let scripts = [
        script(base),
        script(Profile { jitter: jitter(JitterShape::Uniform, "0%", true), ..base }),
        script(Profile { jitter: jitter(JitterShape::Normal, "25%", false), ..base }),
        script(Profile { jitter: jitter(JitterShape::Pareto, "0%", true), ..base }),
        script(Profile { reorder: percent("3%"), ..base }),
    ];
    insta::assert_snapshot!(scripts.join("\n\n"));
}

#[test]
fn mishaps() {
    let bursts = LossModel::GilbertElliott {
        to_bad: percent("1%"),
        to_good: percent("20%"),
        bad: percent("50%"),
        good: percent("0.1%"),
    };
    let scripts = [
        script(Profile { loss: LossModel::Independent(percent("0.5%")), ..Profile::default() }),
        script(Profile { loss: bursts, loss_unit: LossUnit::Skb, ..Profile::default() }),
        script(Profile { duplicate: percent("2%"), corrupt: percent("0.01%"), ..Profile::default() }),
        script(Profile { cut: true, ..profile("5ms", "1mbit", "0%") }),
    ];
    insta::assert_snapshot!(scripts.join("\n\n"));
}

#[test]
fn queues() {
    let queue = |limit, discipline| Queue { limit, discipline };
    let base = profile("0ms", "100mbit", "0%");
    let scripts = [
        script(base),
        script(Profile { queue: queue(Limit::Packets(50), Discipline::DropTail), ..base }),
        script(Profile {
            queue: queue(Limit::Bytes(Size::from_bytes(20_000)), Discipline::DropTail),
            ..base
        }),
        script(Profile { queue: queue(Limit::Time(delay("40ms")), Discipline::DropTail), ..base }),
        script(Profile { queue: queue(Limit::default(), Discipline::CODEL), ecn: true, ..base }),
    ];
    insta::assert_snapshot!(scripts.join("\n\n"));
}

#[test]
fn a_host_shares_its_rate() {
    let link = |destination| LinkSpec {
        bottleneck: Some(3),
        ..(0, destination, profile("5ms", "100mbit", "0%")).into()
    };
    insta::assert_snapshot!(script_of(&[link(1), link(2)]).unwrap());
}

#[test]
fn seeds_differ_by_link_and_come_again() {
    let links: Vec<LinkSpec> = vec![
        (0, 1, profile("5ms", "1mbit", "1%")).into(),
        LinkSpec { seed: Some(9), ..(0, 2, profile("5ms", "1mbit", "1%")).into() },
    ];
    let script = |seed| kernel::script(&hosts(), &links, 0, seed, Abilities { seed: true }).unwrap();
    let seeds = |lines: &[String]| -> Vec<String> {
        lines.iter().filter_map(|line| Some(line.split_once(" seed ")?.1.to_owned())).collect()
    };
    let (one, other) = (seeds(&script(1)), seeds(&script(2)));
    assert_eq!(one, seeds(&script(1)));
    assert!(one.len() == 2 && one[0] != one[1] && one[0] != other[0]);
    assert_eq!(one[1], other[1], "a seed of its own");
    let error = kernel::script(&hosts(), &links, 0, 1, PLAIN).unwrap_err().to_string();
    assert!(error.starts_with("link a -> c: the kernel path can't do `seed`: needs Linux 6.7"), "{error}");
}

#[test]
fn what_the_kernel_cannot_do_is_refused_by_name() {
    let shared = |source, destination| LinkSpec {
        bottleneck: Some(3),
        ..(source, destination, profile("5ms", "100mbit", "0%")).into()
    };
    let error = script_of(&[shared(0, 1), shared(1, 2)]).unwrap_err();
    assert_eq!(
        (error.source_name.as_str(), error.destination_name.as_str(), error.key),
        ("a", "b", "share: group")
    );
    let marked = Profile { ecn: true, ..profile("5ms", "100mbit", "0%") };
    assert_eq!(script_of(&[(0, 1, marked).into()]).unwrap_err().key, "ecn");
    let twice = Profile { duplicate: percent("1%"), ..Profile::default() };
    let beside = [(0, 1, twice).into(), (0, 2, profile("5ms", "1mbit", "0%")).into()];
    assert_eq!(script_of(&beside).unwrap_err().key, "duplicate");
    assert_eq!(script_of(&[(1, 0, Profile::default()).into()]), Ok(String::new()), "nothing from this host");
}
