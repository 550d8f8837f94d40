//! Processes that somebody talks to.

use crate::{Guest, is_alive, until, with_guest};
use fogline_agent::limits::{PART_BYTES_MAX, WINDOW_BYTES};
use fogline_agent::stream::{Channel, Credit, Owed, Part, ProcessRequest, Terminal, TerminalSize, cost};
use fogline_agent::{Client, ExecRequest, Exit, Stream};
use std::sync::mpsc;
use std::time::Duration;

fn shell(script: &str) -> ProcessRequest {
    ProcessRequest { argv: ["sh", "-c", script].map(str::to_owned).to_vec(), ..ProcessRequest::default() }
}

fn in_terminal(script: &str, columns: u16, rows: u16) -> ProcessRequest {
    let terminal = Terminal { name: "vt100".to_owned(), size: TerminalSize { columns, rows } };
    ProcessRequest { terminal: Some(terminal), ..shell(script) }
}

/// What came from a host until the last part, with credit granted for all of it.
#[derive(Default)]
struct Taken {
    output: Vec<u8>,
    error: Vec<u8>,
    ended: Vec<Channel>,
    input: Credit,
    owed: [Owed; 2],
    last: Option<Part>,
}

impl Taken {
    /// Takes parts until `enough`, or the last.
    fn until(&mut self, stream: &Stream, enough: impl Fn(&Self) -> bool) {
        while self.last.is_none() && !enough(self) {
            let (part, payload) = stream.next().expect("a last part comes before the end");
            match part {
                Part::Data(channel) => {
                    let (bytes, index) = match channel {
                        Channel::Error => (&mut self.error, 1),
                        _ => (&mut self.output, 0),
                    };
                    bytes.extend_from_slice(&payload);
                    if let Some(granted) = self.owed[index].passed_on(payload.len()) {
                        stream.send(&Part::Credit(channel, granted), Vec::new()).unwrap();
                    }
                }
                Part::Credit(Channel::Input, bytes) => self.input.grant(bytes),
                Part::End(channel) => self.ended.push(channel),
                last if last.is_last() => self.last = Some(last),
                other => panic!("{other:?} from a host"),
            }
        }
    }

