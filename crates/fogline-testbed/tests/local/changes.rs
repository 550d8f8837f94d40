//! Links that change while hosts use them.

use crate::setting::{Setting, plan, shell, succeed};
use fogline_agent::Client;
use fogline_testbed::TestbedError;
use link::{Action, Change, Patch, Schedule};
use units::Delay;

/// The least of some round trips to `destination`, in milliseconds.
fn least(host: &Client, destination: &str) -> f64 {
    let output = succeed(host, &format!("ping -q -c 5 -i 0.1 {destination}"));
    output.rsplit(" = ").next().unwrap().split('/').next().unwrap().parse().unwrap()
}

pub(crate) fn are_obeyed_at_once(setting: &Setting) {
    let testbed = setting.deploy(&plan(2));
    let host = &testbed.agents()[0];
    let cut = Patch { cut: Some(true), ..Patch::default() };
    testbed.alter(&[0, 1], &cut).unwrap();
    assert_ne!(shell(host, "ping -c 2 -i 0.2 -W 1 fog-1").0, 0, "a packet passed a cut link");
    testbed.heal(&[0, 1]).unwrap();
    assert!(least(host, "fog-1") >= 60.0);

    let slow = Patch { delay: Some(Delay::from_millis(100)), ..Patch::default() };
    testbed.alter(&[0], &slow).unwrap();
    assert!(least(host, "fog-1") >= 130.0, "100 ms there and the plan's 30 ms back");
    testbed.heal(&[0]).unwrap();

    let schedule = Schedule { at: Delay::ZERO, lasts: None, every: None };
    let change = Change { schedule, links: vec![1], action: Action::Alter(slow) };
    testbed.play(&[change]).unwrap();
    assert!(least(host, "fog-1") >= 130.0, "30 ms there and 100 ms back");
    testbed.rest().unwrap();
    let back = least(host, "fog-1");
    assert!((60.0..130.0).contains(&back), "the plan's 30 ms each way again, not {back} ms");
    testbed.release().unwrap();
    setting.assert_clear();
}

pub(crate) fn are_refused_by_name(setting: &Setting) {
    let testbed = setting.deploy(&plan(2));
    let error = testbed.alter(&[0, 7], &Patch::default()).unwrap_err();
    assert!(matches!(error, TestbedError::NoSuchLink { link: 7, links: 2 }), "{error}");
    let schedule = Schedule { at: Delay::ZERO, lasts: None, every: None };
    let astray = Change { schedule, links: vec![2], action: Action::Alter(Patch::default()) };
    assert!(testbed.play(&[astray]).unwrap_err().to_string().contains("no link 2"));
    assert!(testbed.heal(&[]).is_ok(), "the lab lives on");
    testbed.release().unwrap();
    setting.assert_clear();
}
