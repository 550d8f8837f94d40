use crate::Guest;
use fogline_agent::frame::{Frame, Kind};
use fogline_agent::{AgentError, Client, ExecRequest, Role, serve};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

#[test]
fn an_agent_tells_who_it_is() {
    let guest = Guest::start();
    let info = guest.client.info(LONG).unwrap();
    assert_eq!((info.role, info.pid), (Role::Guest, std::process::id()));
    assert_eq!(guest.client.host(), "guest");
    assert!(guest.client.lost().is_none());
}

#[test]
fn an_agent_that_goes_is_lost_to_those_who_wait_and_those_who_come() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let client = Client::new(ours, "edge-1").unwrap();
    let waiting = client.clone();
    let call = std::thread::spawn(move || waiting.exec(&ExecRequest::new(["true"])));
    let mut theirs = theirs;
    // The greeting and the request have come; then the agent dies.
    for _ in 0..2 {
        Frame::read_from(&mut theirs).unwrap().unwrap();
    }
    drop(theirs);
    let error = call.join().unwrap().unwrap_err();
    assert!(matches!(&error, AgentError::Lost { host, .. } if host == "edge-1"), "{error:?}");
    let error = client.info(LONG).unwrap_err();
    assert!(matches!(error, AgentError::Lost { .. }), "{error:?}");
    assert!(client.lost().is_some());
}

#[test]
fn an_agent_that_does_not_answer_is_late() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let client = Client::new(ours, "edge-1").unwrap();
    let error = client.info(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.to_string(), "edge-1: no answer to Info within 20ms");
}

#[test]
fn a_login_message_in_place_of_an_agent_is_quoted() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"Last login: Mon Nov 23 from somewhere\n").unwrap();
    let client = Client::new(ours, "edge-1").unwrap();
    let error = client.info(LONG).unwrap_err();
    assert!(error.to_string().contains("Last"), "{error}");
}

#[test]
fn another_version_is_refused_on_both_sides() {
    let greeting = br#"{"protocol":"fogline-agent","version":999}"#.to_vec();
    let greeting = Frame { kind: Kind::Greeting, id: 0, header: greeting, payload: Vec::new() };
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let client = Client::new(ours, "edge-1").unwrap();
    greeting.write_to(&mut theirs).unwrap();
    assert!(client.info(LONG).unwrap_err().to_string().contains("version 999"));

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    greeting.write_to(&mut ours).unwrap();
    let error = serve(theirs, Role::Guest).unwrap_err();
    assert!(error.to_string().contains("version 999"), "{error}");
}

#[test]
fn garbage_ends_an_agent_with_an_error() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(&[0xff; 64]).unwrap();
    let error = serve(theirs, Role::Guest).unwrap_err();
    assert!(error.to_string().contains("no length of a frame"), "{error}");
    // The agent's greeting, and then the end of the stream.
    let mut rest = Vec::new();
    ours.read_to_end(&mut rest).unwrap();
    assert!(!rest.is_empty());
}

#[test]
fn a_request_that_cannot_be_read_is_refused_and_the_next_one_works() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let agent = std::thread::spawn(move || serve(theirs, Role::Guest));
    let greeting = Frame::read_from(&mut ours).unwrap().unwrap();
    greeting.write_to(&mut ours).unwrap();
    for (id, header) in [(1, "{\"Nonsense\":1}"), (2, "\"Info\"")] {
        let frame = Frame { kind: Kind::Request, id, header: header.into(), payload: Vec::new() };
        frame.write_to(&mut ours).unwrap();
    }
    let mut answers: Vec<_> = (0..2).map(|_| Frame::read_from(&mut ours).unwrap().unwrap()).collect();
    answers.sort_by_key(|answer| answer.id);
    let text = |index: usize| String::from_utf8_lossy(&answers[index].header).into_owned();
    assert!(text(0).contains("Nonsense"), "{}", text(0));
    assert!(text(1).contains("Guest"), "{}", text(1));
    drop(ours);
    agent.join().unwrap().unwrap();
}

#[test]
fn the_agent_works_over_two_pipes_as_under_ssh() {
    let (request_read, request_write) = std::io::pipe().unwrap();
    let (answer_read, answer_write) = std::io::pipe().unwrap();
    let agent = std::thread::spawn(move || {
        fogline_agent::serve_on(request_read, answer_write, fogline_agent::Settings::new(Role::Guest))
    });
    let client = Client::over(answer_read, request_write, "remote").unwrap();
    assert_eq!(client.exec(&ExecRequest::new(["echo", "hello"])).unwrap().stdout, b"hello\n");
    drop(client);
    agent.join().unwrap().unwrap();
}
