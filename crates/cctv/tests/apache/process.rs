//! Programs that a test starts, kills and starts again.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::until;

/// Options of a Java machine that starts fast, burns little, and tells when it dies.
pub(crate) const JVM: [&str; 4] =
    ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+ExitOnOutOfMemoryError"];

/// A program of this test. It is killed when this value goes, and by the kernel when the test's thread goes.
pub(crate) struct Process {
    name: String,
    program: String,
    args: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A program that does not run yet; all it says goes to `log`, all its runs after each other.
    pub(crate) fn new(name: &str, program: &str, args: Vec<String>, log: &Path) -> Self {
        Self { name: name.to_owned(), program: program.to_owned(), args, log: log.to_owned(), child: None }
    }

    /// Starts it.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", &self.program])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name)));
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has died by itself is as dead.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).id()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; the exit code, -1 for a signal.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let mut child = self.child.take().unwrap_or_else(|| panic!("{} does not run", self.name));
        let mut code = None;
        until(&format!("the end of {}\n{}", self.name, self.said()), || {
            code = child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|status| status.code()).unwrap_or(-1)
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Waits for a condition, and fails the test with the program's last words when it dies before.
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        until(what, || {
            assert!(self.runs(), "{} died: {what}\n{}", self.name, self.said());
            condition()
        });
    }

    /// The end of what it said.
    pub(crate) fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(6000)..]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the last words of {} ---\n{}", self.name, self.said());
        }
    }
}

/// Ports that were free a moment ago, all different.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    std::array::from_fn(|number| held[number].local_addr().unwrap().port())
}

/// Whether somebody listens at `address`.
pub(crate) fn accepts(address: &str) -> bool {
    TcpStream::connect(address).is_ok()
}
