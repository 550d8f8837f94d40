//! IPv6 and groups: streams, round trips, and who hears what is sent to many.

use crate::basics::{profile, survives_losses};
use crate::bed::{Bed, PATIENCE, PORT, Terms, address, address6, receive, socket_address};
use crate::{A, B, C, D};
use netem::DataPath;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

fn links() -> Vec<netem::LinkSpec> {
    vec![
        (D, B, profile("1ms", Some("200mbit"), "2%")).into(),
        (B, D, profile("1ms", None, "0%")).into(),
        (A, B, profile("30ms", None, "0%")).into(),
        (B, A, profile("10ms", None, "0%")).into(),
    ]
}

/// A socket of a host for both families.
fn socket6(bed: &Bed, host: usize) -> UdpSocket {
    let socket = bed.inside(host, || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn no_round_trip_is_early(bed: &Bed) {
    let (near, far) = (socket6(bed, A), socket6(bed, B));
    for round in 0..5_u32 {
        let sent = Instant::now();
        near.send_to(&round.to_be_bytes(), (address6(B), PORT)).unwrap();
        let mut buffer = [0; 64];
        let (length, from) = receive(&far, &mut buffer).unwrap();
        assert_eq!(from, SocketAddr::from((address6(A), PORT)));
        assert!(sent.elapsed() >= Duration::from_millis(30), "early: {:?}", sent.elapsed());
        far.send_to(&buffer[..length], from).unwrap();
        assert_eq!(receive(&near, &mut buffer).unwrap().0, length);
        assert!(sent.elapsed() >= Duration::from_millis(40), "early: {:?}", sent.elapsed());
    }
}

/// Sends to a group that A and B have joined and C has not, and checks who hears it, and when.
fn members_hear(sender: &UdpSocket, listeners: &[UdpSocket; 3], group: SocketAddr) {
    let mut buffer = [0; 16];
    let sent = Instant::now();
    sender.send_to(b"members", group).unwrap();
    assert_eq!(receive(&listeners[0], &mut buffer).unwrap().0, 7, "A is a member of {group}");
    assert_eq!(receive(&listeners[1], &mut buffer).unwrap().0, 7, "B is a member of {group}");
    assert!(sent.elapsed() >= Duration::from_millis(1), "B hears it over its link");
    // What was sent later and arrived shows that the first is not under way any more.
    let direct = if group.is_ipv4() { address(C).into() } else { address6(C).into() };
    sender.send_to(b"C", SocketAddr::new(direct, PORT)).unwrap();
    assert_eq!(receive(&listeners[2], &mut buffer).unwrap().0, 1, "C is not a member of {group}");
    for (host, listener) in listeners.iter().enumerate() {
        listener.set_nonblocking(true).unwrap();
        let more = listener.recv(&mut buffer).map_err(|error| error.kind());
        assert_eq!(more, Err(ErrorKind::WouldBlock), "host {host} hears {group} once");
        listener.set_nonblocking(false).unwrap();
    }
}

fn groups_reach_their_members(bed: &Bed) {
    let group = Ipv4Addr::new(239, 7, 7, 7);
    let listeners = [A, B, C].map(|host| bed.udp(host));
    let sender = bed.udp(D);
    for host in [A, B] {
        listeners[host].join_multicast_v4(&group, &address(host)).unwrap();
    }
    let before = bed.link(D, B);
    members_hear(&sender, &listeners, (group, PORT).into());
    let crossed = bed.settled(D, B, before.entered.packets + 1).since(&before);
    assert!(crossed.entered.packets >= 1, "{crossed:?}");
    drop((listeners, sender));

    let group = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 7, 7);
    let listeners = [A, B, C].map(|host| socket6(bed, host));
    let sender = socket6(bed, D);
    let index = |host| bed.inside(host, device_index);
    for host in [A, B] {
        listeners[host].join_multicast_v6(&group, index(host)).unwrap();
    }
    members_hear(&sender, &listeners, SocketAddrV6::new(group, PORT, 0, index(D)).into());
}

/// The index of a host's device, from inside.
fn device_index() -> u32 {
    std::fs::read_to_string("/proc/thread-self/net/dev_mcast")
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|columns| columns[1] == "net0")
        .and_then(|columns| columns[0].parse().ok())
        .expect("net0")
}

/// A broadcast takes each receiver's link.
fn broadcasts_take_links(bed: &Bed) {
    let listeners = [A, B, C].map(|host| bed.udp(host));
    let sender = bed.udp(D);
    sender.set_broadcast(true).unwrap();
    let sent = Instant::now();
    sender.send_to(b"all", (Ipv4Addr::new(10, 77, 255, 255), PORT)).unwrap();
    let mut buffer = [0; 8];
    for (host, listener) in listeners.iter().enumerate() {
        let from = receive(listener, &mut buffer).unwrap();
        assert_eq!(from, (3, socket_address(D)), "host {host}");
        if host == B {
            assert!(sent.elapsed() >= Duration::from_millis(1), "B hears it over its link");
        }
    }
}

/// All of that, on one bed.
pub(crate) fn judge(path: DataPath, tun: &Path) {
    let names = ["a", "b", "c", "d"].map(str::to_owned);
    let bed = Bed::with(tun, &names, links(), Terms { workers: 2, ipv6: true, path });
    survives_losses(&bed, (D, B), bed.connection(D, B, (address6(B), PORT).into()));
    no_round_trip_is_early(&bed);
    // Losses would make the rest a matter of luck.
    let whole = link::Patch { loss: Some(link::LossModel::default()), ..link::Patch::default() };
    bed.emulator.alter(&[0], &whole).unwrap();
    groups_reach_their_members(&bed);
    broadcasts_take_links(&bed);
}
