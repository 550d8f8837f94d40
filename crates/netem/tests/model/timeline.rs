//! Changes happen when they are due, in their order of precedence, and end when they are over.

use crate::frames::Protocols;
use crate::networks::{endpoints, patches, profiles, rate, specs, timelines};
use crate::traffic::{BEGIN, Deed, Run, Sending};
use link::{Action, Change, Patch, Schedule, Step, Trace};
use netem::Profile;
use netem::model::fabric::Fabric;
use proptest::prelude::*;
use units::Delay;

const UDP: Protocols = Protocols { ipv4: true, tcp: false, options: 0 };

/// Since when a change is in force at `now`, found by trying one repetition after the other.
fn begun(schedule: Schedule, now: u64) -> Option<u64> {
    let mut begin = schedule.at.nanos();
    if now < begin {
        return None;
    }
    while let Some(every) = schedule.every.filter(|every| begin + every.nanos() <= now) {
        begin += every.nanos();
    }
    schedule.lasts.is_none_or(|lasts| now < begin + lasts.nanos()).then_some(begin)
}

/// What a link is `now` after the beginning of a timeline, change by change.
fn expected(base: &Profile, changes: &[Change], by_hand: &Patch, now: u64) -> Profile {
    let mut profile = *base;
    for change in changes.iter().filter(|change| change.links.contains(&0)) {
        let Some(begin) = begun(change.schedule, now) else { continue };
        match &change.action {
            Action::Alter(patch) => profile = patch.applied_to(&profile),
            Action::Follow(Trace::Deliveries(moments)) => {
                let bits = moments.len() as u64 * 1514 * 8 * 1000 / moments.last().unwrap();
                profile.rate = Some(rate(bits));
            }
            Action::Follow(Trace::Steps(steps)) => {
                let step = steps.iter().rfind(|step| begin + step.at.nanos() <= now).unwrap();
                let Step { rate, delay, loss, .. } = *step;
                let loss = loss.map(link::LossModel::Independent);
                profile = Patch { rate, delay, loss, ..Patch::default() }.applied_to(&profile);
            }
        }
    }
    by_hand.applied_to(&profile)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn links_are_what_timeline_and_hand_make_of_them(
        base in profiles(), changes in timelines(1), by_hand in patches(),
        looks in prop::collection::vec(0_u64..10_000_000, 1..30),
    ) {
        let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, base)]), 1, usize::MAX).unwrap();
        fabric.alter(BEGIN, 0, &by_hand).unwrap();
        fabric.play(BEGIN, &changes).unwrap();
        let mut now = BEGIN;
        for pause in looks {
            now += pause;
            prop_assert!(fabric.release(now).is_none());
            prop_assert!(fabric.next_due().is_none_or(|turn| turn > now));
            prop_assert_eq!(fabric.profile(0).unwrap(), expected(&base, &changes, &by_hand, now - BEGIN));
        }
        fabric.heal(now, 0).unwrap();
        prop_assert_eq!(fabric.profile(0).unwrap(), expected(&base, &changes, &Patch::default(), now - BEGIN));
        fabric.rest(now);
        prop_assert_eq!(fabric.profile(0).unwrap(), base);
        prop_assert_eq!(fabric.next_due(), None);
    }

    #[test]
    fn alterations_by_hand_add_up(one in patches(), other in patches(), base in profiles()) {
        let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, base)]), 1, usize::MAX).unwrap();
        fabric.alter(BEGIN, 0, &one).unwrap();
        fabric.alter(BEGIN, 0, &other).unwrap();
        prop_assert_eq!(fabric.profile(0).unwrap(), other.applied_to(&one.applied_to(&base)));
    }
}

fn once(at_ms: u64, lasts_ms: u64, action: Action) -> Change {
    let at = Delay::from_millis(at_ms);
    let schedule = Schedule { at, lasts: Some(Delay::from_millis(lasts_ms)), every: None };
    Change { schedule, links: vec![0], action }
}

