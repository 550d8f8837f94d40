//! The ways by which packets travel.

use crate::setting::{Setting, plan, succeed};
use fogline_testbed::{LocalTestbed, TestbedError};
use link::Patch;
use netem::DataPath;
use std::fs::OpenOptions;

/// By TAPs where the TUN node can be opened, by packet sockets where it is closed or missing, and by what was asked for.
pub(crate) fn are_chosen_and_named(setting: &Setting) {
    let node = setting.options().tun;
    let open = OpenOptions::new().read(true).write(true).open(&node).is_ok();
    let first = if open { DataPath::Tap } else { DataPath::Packet };
    for (path, tun, expected) in [
        (None, node.clone(), first),
        (None, "/nonexistent/tun".into(), DataPath::Packet),
        (Some(DataPath::Packet), node, DataPath::Packet),
    ] {
        let mut options = setting.options();
        (options.path, options.tun) = (path, tun.clone());
        let testbed = LocalTestbed::deploy(&plan(3), &options).unwrap();
        let least = succeed(&testbed.agents()[0], "ping -q -c 3 -i 0.1 fog-1");
        let least: f64 = least.rsplit(" = ").next().unwrap().split('/').next().unwrap().parse().unwrap();
        assert!(least >= 60.0, "{expected}: links of 30 ms each way answered after {least} ms");
        let snapshot = testbed.network().unwrap();
        assert_eq!(snapshot.data_path, expected.mechanism());
        assert!(snapshot.links[0].delivered.packets >= 3, "{:?}", snapshot.links);
        // Other notes may come from what the kernel refuses to an ordinary user.
        let named = testbed.notes().iter().any(|note| note.contains(&tun.display().to_string()));
        assert_eq!(named, path.is_none() && expected == DataPath::Packet, "{:?}", testbed.notes());
        testbed.release().unwrap();
        setting.assert_clear();
    }
}

/// A bridge emulates nothing and says so; what the kernel emulates is as asked, or the missing module is named.
pub(crate) fn of_the_kernel_carry_packets(setting: &Setting) {
    let mut options = setting.options();
    options.path = Some(DataPath::Bridge);
    let testbed = LocalTestbed::deploy(&plan(3), &options).unwrap();
    succeed(&testbed.agents()[0], "ping -c 1 -W 5 fog-1");
    succeed(&testbed.agents()[0], "ping -6 -c 1 -W 5 fog-2.ip6");
    let snapshot = testbed.network().unwrap();
    assert_eq!((snapshot.data_path.as_str(), snapshot.links.len()), ("veth+bridge", 0));
    assert_eq!(snapshot.devices.len(), 3);
    let error = testbed.alter(&[0], &Patch::default()).unwrap_err().to_string();
    assert!(error.contains("cannot be changed on the data path bridge"), "{error}");
    testbed.release().unwrap();
    setting.assert_clear();

    options = setting.options();
    options.path = Some(DataPath::Kernel);
    match LocalTestbed::deploy(&plan(3), &options) {
        Ok(testbed) => {
            let output = succeed(&testbed.agents()[0], "ping -q -c 3 -i 0.1 fog-1");
            let least: f64 = output.rsplit(" = ").next().unwrap().split('/').next().unwrap().parse().unwrap();
            assert!(least >= 60.0, "links of 30 ms each way answered after {least} ms");
            assert_eq!(testbed.network().unwrap().links.len(), 2);
            testbed.release().unwrap();
        }
        Err(TestbedError::Lab(why)) => {
            assert!(why.contains("modprobe") || why.contains("iproute2"), "{why}");
            eprintln!("links by the kernel: skipped, {why}");
        }
        Err(error) => panic!("{error}"),
    }
    setting.assert_clear();
}
