//! Profiles and patches: what a patch names changes and nothing else, and documents carry all of it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use link::{
    Action, Change, Discipline, Jitter, JitterShape, Limit, LossModel, LossUnit, Patch, Profile, Queue,
    Schedule, Step, Trace,
};
use proptest::option;
use proptest::prelude::*;
use units::{Delay, Percent, Rate, Size};

/// Numbers that the texts of units carry unharmed.
const EXACT: u64 = 1 << 53;

fn delays() -> impl Strategy<Value = Delay> + Clone {
    (0..EXACT).prop_map(Delay::from_nanos)
}

fn rates() -> impl Strategy<Value = Rate> {
    (1..EXACT).prop_map(|rate| Rate::from_bits_per_s(rate).unwrap())
}

fn shares() -> impl Strategy<Value = Percent> + Clone {
    (0.0..=1.0).prop_map(|share| Percent::from_fraction(share).unwrap())
}

fn jitters() -> impl Strategy<Value = Jitter> {
    let shapes =
        prop_oneof![Just(JitterShape::Uniform), Just(JitterShape::Normal), Just(JitterShape::Pareto)];
    (delays(), shapes, shares(), any::<bool>()).prop_map(|(spread, shape, correlation, reorder)| Jitter {
        spread,
        shape,
        correlation,
        reorder,
    })
}

fn losses() -> impl Strategy<Value = LossModel> {
    let bursts = (shares(), shares(), shares(), shares())
        .prop_map(|(to_bad, to_good, bad, good)| LossModel::GilbertElliott { to_bad, to_good, bad, good });
    prop_oneof![shares().prop_map(LossModel::Independent), bursts]
}

fn queues() -> impl Strategy<Value = Queue> {
    let limits = prop_oneof![
        any::<u32>().prop_map(Limit::Packets),
        (0..EXACT).prop_map(|bytes| Limit::Bytes(Size::from_bytes(bytes))),
        delays().prop_map(Limit::Time),
    ];
    let codel = (delays(), delays()).prop_map(|(target, interval)| Discipline::Codel { target, interval });
    let disciplines = prop_oneof![Just(Discipline::DropTail), codel];
    (limits, disciplines).prop_map(|(limit, discipline)| Queue { limit, discipline })
}

fn patches() -> impl Strategy<Value = Patch> {
    let mishaps = (option::of(shares()), option::of(shares()), option::of(shares()));
    let rest = (option::of(losses()), option::of(queues()), option::of(any::<bool>()));
    (option::of(delays()), option::of(jitters()), option::of(rates()), mishaps, rest).prop_map(
        |(delay, jitter, rate, (reorder, duplicate, corrupt), (loss, queue, cut))| Patch {
            delay,
            jitter,
            rate,
            loss,
            reorder,
            duplicate,
            corrupt,
            queue,
            cut,
        },
    )
}

fn profiles() -> impl Strategy<Value = Profile> {
    (patches(), any::<bool>(), any::<bool>()).prop_map(|(patch, skb, ecn)| {
        let loss_unit = if skb { LossUnit::Skb } else { LossUnit::Packet };
        patch.applied_to(&Profile { loss_unit, ecn, ..Profile::default() })
    })
}

fn changes() -> impl Strategy<Value = Change> {
    let schedules = (delays(), option::of(delays()), option::of(delays()))
        .prop_map(|(at, lasts, every)| Schedule { at, lasts, every });
    let step = (delays(), option::of(rates()), option::of(delays()), option::of(shares()))
        .prop_map(|(at, rate, delay, loss)| Step { at, rate, delay, loss });
    let actions = prop_oneof![
        patches().prop_map(Action::Alter),
        prop::collection::vec(0..EXACT, 1..5).prop_map(|millis| Action::Follow(Trace::Deliveries(millis))),
        prop::collection::vec(step, 1..5).prop_map(|steps| Action::Follow(Trace::Steps(steps))),
    ];
    (schedules, prop::collection::vec(any::<usize>(), 0..4), actions)
        .prop_map(|(schedule, links, action)| Change { schedule, links, action })
}

