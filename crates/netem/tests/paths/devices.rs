//! Both families at once, congestion control by destination, groups, and refusals.

use crate::bed::{Bed, PORT, address, address6, check, in_new_network};
use netem::{DataPath, Device, DeviceError, DeviceOptions, Switch};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A file of this length travels in super-packets where the path has them.
const STREAM_LEN: usize = 2_000_000;

pub(crate) fn judge(path: DataPath) {
    let bed = Bed::new(path, 3, |host, options| {
        options.congestion = Some("cubic".to_owned());
        if host == 0 {
            options.congestion_to =
                vec![(address(2).into(), "reno".to_owned()), (address6(2).into(), "reno".to_owned())];
        }
    });
    hosts_meet_at_once(&bed);
    streams_arrive_whole(&bed);
    congestion_control_goes_by_destination(&bed);
    groups_are_reached(&bed);
    what_is_refused_is_told(path);
}

/// The first datagram of all arrives: no question for an address goes before it where there is an emulator, and none
/// is lost to one where there is a bridge.
fn hosts_meet_at_once(bed: &Bed) {
    for (from, to) in
        [(IpAddr::from(address6(0)), IpAddr::from(address6(1))), (address(0).into(), address(1).into())]
    {
        let (near, far) = (bed.udp(0, from), bed.udp(1, to));
        near.send_to(b"first", (to, PORT)).unwrap();
        let mut buffer = [0; 16];
        let (length, source) = far.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], source), (&b"first"[..], SocketAddr::from((from, PORT))));
    }
}

fn streams_arrive_whole(bed: &Bed) {
    let sent: Vec<u8> =
        (0..STREAM_LEN as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for address in [IpAddr::from(address(1)), address6(1).into()] {
        let (mut sender, mut receiver) = bed.stream(0, 1, address);
        let mut received = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                sender.write_all(&sent).unwrap();
                sender.shutdown(std::net::Shutdown::Write).unwrap();
            });
            receiver.read_to_end(&mut received).unwrap();
        });
        assert!(received == sent, "{} bytes of {STREAM_LEN} to {address}", received.len());
    }
    let snmp = bed.inside(1, || std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
    let mut lines = snmp.lines().filter(|line| line.starts_with("Tcp:"));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let column = names.split(' ').position(|name| name == "InCsumErrors").unwrap();
    assert_eq!(values.split(' ').nth(column), Some("0"), "checksum errors\n{snmp}");
}

fn congestion_of(stream: &TcpStream) -> String {
    let mut name = [0_u8; 16];
    let mut length = name.len() as libc::socklen_t;
    let (to, room) = (name.as_mut_ptr().cast(), &raw mut length);
    // SAFETY: the kernel writes at most `length` bytes of text into the array.
    let asked =
        unsafe { libc::getsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_CONGESTION, to, room) };
    check(asked).unwrap();
    name.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}

fn congestion_control_goes_by_destination(bed: &Bed) {
    let cases: [(usize, IpAddr, &str); 4] = [
        (1, address(1).into(), "cubic"),
        (1, address6(1).into(), "cubic"),
        (2, address(2).into(), "reno"),
        (2, address6(2).into(), "reno"),
    ];
    for (to, address, expected) in cases {
        let (sender, _receiver) = bed.stream(0, to, address);
        assert_eq!(congestion_of(&sender), expected, "to {address}");
    }
    // Whoever is called uses what its own routes say of the caller.
    let (_sender, receiver) = bed.stream(2, 0, address(0).into());
    assert_eq!(congestion_of(&receiver), "reno");
}

fn groups_are_reached(bed: &Bed) {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let group6: Ipv6Addr = "ff02::4:77".parse().unwrap();
    let (near, far) = (bed.udp(0, Ipv4Addr::UNSPECIFIED.into()), bed.udp(1, Ipv4Addr::UNSPECIFIED.into()));
    far.join_multicast_v4(&group, &address(1)).unwrap();
    near.set_broadcast(true).unwrap();
    let mut buffer = [0; 16];
    for target in [group, Ipv4Addr::new(10, 77, 255, 255)] {
        near.send_to(b"all", (target, PORT)).unwrap();
        assert_eq!(far.recv(&mut buffer).unwrap(), 3, "sent to {target}");
    }
    drop((near, far));
    let (near, far) = (bed.udp(0, address6(0).into()), bed.udp(1, Ipv6Addr::UNSPECIFIED.into()));
    let index = bed.inside(1, || {
        // SAFETY: the name ends in NUL and outlives the call.
        unsafe { libc::if_nametoindex(c"net0".as_ptr()) }
    });
    far.join_multicast_v6(&group6, index).unwrap();
    // The kernel joins at once, but a packet may pass before.
    far.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let deadline = Instant::now() + crate::bed::PATIENCE;
    loop {
        near.send_to(b"all", (group6, PORT)).unwrap();
        if far.recv(&mut buffer).is_ok() {
            return;
        }
        assert!(Instant::now() < deadline, "an IPv6 group was not reached");
    }
}

fn what_is_refused_is_told(path: DataPath) {
    let switch = path.needs_switch().then(|| Arc::new(Switch::create().unwrap()));
    let options = DeviceOptions {
        path,
        switch: switch.clone(),
        congestion: Some("wishful".to_owned()),
        congestion_to: vec![
            (address(9).into(), "wistful".to_owned()),
            (address(8).into(), "reno".to_owned()),
        ],
        ..DeviceOptions::default()
    };
    let (_namespace, ()) = in_new_network(|| {
        let device = Device::create("net0", address(0), 16, &options).unwrap();
        let [first, second] = device.warnings() else { panic!("{:?}", device.warnings()) };
        assert!(first.starts_with("congestion control wishful refused"), "{first}");
        assert!(second.starts_with("congestion control wistful refused"), "{second}");
        assert_ne!(device.congestion(), "wishful");
        assert_eq!(device.congestion_to(), [(address(8).into(), "reno".to_owned())]);
        let again = Device::create("net0", address(1), 16, &options).unwrap_err();
        assert!(matches!(again, DeviceError::NameTaken { .. }), "{again}");
    });
    if path.needs_switch() {
        let without = DeviceOptions { path, ..DeviceOptions::default() };
        let error = Device::create("net0", address(0), 16, &without).unwrap_err();
        assert_eq!(error.to_string(), format!("a {path} device needs a switch to be plugged into"));
    }
}
