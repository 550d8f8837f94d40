//! Links that change while packets pass: by hand and by a timeline.

use crate::basics::{datagram_rate, profile, within_three_percent};
use crate::bed::{Bed, PATIENCE, Terms, receive, socket_address};
use crate::{A, B, C};
use link::{Action, Change, Patch, Schedule, Step, Trace};
use netem::{DataPath, Profile};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};
use units::Delay;

const A_TO_B: usize = 0;
const B_TO_C: usize = 1;

fn links() -> Vec<netem::LinkSpec> {
    vec![(A, B, profile("1ms", None, "0%")).into(), (B, C, profile("1ms", None, "0%")).into()]
}

fn cut(cut: bool) -> Patch {
    Patch { cut: Some(cut), ..Patch::default() }
}

fn nothing_passes_a_cut(bed: &Bed) {
    let (sender, receiver) = (bed.udp(A), bed.udp(B));
    receiver.set_nonblocking(true).unwrap();
    bed.emulator.alter(&[A_TO_B], &cut(true)).unwrap();
    let before = bed.settled(A, B, 0);
    for _ in 0..50 {
        sender.send_to(b"lost", socket_address(B)).unwrap();
    }
    let link = bed.settled(A, B, before.entered.packets + 50).since(&before);
    assert_eq!((link.cut.packets, link.delivered.packets), (50, 0), "{link:?}");
    assert_eq!(receiver.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    bed.emulator.heal(&[A_TO_B]).unwrap();
    sender.send_to(b"healed", socket_address(B)).unwrap();
    bed.settled(A, B, before.entered.packets + 51);
    assert_eq!(receiver.recv(&mut [0; 8]).unwrap(), 6);
}

fn rates_change_at_once(bed: &Bed) {
    let (sender, receiver) = (bed.udp(A), bed.udp(B));
    let measure = || datagram_rate(400, &sender, &receiver, B);
    for rate in [10, 30] {
        let patch = Patch { rate: Some(format!("{rate}mbit").parse().unwrap()), ..Patch::default() };
        bed.emulator.alter(&[A_TO_B], &patch).unwrap();
        within_three_percent("altered rate", f64::from(rate) * 1000.0 / 1042.0, measure);
    }
    bed.emulator.heal(&[A_TO_B]).unwrap();
}

/// Sends one datagram after the other until the link is cut, or until it is whole.
fn until(bed: &Bed, (from, to): (usize, usize), is_cut: bool) {
    let (sender, receiver) = (bed.udp(from), bed.udp(to));
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(
            Instant::now() < deadline,
            "the link does not become {}",
            if is_cut { "cut" } else { "whole" }
        );
        let before = bed.settled(from, to, 0);
        sender.send_to(b"?", socket_address(to)).unwrap();
        let link = bed.settled(from, to, before.entered.packets + 1).since(&before);
        let arrived = link.delivered.packets == 1;
        assert_eq!(link.cut.packets, u64::from(!arrived), "{link:?}");
        if arrived {
            assert_eq!(receive(&receiver, &mut [0; 8]).unwrap().0, 1);
        }
        if arrived != is_cut {
            return;
        }
    }
}

fn a_timeline_plays(bed: &Bed) {
    let schedule = |at: u64, lasts: Option<u64>, every: Option<u64>| Schedule {
        at: Delay::from_millis(at),
        lasts: lasts.map(Delay::from_millis),
        every: every.map(Delay::from_millis),
    };
    let steps = [(0, 2), (150, 3)].map(|(at, delay)| Step {
        at: Delay::from_millis(at),
        rate: None,
        delay: Some(Delay::from_millis(delay)),
        loss: None,
    });
    let timeline = [
        Change {
            schedule: schedule(200, Some(300), Some(1000)),
            links: vec![A_TO_B],
            action: Action::Alter(cut(true)),
        },
        Change {
            schedule: schedule(300, None, None),
            links: vec![B_TO_C],
            action: Action::Follow(Trace::Steps(steps.to_vec())),
        },
    ];
    let begun = Instant::now();
    bed.emulator.play(&timeline).unwrap();
    until(bed, (A, B), true);
    assert!(begun.elapsed() >= Duration::from_millis(200), "cut before its time");
    until(bed, (A, B), false);
    assert!(begun.elapsed() >= Duration::from_millis(500), "whole before its time");
    until(bed, (A, B), true);
    assert!(begun.elapsed() >= Duration::from_millis(1200), "cut again before its time");
    let profiles = bed.emulator.profiles().unwrap();
    assert_eq!(profiles[B_TO_C].delay, Delay::from_millis(3), "the last step holds on");
    bed.emulator.rest().unwrap();
    let base: Vec<Profile> = links().iter().map(|link| link.profile).collect();
    assert_eq!(bed.emulator.profiles().unwrap(), base);
    until(bed, (A, B), false);
    until(bed, (B, C), false);
}

fn mistakes_are_named(bed: &Bed) {
    let error = bed.emulator.alter(&[A_TO_B, 7], &cut(true)).unwrap_err();
    assert_eq!(error.to_string(), "link 7: there are 2 links, counted from 0");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!bed.emulator.profiles().unwrap()[A_TO_B].cut, "nothing was changed");
    let restless = Schedule { at: Delay::ZERO, lasts: None, every: Some(Delay::from_nanos(1000)) };
    let change = Change { schedule: restless, links: vec![B_TO_C], action: Action::Alter(cut(true)) };
    let error = bed.emulator.play(&[change]).unwrap_err();
    assert!(error.to_string().starts_with("change 0: "), "{error}");
    assert!(!bed.emulator.profiles().unwrap()[B_TO_C].cut);
}

/// All of that, on one bed.
pub(crate) fn judge(path: DataPath, tun: &Path) {
    let names = ["a", "b", "c"].map(str::to_owned);
    let bed = Bed::with(tun, &names, links(), Terms { workers: 2, ipv6: false, path });
    nothing_passes_a_cut(&bed);
    rates_change_at_once(&bed);
    a_timeline_plays(&bed);
    mistakes_are_named(&bed);
}
