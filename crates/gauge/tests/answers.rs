//! What `gauge` says when the other side answers nonsense, refuses, or says nothing at all.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread;

const GAUGE: &str = env!("CARGO_BIN_EXE_gauge");

/// What is answered to a path.
type Answer = fn(&str) -> Option<String>;

/// A server that answers each request with `answer` of its path, and closes without a word on `None`.
fn serve(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that hung up is no concern of a server that talks nonsense.
            let _ = reply(stream, answer);
        }
    });
    address
}

fn reply(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split_whitespace().nth(1).unwrap_or_default().to_owned();
    answer(&path).map_or(Ok(()), |text| stream.write_all(text.as_bytes()))
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn gauge(words: &[&str]) -> Output {
    Command::new(GAUGE).args(words).output().expect("gauge runs")
}

/// The one line on standard error of a wait that failed.
fn complaint(words: &[&str]) -> String {
    let output = gauge(words);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn probe(address: SocketAddr) -> String {
    let url = format!("http://{address}");
    let said = complaint(&["probe", "flink", &url, "--timeout", "300ms"]);
    assert!(said.contains(&url) && said.contains("is not complete after 300ms"), "{said}");
    said
}

#[test]
fn nobody_there_is_said() {
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let said = probe(gone);
    assert!(said.contains("does not answer") && said.to_lowercase().contains("refused"), "{said}");
}

#[test]
fn garbage_is_shown() {
    let said = probe(serve(|_| Some(http("200 OK", "<html>\n a proxy\u{7} says hello"))));
    assert!(said.contains("answers what Flink does not") && said.contains("<html>"), "{said}");
    assert!(!said.contains('\u{7}'), "control characters stay out of the terminal: {said}");
}

#[test]
fn json_of_something_else_is_no_cluster() {
    let said = probe(serve(|_| Some(http("200 OK", r#"{"status":"ok"}"#))));
    assert!(said.contains("/overview is not Flink's") && said.contains("taskmanagers"), "{said}");
}

#[test]
fn a_server_that_hangs_up_or_speaks_no_http_is_silent() {
    assert!(probe(serve(|_| None)).contains("does not answer"));
    assert!(probe(serve(|_| Some("SSH-2.0-OpenSSH\r\n".to_owned()))).contains("does not answer"));
    let cut = |_: &str| Some("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_owned());
    assert!(probe(serve(cut)).contains("does not answer"));
}

#[test]
fn errors_of_the_server_come_without_their_stack() {
    let said = probe(serve(|_| {
        let body = r#"{"errors":["a.RestException: no leader\n\tat a.b.C\nCaused by: a.Down: election under way\n"]}"#;
        Some(http("503 Service Unavailable", body))
    }));
    assert!(said.contains("answers 503: a.Down: election under way") && !said.contains("at a.b.C"), "{said}");
    let said = probe(serve(|_| Some(http("500 Internal Server Error", ""))));
    assert!(said.contains("answers 500: nothing"), "{said}");
}

#[test]
fn an_incomplete_cluster_is_told_by_its_numbers() {
    let said = probe(serve(|_| Some(http("200 OK", r#"{"taskmanagers":0,"slots-total":0}"#))));
    assert!(said.contains("0 of 1 task managers and 0 of 1 slots"), "{said}");
}

#[test]
fn a_missing_job_is_told_with_those_that_there_are() {
    let address = serve(|_| {
        let job = r#"{"jid":"00","name":"other","start-time":1,"state":"RUNNING"}"#;
        Some(http("200 OK", &format!("{{\"jobs\":[{job}]}}")))
    });
    let url = address.to_string();
    for words in [
        &["job", &url, "--name", "people-counting", "--timeout", "300ms"][..],
        &["cancel", &url, "--name", "people-counting", "--timeout", "300ms"],
    ] {
        let said = complaint(words);
        assert!(said.contains("has no job named `people-counting`; it has `other` (RUNNING)"), "{said}");
    }
}

/// A job that restarts each time somebody looks.
fn restless(path: &str) -> Option<String> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static RESTARTS: AtomicU32 = AtomicU32::new(0);
    let body = if path.contains("/metrics") {
        format!(r#"[{{"id":"numRestarts","value":"{}"}}]"#, RESTARTS.fetch_add(1, Ordering::Relaxed))
    } else if path.ends_with("/overview") {
        r#"{"jobs":[{"jid":"0a","name":"restless","start-time":1,"state":"RESTARTING"}]}"#.to_owned()
    } else if path.ends_with("/exceptions") {
        r#"{"exceptionHistory":{"entries":[{"stacktrace":"a.B: x\nCaused by: c.D: no broker\n"}]}}"#
            .to_owned()
    } else {
        r#"{"jid":"0a","name":"restless","state":"RESTARTING","vertices":[]}"#.to_owned()
    };
    Some(http("200 OK", &body))
}

#[test]
fn a_job_that_restarts_again_and_again_is_given_up() {
    let url = serve(restless).to_string();
    let said = complaint(&["job", &url, "--name", "restless", "--timeout", "60s"]);
    assert!(said.contains("restarts again and again") && said.contains("c.D: no broker"), "{said}");
}

#[test]
fn wrong_words_are_refused_with_what_is_right() {
    for (words, right) in [
        (&["probe", "flink", "https://h:8081"][..], "http://HOST:PORT"),
        (&["probe", "flink", "h"], "http://HOST:PORT"),
        (&["probe", "spark", "h:1"], "flink"),
        (&["probe", "flink", "h:1", "--timeout", "soon"], "50ms"),
        (&["sample", "flink", "h:1", "--every", "1ms", "--out", "x"], "at least 100ms"),
    ] {
        let output = gauge(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(right), "{words:?}: {said}");
    }
}

#[test]
fn the_columns_are_in_the_help() {
    let help = String::from_utf8(gauge(&["sample", "--help"]).stdout).expect("text");
    for column in ["time_unix_ms", "backpressured_ms_per_s", "checkpoint_ms", "task_managers_cpu_s"] {
        assert!(help.contains(column), "{column} is missing:\n{help}");
    }
}
