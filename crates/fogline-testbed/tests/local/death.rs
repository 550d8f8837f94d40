//! Ends of testbeds: in order, and by SIGKILL at any moment.

use crate::setting::{self, Setting, plan, succeed};
use crate::traces::{self, processes, wait_for};
use fogline_testbed::LocalTestbed;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

const HOSTS: usize = 6;

pub(crate) fn release_leaves_nothing(setting: &Setting) {
    let testbed = setting.deploy(&plan(HOSTS));
    let mut namespaces = Vec::new();
    for agent in testbed.agents() {
        // A task that leaves its session and would outlive its parent.
        succeed(agent, "setsid sh -c 'trap \"\" TERM HUP; sleep 1000' > /dev/null 2>&1 < /dev/null &");
        let links = succeed(agent, "for kind in net mnt pid uts ipc; do readlink /proc/self/ns/$kind; done");
        namespaces.extend(links.lines().map(str::to_owned));
    }
    assert_eq!(namespaces.len(), HOSTS * 5);
    assert!(traces::in_use(&namespaces));
    testbed.release().unwrap();
    // Released means gone, not going.
    assert!(processes(&format!("{}\0", setting.marker())).is_empty());
    assert!(!traces::in_use(&namespaces));
    setting.assert_clear();
}

pub(crate) fn a_testbed_outlives_its_thread(setting: &Setting) {
    let deploy = || LocalTestbed::deploy(&plan(2), &setting.options()).unwrap();
    let testbed = std::thread::scope(|scope| scope.spawn(deploy).join().unwrap());
    succeed(&testbed.agents()[0], "ping -c 1 -W 5 fog-1");
    drop(testbed);
    setting.assert_clear();
}

/// The runner that is killed: deploys with the marker it is given, says what it does, and releases when told.
pub(crate) fn runner(arguments: &[String]) -> ExitCode {
    let say = |word: &str| {
        let mut output = std::io::stdout().lock();
        writeln!(output, "{word}").and_then(|()| output.flush()).unwrap();
    };
    say("deploying");
    let testbed = LocalTestbed::deploy(&plan(HOSTS), &setting::options(&arguments[0])).unwrap();
    for agent in testbed.agents() {
        succeed(agent, &format!("setsid sleep 1000 {} > /dev/null 2>&1 < /dev/null &", arguments[0]));
    }
    say("up");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    say("releasing");
    testbed.release().unwrap();
    say("released");
    ExitCode::SUCCESS
}

struct Runner {
    child: Child,
    words: Lines<BufReader<ChildStdout>>,
}

impl Runner {
    fn start(setting: &Setting) -> Self {
        let _ = setting.options();
        let mut child = Command::new("/proc/self/exe")
            .args(["__runner", &setting.marker()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let words = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, words }
    }

    fn await_word(&mut self, word: &str) {
        let said = self.words.next().map(Result::unwrap);
        assert_eq!(said.as_deref(), Some(word));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Kills when so many processes of the testbed exist that the lab, its first process, some or all hosts are there.
pub(crate) fn runner_killed_while_deploying(setting: &Setting) {
    for moment in 0..=HOSTS + 2 {
        let mut runner = Runner::start(setting);
        runner.await_word("deploying");
        let marker = format!("{}\0", setting.marker());
        wait_for("processes start", || (processes(&marker).len() > moment).then_some(()));
        runner.kill();
        setting.assert_clear();
    }
}

pub(crate) fn runner_killed_later(setting: &Setting) {
    let mut runner = Runner::start(setting);
    runner.await_word("deploying");
    runner.await_word("up");
    runner.kill();
    setting.assert_clear();

    for left in [HOSTS, HOSTS / 2, 1] {
        let mut runner = Runner::start(setting);
        runner.await_word("deploying");
        runner.await_word("up");
        runner.child.stdin.take().unwrap().write_all(b"\n").unwrap();
        runner.await_word("releasing");
        let marker = format!("{}\0", setting.marker());
        wait_for("processes end", || (processes(&marker).len() <= left).then_some(()));
        runner.kill();
        setting.assert_clear();
    }
}

pub(crate) fn lab_killed(setting: &Setting) {
    // The lab's processes in the order of their numbers: the one that waits, the lab proper, the hosts.
    for victim in 0..2 {
        let testbed = setting.deploy(&plan(HOSTS));
        let mut victims = processes(&format!("{}\0", setting.marker()));
        victims.sort_by_key(|pid| starting_order(*pid));
        assert_eq!(victims.len(), HOSTS + 2);
        kill(victims[victim]);
        setting.assert_clear();
        assert!(testbed.network().is_err());
        assert!(testbed.rest().unwrap_err().to_string().contains("the lab process"));
        let error = testbed.release().unwrap_err().to_string();
        assert!(error.contains("the lab process has ended"), "{error}");
    }
}

pub(crate) fn host_killed(setting: &Setting) {
    let testbed = setting.deploy(&plan(3));
    let mut victims = processes(&format!("{}\0", setting.marker()));
    victims.sort_by_key(|pid| starting_order(*pid));
    succeed(&testbed.agents()[0], "ping -c 1 -W 5 fog-1");
    kill(victims[2]);
    wait_for("the agent is lost", || testbed.agents()[0].lost());
    succeed(&testbed.agents()[2], "ping -c 1 -W 5 fog-1");
    assert!(testbed.network().is_ok());
    testbed.release().unwrap();
    setting.assert_clear();
}

/// When a process started and its number: field 22 of /proc/PID/stat, counted from the state after the name.
fn starting_order(pid: u32) -> (u64, u32) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = stat.rsplit_once(") ").unwrap().1;
    (rest.split(' ').nth(19).unwrap().parse().unwrap(), pid)
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}
