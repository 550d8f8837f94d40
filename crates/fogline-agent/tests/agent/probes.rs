use crate::Guest;
use fogline_agent::{ProbeKind, ProbeListen, ProbePlan, ProbePort, ProbeTarget};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const QUIET: Duration = Duration::from_millis(50);

fn listen(guest: &Guest) -> ProbePort {
    let rate_skip = Duration::from_millis(10);
    let listen = ProbeListen { address: LOCAL, life: Duration::from_secs(20), rate_skip };
    guest.client.probe_listen(&listen).unwrap()
}

fn plan(kind: ProbeKind, targets: Vec<ProbeTarget>) -> ProbePlan {
    ProbePlan {
        kind,
        source: LOCAL,
        targets,
        duration: Duration::from_millis(100),
        echo_wait: Duration::from_secs(5),
        payload_bytes: 64,
    }
}

#[test]
fn delay_probes_come_back_and_tell_both_ways() {
    let (near, far) = (Guest::start(), Guest::start());
    let port = listen(&far);
    let targets = (0..3).map(|flow| ProbeTarget { address: port.address, flow, packets: 20 }).collect();
    let sent = near.client.probe_send(&plan(ProbeKind::Delay, targets)).unwrap();
    let report = far.client.probe_report(&port, QUIET).unwrap();
    assert_eq!(report.flows.len(), 3);
    for (sent, received) in sent.flows.iter().zip(&report.flows) {
        assert_eq!((sent.packets, sent.refused), (20, 0));
        assert_eq!((received.flow, received.packets, received.duplicates), (sent.flow, 20, 0));
        assert_eq!(received.delay_ns.len(), 20);
        assert!(received.delay_ns.iter().all(|delay| *delay >= 0), "one clock: {:?}", received.delay_ns);
        assert!(received.delay_ns.is_sorted() && sent.rtt_ns.is_sorted());
        assert_eq!(sent.rtt_ns.len(), 20, "every echo came back over the loopback");
    }
    assert_eq!((report.socket_drops, report.strangers), (0, 0));
}

#[test]
fn loss_probes_count_every_packet_of_every_flow() {
    let (near, far) = (Guest::start(), Guest::start());
    let port = listen(&far);
    let targets: Vec<_> =
        (0..4).map(|flow| ProbeTarget { address: port.address, flow, packets: 500 + flow }).collect();
    let sent = near.client.probe_send(&plan(ProbeKind::Loss, targets)).unwrap();
    let report = far.client.probe_report(&port, QUIET).unwrap();
    let received: u64 = report.flows.iter().map(|flow| flow.packets).sum();
    let lost: u64 = sent.flows.iter().map(|flow| flow.packets).sum::<u64>() - received;
    assert_eq!(lost, report.socket_drops, "what the loopback loses, the receiver has dropped: {report:?}");
    for (flow, sent) in report.flows.iter().zip(&sent.flows) {
        assert_eq!(sent.packets + sent.refused, u64::from(500 + sent.flow));
        assert_eq!(sent.frame_bytes, sent.packets * (64 + 42));
        assert_eq!((flow.duplicates, flow.reordered), (0, 0));
    }
}

#[test]
fn a_report_closes_its_port() {
    let (near, far) = (Guest::start(), Guest::start());
    let port = listen(&far);
    let report = far.client.probe_report(&port, Duration::ZERO).unwrap();
    assert_eq!((report.flows.len(), report.socket_drops), (0, 0));
    let target = ProbeTarget { address: port.address, flow: 1, packets: 10 };
    let sent = near.client.probe_send(&plan(ProbeKind::Loss, vec![target])).unwrap();
    assert_eq!(sent.flows[0].packets + sent.flows[0].refused, 10);
    let error = far.client.probe_report(&port, QUIET).unwrap_err();
    assert!(error.to_string().contains("no port"), "{error}");
}

#[test]
fn a_rate_probe_sends_what_is_asked_and_the_receiver_counts_frames() {
    let (near, far) = (Guest::start(), Guest::start());
    let port = listen(&far);
    let target = ProbeTarget { address: port.address, flow: 9, packets: 0 };
    let kind = ProbeKind::Rate { offered_bits_per_s: 50_000_000 };
    let sent = near.client.probe_send(&plan(kind, vec![target])).unwrap();
    let report = far.client.probe_report(&port, QUIET).unwrap();
    let flow = &report.flows[0];
    assert!(sent.flows[0].packets > 10, "{sent:?}");
    assert_eq!(sent.flows[0].frame_bytes, sent.flows[0].packets * 1442);
    assert_eq!(flow.frame_bytes, flow.packets * 1442);
    assert_eq!(sent.flows[0].packets, flow.packets + report.socket_drops);
    assert!(flow.rate_frame_bytes < flow.frame_bytes, "the beginning does not count");
    assert!(flow.bits_per_s().unwrap() > 0.0);
}

#[test]
fn size_probes_pass_whole_or_not_at_all() {
    let (near, far) = (Guest::start(), Guest::start());
    let port = listen(&far);
    // The loopback takes IP packets of 65,536 bytes, so the largest datagram passes and none larger can be asked for.
    let target = ProbeTarget { address: port.address, flow: 3, packets: 2 };
    for payload_bytes in [1473, 9000, 65_507] {
        let sent = near
            .client
            .probe_send(&ProbePlan { payload_bytes, ..plan(ProbeKind::Size, vec![target]) })
            .unwrap();
        assert_eq!((sent.flows[0].packets, sent.flows[0].refused), (2, 0));
    }
    let report = far.client.probe_report(&port, QUIET).unwrap();
    assert_eq!(report.flows[0].largest_bytes, 65_507);
    let large = ProbePlan { payload_bytes: 65_508, ..plan(ProbeKind::Size, vec![target]) };
    assert!(near.client.probe_send(&large).unwrap_err().to_string().contains("expected 48 to 65507"));
}

#[test]
fn strangers_are_counted_and_change_nothing() {
    let far = Guest::start();
    let port = listen(&far);
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    for length in [0, 1, 31, 32, 100, 1400] {
        socket.send_to(&vec![0x5a; length], port.address).unwrap();
    }
    let report = far.client.probe_report(&port, QUIET).unwrap();
    assert!(report.flows.is_empty(), "{report:?}");
    // A datagram without bytes has no packet in it.
    assert_eq!(report.strangers + report.socket_drops, 5);
}

#[test]
fn unusable_plans_are_refused_by_name() {
    let guest = Guest::start();
    let target = ProbeTarget { address: (LOCAL, 9).into(), flow: 0, packets: 1 };
    let refused = |plan: &ProbePlan| guest.client.probe_send(plan).unwrap_err().to_string();
    assert!(refused(&plan(ProbeKind::Loss, Vec::new())).contains("0 targets"));
    let short = ProbePlan { payload_bytes: 8, ..plan(ProbeKind::Delay, vec![target]) };
    assert!(refused(&short).contains("payload of 8 bytes"));
    let many = plan(ProbeKind::Loss, vec![ProbeTarget { packets: u32::MAX, ..target }]);
    assert!(refused(&many).contains("packets, at most"));
    let still = plan(ProbeKind::Rate { offered_bits_per_s: 0 }, vec![target]);
    assert!(refused(&still).contains("rate of zero"));
    let elsewhere = ProbePlan { source: "192.0.2.1".parse().unwrap(), ..plan(ProbeKind::Loss, vec![target]) };
    assert!(refused(&elsewhere).contains("send probes from 192.0.2.1"));
}