proptest! {
    #[test]
    fn a_patch_changes_what_it_names(profile in profiles(), patch in patches()) {
        let after = patch.applied_to(&profile);
        prop_assert_eq!(after.delay, patch.delay.unwrap_or(profile.delay));
        prop_assert_eq!(after.jitter, patch.jitter.or(profile.jitter));
        prop_assert_eq!(after.rate, patch.rate.or(profile.rate));
        prop_assert_eq!(after.loss, patch.loss.unwrap_or(profile.loss));
        prop_assert_eq!(after.reorder, patch.reorder.unwrap_or(profile.reorder));
        prop_assert_eq!(after.duplicate, patch.duplicate.unwrap_or(profile.duplicate));
        prop_assert_eq!(after.corrupt, patch.corrupt.unwrap_or(profile.corrupt));
        prop_assert_eq!(after.queue, patch.queue.unwrap_or(profile.queue));
        prop_assert_eq!(after.cut, patch.cut.unwrap_or(profile.cut));
        prop_assert_eq!((after.ecn, after.loss_unit), (profile.ecn, profile.loss_unit));
        prop_assert_eq!(Patch::default().applied_to(&profile), profile);
        prop_assert_eq!(patch.applied_to(&after), after, "twice is once");
    }

    #[test]
    fn two_patches_are_one(profile in profiles(), first in patches(), second in patches()) {
        let one_by_one = second.applied_to(&first.applied_to(&profile));
        prop_assert_eq!(first.and_then(&second).applied_to(&profile), one_by_one);
        prop_assert_eq!(first.and_then(&Patch::default()), first);
        prop_assert_eq!(Patch::default().and_then(&second), second);
    }

    #[test]
    fn documents_carry_everything(profile in profiles(), change in changes()) {
        let text = serde_json::to_string(&profile).unwrap();
        prop_assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
        let text = serde_json::to_string(&change).unwrap();
        prop_assert_eq!(serde_json::from_str::<Change>(&text).unwrap(), change);
    }

    #[test]
    fn the_mean_loss_is_between_those_of_the_states(model in losses()) {
        let mean = model.mean();
        match model {
            LossModel::Independent(share) => prop_assert_eq!(mean, share.fraction()),
            LossModel::GilbertElliott { bad, good, .. } => {
                let (least, most) = (bad.min(good).fraction(), bad.max(good).fraction());
                prop_assert!((least - 1e-12..=most + 1e-12).contains(&mean));
            }
        }
        prop_assert_eq!(model.is_none(), mean == 0.0);
    }
}

#[test]
fn what_a_document_leaves_out_has_its_default() {
    assert_eq!(serde_json::from_str::<Profile>("{}").unwrap(), Profile::default());
    assert_eq!(serde_json::from_str::<Patch>("{}").unwrap(), Patch::default());
    let jitter = serde_json::from_str::<Jitter>(r#"{"spread": "2ms"}"#).unwrap();
    assert_eq!(
        (jitter.shape, jitter.correlation, jitter.reorder),
        (JitterShape::Uniform, Percent::NONE, false)
    );
}

#[test]
fn a_chain_that_never_leaves_the_good_state_loses_as_there() {
    let share = |text: &str| text.parse::<Percent>().unwrap();
    let stays = LossModel::GilbertElliott {
        to_bad: Percent::NONE,
        to_good: Percent::NONE,
        bad: share("100%"),
        good: share("1%"),
    };
    assert_eq!(stays.mean(), 0.01);
    let simple = LossModel::GilbertElliott {
        to_bad: share("1%"),
        to_good: share("24%"),
        bad: share("100%"),
        good: Percent::NONE,
    };
    assert!((simple.mean() - 0.04).abs() < 1e-15);
}
