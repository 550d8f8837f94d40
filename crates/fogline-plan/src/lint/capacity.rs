//! Rules against what TCP needs of them.

use super::Network;
use crate::bind::Offer;
use crate::estimate::{Path, rounded};
use crate::{HostId, Rule};
use fogline_scenario::Findings;
use link::{Action, Congestion, Profile};
use std::collections::BTreeSet;
use units::{Delay, Percent, Rate};

/// Warns where the packets of one delay do not fit into the queue.
pub(super) fn check_queues(network: &Network<'_>, findings: &mut Findings) {
    for rule in network.plan.rules.iter().filter(|rule| !rule.mirrored) {
        let (Some(rate), Some(first)) = (rule.profile.rate, rule.links.first()) else { continue };
        let Profile { delay, queue, .. } = rule.profile;
        let (travelling, room) = (rate.bytes_in(delay.nanos()), queue.limit.bytes_at(rate));
        if travelling <= room {
            continue;
        }
        let back = network.back(&network.plan.links[*first]);
        let round_trip = Delay::from_nanos(delay.nanos().saturating_add(back.delay.nanos()));
        let message = format!(
            "delay x rate is {} ({delay} at {rate}), more than the queue's {}: one TCP flow cannot keep the link busy",
            megabytes(travelling),
            megabytes(room)
        );
        let needed = megabytes(rate.bytes_in(round_trip.nanos()));
        let hint =
            format!("`queue: {round_trip}` ({needed}) holds what one flow has in flight in a round trip");
        findings.warning(&rule.place, message, hint);
    }
}

fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Warns of variation that the delay leaves no room for.
pub(super) fn check_delays(network: &Network<'_>, findings: &mut Findings) {
    let plan = network.plan;
    for rule in plan.rules.iter().filter(|rule| !rule.mirrored) {
        if let Some(message) = cramped(&rule.profile) {
            let hint = "make the delay longer, or the spread smaller".to_owned();
            findings.warning(&rule.place, message, hint);
        }
        let idle = rule.profile.reorder != Percent::NONE && rule.profile.delay == Delay::ZERO;
        if idle && rule.profile.jitter.is_none() && !delayed_later(network, rule) {
            let message = "`reorder` without a `delay`: no packet is late enough to be overtaken";
            findings.warning(&rule.place, message, "give the rule a `delay`, for example 10ms".to_owned());
        }
    }
    for planned in &plan.changes {
        let Action::Alter(patch) = planned.change.action else { continue };
        if patch.jitter.is_none() && patch.delay.is_none() {
            continue;
        }
        let altered = planned.change.links.iter().map(|link| patch.applied_to(&plan.links[*link].profile));
        if let Some(message) = altered.into_iter().find_map(|profile| cramped(&profile)) {
            let hint = "make the delay longer, or the spread smaller".to_owned();
            findings.warning(&planned.place, message, hint);
        }
    }
}

/// Whether a change gives links of the rule a delay.
fn delayed_later(network: &Network<'_>, rule: &Rule) -> bool {
    let links: BTreeSet<&usize> = rule.links.iter().collect();
    network.plan.changes.iter().any(|planned| {
        let delays = match &planned.change.action {
            Action::Alter(patch) => patch.delay.is_some(),
            Action::Follow(_) => true,
        };
        delays && planned.change.links.iter().any(|link| links.contains(link))
    })
}

/// Why the jitter of a link cannot be what it is asked to be.
fn cramped(profile: &Profile) -> Option<String> {
    let (delay, spread) = (profile.delay, profile.jitter?.spread);
    let message =
        format!("a jitter of {spread} around a delay of {delay}: no packet is early by more than the delay");
    (spread > delay).then_some(message)
}

/// Warns where links cap one flow below what it sends.
pub(super) fn check_offers(
    network: &Network<'_>,
    offers: &[Offer],
    congestion: Congestion,
    findings: &mut Findings,
) {
    for offer in offers {
        let sends = offer.sends.value;
        let mut capped = 0_usize;
        let mut worst: Option<(Rate, (HostId, HostId), Path, Congestion)> = None;
        for pair in &offer.flows {
            let Some(link) = network.pairs.get(pair).map(|link| &network.plan.links[*link]) else { continue };
            let path = Path::new(&link.profile, &network.back(link));
            let control = link.congestion.unwrap_or(congestion);
            let Some(flow) = path.one_flow(control).filter(|flow| *flow < sends) else { continue };
            capped += 1;
            if worst.is_none_or(|(least, ..)| flow < least) {
                worst = Some((flow, *pair, path, control));
            }
        }
        let Some((flow, pair, path, control)) = worst else { continue };
        let others = if capped > 1 { format!(" and {} more", capped - 1) } else { String::new() };
        let loss = Percent::from_fraction((path.loss * 1e5).round() / 1e5).unwrap_or_default();
        let message = format!(
            "a flow that sends {sends} does not fit through {}{others}: {loss} loss at a round trip of {} leave one {} flow about {}",
            network.pair(pair),
            path.round_trip,
            control.name(),
            rounded(flow)
        );
        let of = |control| path.one_flow(control).map_or_else(|| "no limit".to_owned(), rounded);
        let hint = format!(
            "one flow carries about {} with cubic, {} with bbr; lower the loss, delay or `sends`, or set `congestion`",
            of(Congestion::Cubic),
            of(Congestion::Bbr)
        );
        findings.warning(&offer.sends.place, message, hint);
    }
}