    fn all(stream: &Stream) -> Self {
        let mut taken = Self::default();
        taken.until(stream, |_| false);
        taken
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

fn say(stream: &Stream, text: &str) {
    stream.send(&Part::Data(Channel::Input), text.as_bytes().to_vec()).unwrap();
}

/// Waits for a line of numbers, and says it.
fn numbers(stream: &Stream, taken: &mut Taken) -> Vec<i32> {
    taken.until(stream, |taken| taken.output.ends_with(b"\n"));
    taken.text().split_whitespace().map(|word| word.parse().expect("a number")).collect()
}

#[test]
fn a_process_has_three_streams_and_an_exit_code() {
    with_guest(|guest| {
        let stream = guest.client.open_process(&shell("cat; echo to error >&2; exit 7")).unwrap();
        say(&stream, "to output");
        stream.send(&Part::End(Channel::Input), Vec::new()).unwrap();
        let taken = Taken::all(&stream);
        assert_eq!((taken.text().as_str(), taken.error.as_slice()), ("to output", &b"to error\n"[..]));
        assert_eq!(taken.last, Some(Part::Over(Some(Exit::Code(7)))));
        assert_eq!(taken.ended.len(), 2);
        let stream = guest.client.open_process(&shell("kill -KILL $$")).unwrap();
        assert_eq!(Taken::all(&stream).last, Some(Part::Over(Some(Exit::Signal(9)))));
        let nobody =
            ProcessRequest { argv: vec!["/no/such/program".to_owned()], ..ProcessRequest::default() };
        let error = guest.client.open_process(&nobody).unwrap_err().to_string();
        assert!(error.contains("/no/such/program") && error.contains("No such file"), "{error}");
    });
}

#[test]
fn much_passes_both_ways_and_what_is_not_read_is_no_matter() {
    with_guest(|guest| {
        let stream = guest.client.open_process(&shell("cat")).unwrap();
        let mut taken = Taken::default();
        let all: Vec<u8> = (0..24_u32 << 20).map(|at| (at % 251) as u8).collect();
        let mut rest = &all[..];
        while !rest.is_empty() {
            taken.until(&stream, |taken| taken.input.room() > 0);
            let (now, later) = rest.split_at(taken.input.room().min(rest.len()));
            taken.input.spend(now.len());
            stream.send(&Part::Data(Channel::Input), now.to_vec()).unwrap();
            rest = later;
        }
        stream.send(&Part::End(Channel::Input), Vec::new()).unwrap();
        taken.until(&stream, |_| false);
        assert!(taken.output == all, "{} bytes came back of {}", taken.output.len(), all.len());

        let stream = guest.client.open_process(&shell("exec <&-; sleep 0.2; echo done")).unwrap();
        let mut taken = Taken::default();
        for _ in 0..100 {
            taken.until(&stream, |taken| taken.input.room() > 0);
            if taken.last.is_some() {
                break;
            }
            let room = taken.input.room();
            taken.input.spend(room);
            stream.send(&Part::Data(Channel::Input), vec![0; room]).unwrap();
        }
        taken.until(&stream, |_| false);
        assert_eq!((taken.text().as_str(), taken.last), ("done\n", Some(Part::Over(Some(Exit::Code(0))))));
    });
}

#[test]
fn a_taker_that_stalls_stops_its_own_stream_alone() {
    with_guest(|guest| {
        let stalled = guest.client.open_process(&shell("exec yes")).unwrap();
        let fast = guest.client.open_process(&shell("head -c 20000000 /dev/zero")).unwrap();
        assert_eq!(Taken::all(&fast).output.len(), 20_000_000);
        assert_eq!(guest.client.exec(&ExecRequest::new(["echo", "hello"])).unwrap().stdout, b"hello\n");
        // Without a grant, so much comes as a window has, and then nothing; with one, it goes on.
        let mut came = 0;
        while came + cost(PART_BYTES_MAX) <= WINDOW_BYTES {
            let (part, payload) = stalled.next().unwrap();
            assert_eq!(part, Part::Data(Channel::Output));
            came += cost(payload.len());
        }
        assert!(came <= WINDOW_BYTES, "{came} bytes came");
        stalled.send(&Part::Credit(Channel::Output, WINDOW_BYTES / 2), Vec::new()).unwrap();
        let mut more = 0;
        while more + cost(PART_BYTES_MAX) <= WINDOW_BYTES / 2 {
            more += cost(stalled.next().unwrap().1.len());
        }
        drop(stalled);
    });
}

#[test]
fn input_beyond_what_was_granted_breaks_the_stream() {
    with_guest(|guest| {
        let stream = guest.client.open_process(&shell("exec sleep 1000")).unwrap();
        for _ in 0..2 * WINDOW_BYTES / PART_BYTES_MAX + 4 {
            stream.send(&Part::Data(Channel::Input), vec![0; PART_BYTES_MAX]).unwrap();
        }
        let last = Taken::all(&stream).last;
        assert!(matches!(&last, Some(Part::Reset(reason)) if reason.contains("granted")), "{last:?}");
    });
}

#[test]
fn a_terminal_has_a_size_that_follows_and_one_output() {
    with_guest(|guest| {
        let script = "trap 'stty size' WINCH; test -t 0 && test -t 2 && echo $TERM; stty size; echo error >&2; \
                  while ! read line; do :; done; echo got $line; exit 3";
        let stream = guest.client.open_process(&in_terminal(script, 91, 33)).unwrap();
        let mut taken = Taken::default();
        let shows = |taken: &Taken, word: &str| taken.text().contains(word);
        taken.until(&stream, |taken| shows(taken, "error"));
        assert_eq!(taken.text(), "vt100\r\n33 91\r\nerror\r\n");
        stream.send(&Part::Resize(TerminalSize { columns: 120, rows: 40 }), Vec::new()).unwrap();
        taken.until(&stream, |taken| shows(taken, "40 120"));
        say(&stream, "hello\r");
        taken.until(&stream, |_| false);
        assert!(taken.text().ends_with("got hello\r\n"), "{:?}", taken.text());
        assert_eq!((taken.last, taken.error.len()), (Some(Part::Over(Some(Exit::Code(3)))), 0));
        // The end of the input is the terminal's own, and Ctrl-C reaches who is in the foreground.
        let stream = guest.client.open_process(&in_terminal("cat; exit 5", 80, 24)).unwrap();
        stream.send(&Part::End(Channel::Input), Vec::new()).unwrap();
        assert_eq!(Taken::all(&stream).last, Some(Part::Over(Some(Exit::Code(5)))));
        let stream = guest.client.open_process(&in_terminal("echo ready; exec sleep 1000", 80, 24)).unwrap();
        let mut taken = Taken::default();
        taken.until(&stream, |taken| shows(taken, "ready"));
        say(&stream, "\x03");
        taken.until(&stream, |_| false);
        assert_eq!(taken.last, Some(Part::Over(Some(Exit::Signal(2)))), "{:?}", taken.text());
    });
}

#[test]
fn who_is_hung_up_ends_unless_it_detached_itself() {
    with_guest(|guest| {
        let script = "sleep 1000 & echo $$ $!; exec 2>/dev/null; wait";
        let detached =
            "nohup sleep 1000 >/dev/null 2>&1 & a=$!; setsid sleep 1001 >/dev/null 2>&1 & echo $a $!; wait";
        for terminal in [false, true] {
            let request = |script| if terminal { in_terminal(script, 80, 24) } else { shell(script) };
            let stream = guest.client.open_process(&request(script)).unwrap();
            let pids = numbers(&stream, &mut Taken::default());
            assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
            drop(stream);
            until("the end of all", || !pids.iter().any(|pid| is_alive(*pid)));
            let stream = guest.client.open_process(&request(detached)).unwrap();
            let pids = numbers(&stream, &mut Taken::default());
            let ignores = |pid: i32| {
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
                u64::from_str_radix(ignored.trim(), 16).unwrap() & 1 == 1
            };
            let alone = |pid: i32| {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                stat.rsplit_once(')')
                    .is_some_and(|(_, rest)| rest.split_whitespace().nth(3) == Some(&pid.to_string()))
            };
            until("both are detached", || ignores(pids[0]) && alone(pids[1]));
            drop(stream);
            // The next one is served after the hang-up of this one was.
            let after = guest.client.open_process(&request("exit 0")).unwrap();
            assert_eq!(Taken::all(&after).last, Some(Part::Over(Some(Exit::Code(0)))));
            assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
            let kill = ["kill".to_owned(), "-9".to_owned(), pids[0].to_string(), pids[1].to_string()];
            assert!(guest.client.exec(&ExecRequest::new(kill)).unwrap().exit.is_success());
        }
    });
}

#[test]
fn what_a_process_leaves_in_its_session_ends_with_it() {
    with_guest(|guest| {
        let stream = guest.client.open_process(&shell("sleep 1000 & echo $!; exit 4")).unwrap();
        let taken = Taken::all(&stream);
        assert_eq!(taken.last, Some(Part::Over(Some(Exit::Code(4)))));
        let left: i32 = taken.text().trim().parse().unwrap();
        until("the end of what was left", || !is_alive(left));
    });
}

#[test]
fn sessions_end_with_the_agent_and_the_taker_learns_of_it() {
    let guest = Guest::start();
    let stream =
        guest.client.open_process(&in_terminal("trap '' HUP; echo $$; while :; do sleep 1; done", 80, 24));
    let stream = stream.unwrap();
    let pid = numbers(&stream, &mut Taken::default())[0];
    let (ended, learned) = mpsc::channel();
    let client: Client = guest.client.clone();
    let kept = guest.agent;
    drop((guest.client, client));
    // The stream holds the connection; it ends with it.
    std::thread::spawn(move || {
        drop(stream);
        kept.join().unwrap();
        ended.send(()).unwrap();
    });
    learned.recv_timeout(Duration::from_secs(20)).expect("the agent ends");
    until("the end of who ignored the hang-up", || !is_alive(pid));
}