#[test]
fn a_cut_takes_what_comes_and_spares_what_is_on_its_way() {
    // A pair without any wish of its own: a link all the same, so that it can be cut.
    let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, Profile::default())]), 1, usize::MAX).unwrap();
    let later = Patch { delay: Some(Delay::from_millis(8)), ..Patch::default() };
    let cut = Patch { cut: Some(true), ..Patch::default() };
    let changes = vec![once(5, 10, Action::Alter(later)), once(10, 10, Action::Alter(cut))];
    let packet = Deed::Send(Sending { source: 0, destination: 1, packets: 2, size: 100, ect: false });
    let mut course = vec![(0, Deed::Play(changes))];
    // One frame at 0, 4, 8, ... 28 ms, though nobody looks in between.
    course.push((0, packet.clone()));
    course.extend((0..7).map(|_| (4_000_000, packet.clone())));
    let mut run = Run::new(UDP, false);
    run.course(&mut fabric, &course, |_, _| ());
    let mut seen: Vec<(u64, u64)> =
        run.seen.iter().map(|packet| (packet.number / 2 * 4, (packet.at - BEGIN) / 1_000_000)).collect();
    seen.dedup();
    seen.sort_unstable();
    assert_eq!(seen, [(0, 0), (4, 4), (8, 16), (20, 20), (24, 24), (28, 28)]);
    assert_eq!(fabric.accounts().next().unwrap().cut.packets, 4);
}

#[test]
fn a_shorter_delay_does_not_make_packets_overtake() {
    let slow = Profile { delay: Delay::from_millis(50), ..Profile::default() };
    let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, slow)]), 1, usize::MAX).unwrap();
    let packet = Deed::Send(Sending { source: 0, destination: 1, packets: 1, size: 100, ect: false });
    let quick = Patch { delay: Some(Delay::from_millis(1)), ..Patch::default() };
    let course = [(0, packet.clone()), (1_000_000, Deed::Alter(0, quick)), (0, packet)];
    let mut run = Run::new(UDP, true);
    run.course(&mut fabric, &course, |_, _| ());
    let seen: Vec<(u64, u64)> = run.seen.iter().map(|packet| (packet.number, packet.at - BEGIN)).collect();
    assert_eq!(seen, [(0, 50_000_000), (1, 50_000_000)]);
}

#[test]
fn what_can_not_happen_is_refused_and_changes_nothing() {
    let mut fabric = Fabric::new(endpoints(2), &specs(&[(0, 1, Profile::default())]), 1, usize::MAX).unwrap();
    let cut = Action::Alter(Patch { cut: Some(true), ..Patch::default() });
    fabric.play(BEGIN, &[once(0, 1000, cut.clone())]).unwrap();
    let mut refused = |change: Change| fabric.play(BEGIN, &[change]).unwrap_err().to_string();
    let nowhere = Change { links: vec![0, 3], ..once(0, 1, cut.clone()) };
    assert_eq!(refused(nowhere), "link 3: there are only 1 links, counted from 0");
    let mut often = once(0, 1, cut);
    often.schedule.every = Some(Delay::from_nanos(10));
    assert_eq!(refused(often), "change 0: it repeats itself every 10ns: 1ms or more expected");
    for moments in [vec![], vec![0, 0], vec![3, 2], vec![u64::MAX]] {
        let follow = Action::Follow(Trace::Deliveries(moments));
        let expected = "change 0: its trace: ascending milliseconds expected, the last above zero";
        assert_eq!(refused(once(0, 1, follow)), expected);
    }
    let expected = "change 0: its trace: one or more steps expected, each later than the last";
    assert_eq!(refused(once(0, 1, Action::Follow(Trace::Steps(Vec::new())))), expected);
    assert!(fabric.profile(0).unwrap().cut, "the earlier timeline plays on");
    assert!(fabric.alter(BEGIN, 1, &Patch::default()).is_err());
    assert!(fabric.heal(BEGIN, 1).is_err());
    assert_eq!(fabric.profile(1), None);
}
