//! Losses: what did not arrive, and what the emulator says of it.

use super::expect;
use super::judge::{ERRORS, verdict};
use super::round::Round;
use super::{LossAccount, LossMeasurement, Verdict};
use fogline_plan::{Plan, Rule};
use netem::Snapshot;
use std::collections::HashSet;

/// How far a loss may be off, as a share of what was asked.
const TOLERANCE: f64 = 1.0 / 6.0;
/// How much a link may lose that should lose nothing, as a fraction.
const TOLERANCE_NONE: f64 = 0.0005;
/// Standard errors that are fine when the emulator's account agrees.
const ERRORS_AGREED: f64 = 3.0;

/// `taken` is what the emulator did while the probes were under way.
pub(super) fn judge_loss(
    plan: &Plan,
    (number, rule): (usize, &Rule),
    links: &[usize],
    round: &Round,
    taken: Option<&Snapshot>,
) -> LossMeasurement {
    let profile = &rule.profile;
    let (asked, corrupt_asked) = (expect::loss(profile), profile.corrupt.fraction());
    let keys = || links.iter().map(|link| (number, *link));
    let sent: u64 = keys().filter_map(|key| round.sent.get(&key)).map(|flow| flow.packets).sum();
    let flows = || keys().filter_map(|key| round.received.get(&key));
    let received: u64 = flows().map(|flow| flow.packets).sum();
    let receiver_drops = round.receiver_drops.get(&number).copied().unwrap_or(0);
    let lost = sent.saturating_sub(received).saturating_sub(receiver_drops);
    let sources: HashSet<_> = links.iter().map(|link| plan.links[*link].source).collect();
    let share = |sent: u64| 1.0 - (1.0 - lost as f64 / sent as f64) / (1.0 - corrupt_asked);
    let measured = (sent > 0 && corrupt_asked < 1.0).then(|| share(sent));
    let standard_error = expect::loss_error(profile, sent);
    let beginning = expect::beginning(profile, sent as f64 / links.len().max(1) as f64);
    let account = taken.and_then(|taken| account(plan, links, taken, sent, lost));
    let agrees = account.is_some_and(|account| account.agrees);
    LossMeasurement {
        asked,
        corrupt_asked,
        measured,
        standard_error,
        packets_sent: sent,
        packets_lost: lost,
        duplicates: flows().map(|flow| flow.duplicates).sum(),
        receiver_drops,
        interface_drops: sources.iter().filter_map(|host| round.interface_drops.get(host)).sum(),
        account,
        verdict: loss_verdict(asked, measured, standard_error, beginning, agrees),
    }
}

/// What the emulator says of these links, if it keeps accounts of them.
fn account(plan: &Plan, links: &[usize], taken: &Snapshot, sent: u64, lost: u64) -> Option<LossAccount> {
    if taken.links.len() != plan.links.len() || taken.failure.is_some() {
        return None;
    }
    let sum = |count: fn(&netem::LinkSnapshot) -> u64| -> u64 {
        links.iter().map(|link| count(&taken.links[*link])).sum()
    };
    let mut account = LossAccount {
        entered: sum(|link| link.entered.packets),
        lost: sum(|link| link.lost.packets),
        cut: sum(|link| link.cut.packets),
        dropped: sum(|link| {
            link.queue_dropped.packets + link.codel_dropped.packets + link.memory_dropped.packets
        }),
        corrupted: sum(|link| link.corrupted.packets),
        duplicated: sum(|link| link.duplicated.packets),
        agrees: false,
    };
    account.agrees = account.explains(sent, lost);
    Some(account)
}

impl LossAccount {
    /// Whether these probes, and no other packets, entered and met with all this. Of a doubled packet one copy may have
    /// been dropped or corrupted while the other arrived.
    fn explains(&self, sent: u64, lost: u64) -> bool {
        let most = self.lost + self.cut + self.dropped + self.corrupted;
        self.entered == sent && (most.saturating_sub(self.duplicated)..=most).contains(&lost)
    }
}

/// `beginning` is by how much the first packets may differ from all.
fn loss_verdict(
    asked: f64,
    measured: Option<f64>,
    standard_error: f64,
    beginning: f64,
    agrees: bool,
) -> Verdict {
    let Some(measured) = measured else { return Verdict::Unclear };
    let off = (measured - asked).abs();
    let tolerance = if asked > 0.0 { asked * TOLERANCE } else { TOLERANCE_NONE };
    let witnessed = agrees && off <= ERRORS_AGREED * standard_error + beginning;
    if witnessed { Verdict::Within } else { verdict(off, tolerance, ERRORS * standard_error + beginning) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_judged_by_its_tolerance_and_its_chance() {
        let verdict = |asked: f64, measured: f64, packets: f64| {
            loss_verdict(asked, Some(measured), (asked * (1.0 - asked) / packets).sqrt(), 0.0, false)
        };
        assert_eq!(verdict(0.02, 0.0201, 30_000.0), Verdict::Within);
        assert_eq!(verdict(0.02, 0.0234, 30_000.0), Verdict::Outside);
        assert_eq!(verdict(0.02, 0.0396, 30_000.0), Verdict::Outside);
        assert_eq!(verdict(0.02, 0.0201, 500.0), Verdict::Unclear, "five hundred packets show nothing");
        assert_eq!(verdict(0.02, 0.5, 500.0), Verdict::Outside, "unless it is far off");
        assert_eq!(verdict(0.0, 0.0, 4000.0), Verdict::Within);
        assert_eq!(verdict(0.0, 0.01, 4000.0), Verdict::Outside);
        assert_eq!(loss_verdict(0.02, None, 0.0, 0.0, true), Verdict::Unclear);
    }

    #[test]
    fn a_second_witness_confirms_what_chance_leaves_open() {
        let error = (0.001 * 0.999 / 40_000.0_f64).sqrt();
        let verdict = |measured, agrees| loss_verdict(0.001, Some(measured), error, 0.0, agrees);
        assert_eq!(verdict(0.00112, false), Verdict::Unclear);
        assert_eq!(verdict(0.00112, true), Verdict::Within);
        assert_eq!(verdict(0.00155, true), Verdict::Unclear, "3.5 standard errors");
        assert_eq!(
            verdict(0.002, true),
            Verdict::Outside,
            "the witness says what was lost, not what was asked"
        );
        assert_eq!(
            loss_verdict(0.05, Some(0.044), 0.001, 0.0, true),
            Verdict::Within,
            "a sixth is still fine"
        );
    }

    #[test]
    fn an_account_agrees_to_the_packet() {
        let account = LossAccount {
            entered: 100,
            lost: 5,
            cut: 0,
            dropped: 2,
            corrupted: 1,
            duplicated: 0,
            agrees: false,
        };
        assert!(account.explains(100, 8));
        assert!(!account.explains(100, 9) && !account.explains(100, 7) && !account.explains(99, 8));
        let doubled = LossAccount { duplicated: 3, ..account };
        assert!(doubled.explains(100, 5) && doubled.explains(100, 8) && !doubled.explains(100, 4));
    }
}
