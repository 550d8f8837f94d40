//! TCP connections made on a host.

use crate::{Guest, with_guest};
use fogline_agent::Stream;
use fogline_agent::stream::{Channel, ConnectRequest, Part};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn open(guest: &Guest, port: u16) -> Stream {
    guest.client.open_connection(&ConnectRequest { addresses: vec![LOOPBACK], port }).unwrap()
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

#[test]
fn each_direction_ends_by_itself() {
    with_guest(|guest| {
        let (listener, port) = listen();
        let stream = open(guest, port);
        let mut server = accept(&listener);
        stream.send(&Part::Data(Channel::Input), b"question".to_vec()).unwrap();
        stream.send(&Part::End(Channel::Input), Vec::new()).unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).unwrap();
        server.write_all(b"answer").unwrap();
        assert_eq!(stream.next(), Some((Part::Data(Channel::Output), b"answer".to_vec())));
        drop(server);
        assert_eq!(stream.next(), Some((Part::End(Channel::Output), Vec::new())));
        assert_eq!((stream.next(), question.as_str()), (Some((Part::Over(None), Vec::new())), "question"));
        assert_eq!(stream.next(), None);

        let stream = open(guest, port);
        drop(accept(&listener));
        assert_eq!(
            stream.next(),
            Some((Part::End(Channel::Output), Vec::new())),
            "the host's direction first"
        );
        stream.send(&Part::End(Channel::Input), Vec::new()).unwrap();
        assert_eq!(stream.next(), Some((Part::Over(None), Vec::new())));
    });
}

#[test]
fn a_hang_up_and_a_broken_connection_are_resets() {
    with_guest(|guest| {
        let (listener, port) = listen();
        let stream = open(guest, port);
        let mut server = accept(&listener);
        drop(stream);
        let mut buffer = [0; 16];
        assert_eq!(server.read(&mut buffer).unwrap_err().kind(), ErrorKind::ConnectionReset);

        let stream = open(guest, port);
        stream.send(&Part::Data(Channel::Input), b"never read".to_vec()).unwrap();
        let server = accept(&listener);
        server.peek(&mut buffer).unwrap();
        // Closed with bytes that nobody read, which the kernel makes a reset.
        drop(server);
        let (part, _) = stream.next().unwrap();
        assert!(matches!(&part, Part::Reset(reason) if reason.contains("reset")), "{part:?}");
    });
}

#[test]
fn addresses_are_tried_in_turn_and_a_closed_port_is_named() {
    with_guest(|guest| {
        let (listener, port) = listen();
        let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let request = ConnectRequest { addresses: vec![elsewhere, LOOPBACK], port };
        let stream = guest.client.open_connection(&request).unwrap();
        accept(&listener);
        drop((stream, listener));
        let error = guest.client.open_connection(&request).unwrap_err().to_string();
        assert!(error.contains(&format!("port {port}")) && error.contains("refused"), "{error}");
    });
}
