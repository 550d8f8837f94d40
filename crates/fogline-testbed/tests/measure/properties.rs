//! Every property of a link, measured: found where it is, missed where it is not.

use crate::{layers, measured, print_table, rule};
use fogline_plan::{Plan, Profile};
use fogline_testbed::{RuleMeasurement, Verdict};
use link::{Jitter, JitterShape, LossModel, Share};
use units::{Delay, Percent};

fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

fn of_5_ms() -> Profile {
    Profile { delay: Delay::from_millis(5), ..Profile::default() }
}

fn jittered(shape: JitterShape, spread: &str) -> Profile {
    let (spread, correlation) = (spread.parse().unwrap(), Percent::NONE);
    let jitter = Some(Jitter { spread, shape, correlation, reorder: false });
    Profile { delay: Delay::from_millis(20), jitter, ..Profile::default() }
}

fn bursts() -> Profile {
    let loss = LossModel::GilbertElliott {
        to_bad: percent("1%"),
        to_good: percent("19%"),
        bad: percent("100%"),
        good: percent("0%"),
    };
    Profile { loss, ..of_5_ms() }
}

fn verdict(rules: &[RuleMeasurement], rule: &str, what: &str) -> Verdict {
    let rule = rules.iter().find(|it| it.rule == rule).unwrap();
    rule.verdicts().find(|(name, _)| *name == what).unwrap().1
}

/// Nothing here depends on how busy the machine is, but for delays that come too late.
pub(crate) fn are_confirmed() {
    let mut plan = layers(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    let small = Profile { loss: LossModel::Independent(percent("0.3%")), ..of_5_ms() };
    let mishaps =
        Profile { duplicate: percent("10%"), corrupt: percent("5%"), loss: small.loss, ..of_5_ms() };
    let cut = Profile { cut: true, ..of_5_ms() };
    let reordered = Profile { reorder: percent("25%"), ..of_5_ms() };
    for (source, destination, profile) in [
        ("a", "b", jittered(JitterShape::Normal, "3ms")),
        ("b", "a", jittered(JitterShape::Pareto, "3ms")),
        ("a", "c", bursts()),
        ("b", "c", small),
        ("a", "d", mishaps),
        ("b", "d", cut),
        ("c", "d", reordered),
    ] {
        rule(&mut plan, source, destination, profile, profile);
    }
    let rules = measured(&plan);
    print_table(&rules);
    for rule in &rules {
        let name = rule.rule.as_str();
        assert_eq!(rule.loss.verdict, Verdict::Within, "{rule:?}");
        let account = rule.loss.account.expect("the emulator keeps accounts");
        assert!(account.agrees, "{name}: {:?}", rule.loss);
        if name != "b-d" {
            assert_eq!(
                (rule.mtu.verdict, rule.mtu.measured_bytes),
                (Verdict::Within, Some(1500)),
                "{rule:?}"
            );
            assert!(rule.delay.silent_pairs.is_empty() && rule.delay.samples > 0, "{rule:?}");
        }
    }
    let bursts = &rules[2].loss;
    let single = (bursts.asked * (1.0 - bursts.asked) / bursts.packets_sent as f64).sqrt();
    assert!(bursts.standard_error > 2.5 * single, "bursts tell less: {bursts:?}");
    assert!(rules[4].loss.duplicates > 0 && rules[4].loss.account.unwrap().corrupted > 0, "{:?}", rules[4]);
    assert_eq!((rules[5].loss.measured, rules[5].delay.samples), (Some(1.0), 0), "a cut link passes nothing");
    assert_eq!(verdict(&rules, "b-d", "delay"), Verdict::Within);
    assert!(rules[6].delay.one_way_ms_min.unwrap() < 5.0, "some overtake: {:?}", rules[6]);
    assert_ne!(verdict(&rules, "a-b", "jitter"), Verdict::Outside, "{:?}", rules[0].jitter);
    let jitter = rules[0].jitter.as_ref().unwrap();
    assert!(jitter.deviation_ms.unwrap() > 1.5 && jitter.quartiles_ms.unwrap() > 2.0, "{jitter:?}");
}

pub(crate) fn are_missed() {
    let mut plan = layers(&[("a", 1), ("b", 1), ("c", 1)]);
    let steady = Profile { jitter: None, ..jittered(JitterShape::Normal, "4ms") };
    rule(&mut plan, "a", "b", jittered(JitterShape::Normal, "4ms"), steady);
    rule(&mut plan, "b", "c", Profile { cut: true, ..of_5_ms() }, of_5_ms());
    rule(&mut plan, "c", "a", of_5_ms(), Profile { corrupt: percent("5%"), ..of_5_ms() });
    let rules = measured(&plan);
    print_table(&rules);
    assert_eq!(verdict(&rules, "a-b", "jitter"), Verdict::Outside, "{:?}", rules[0].jitter);
    assert_eq!(verdict(&rules, "b-c", "loss"), Verdict::Outside, "{:?}", rules[1].loss);
    assert_eq!(verdict(&rules, "c-a", "loss"), Verdict::Outside, "{:?}", rules[2].loss);
    assert!(rules.iter().all(|rule| !rule.agrees()));
}

/// Two sources and a rate that they share, or do not share.
fn shared(really: bool) -> Plan {
    let mut plan = layers(&[("a", 2), ("b", 2)]);
    let profile = Profile { rate: Some("8mbit".parse().unwrap()), ..of_5_ms() };
    rule(&mut plan, "a", "b", profile, profile);
    plan.rules[0].share = Share::Group;
    plan.links.iter_mut().for_each(|link| link.bottleneck = Some(0));
    if !really {
        plan.links.iter_mut().for_each(|link| link.bottleneck = None);
    }
    plan
}

/// A link whose rate is to be shared takes probes of two pairs at once, which tell whether it is.
pub(crate) fn rates_are_shared_or_not() {
    let rules = measured(&shared(true));
    print_table(&rules);
    let rate = &rules[0].rate;
    assert!(rate.measured_bits_per_s.unwrap() <= 8e6 * 1.05, "{rate:?}");
    assert!(rate.probes.iter().all(|probe| probe.with.len() == 1), "{rate:?}");
    assert_eq!(rules[0].loss.verdict, Verdict::Within, "probes do not fill the rate: {:?}", rules[0].loss);
    // The plan says that the rate is shared, the network gives it to each pair.
    let (asked, real) = (shared(true), shared(false));
    let rules = crate::measured_as(&real, &asked);
    print_table(&rules);
    assert_eq!(rules[0].rate.verdict, Verdict::Outside, "{:?}", rules[0].rate);
}
