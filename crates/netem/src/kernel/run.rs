//! Having `tc` and `ip` do it.

use super::script::Abilities;
use crate::sys;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a batch of commands may take.
const BATCH_WAIT: Duration = Duration::from_secs(60);

/// Why the kernel path does not work here.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// A program is missing.
    #[error("{program} is missing; install the package iproute2")]
    NoProgram {
        /// `tc` or `ip`.
        program: &'static str,
    },
    /// The kernel lacks a discipline or a classifier.
    #[error(
        "this kernel has no {module}, which `{line}` needs: try `sudo modprobe {module}`; Ubuntu has it in \
         linux-modules-extra-$(uname -r), Fedora in kernel-modules-extra. The emulator (data path tap or packet) \
         needs none of it"
    )]
    NoModule {
        /// What is missing.
        module: String,
        /// What needs it.
        line: String,
    },
    /// A command was refused.
    #[error("`{line}` failed: {said}")]
    Refused {
        /// The command.
        line: String,
        /// What the program said.
        said: String,
    },
    /// A program could not be run, or said what it never says.
    #[error("running {program}: {source}")]
    Failed {
        /// `tc` or `ip`.
        program: &'static str,
        /// What went wrong.
        source: io::Error,
    },
}

/// Does what a [script](super::script) says, **in the calling thread's network namespace**.
///
/// # Errors
/// [`KernelError`] names the command that failed; those before it are done.
pub fn run(lines: &[String]) -> Result<(), KernelError> {
    for batch in lines.chunk_by(|one, next| program_of(one) == program_of(next)) {
        let program = program_of(&batch[0]);
        let commands: String = batch.iter().map(|line| format!("{}\n", without_program(line))).collect();
        let Output { success, error, .. } = execute(program, &["-batch", "-"], commands)?;
        if !success {
            return Err(refusal(batch, &error));
        }
    }
    Ok(())
}

/// Finds out whether the kernel has what a [script](super::script) needs, by trying each kind of discipline in a
/// network namespace of its own.
///
/// # Errors
/// [`KernelError`] names what is missing.
pub fn probe(lines: &[String]) -> Result<(), KernelError> {
    let mut kinds: Vec<&str> = lines.iter().filter_map(|line| kind_of(line)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let kinds = kinds.into_iter().filter(|kind| *kind != "htb" && *kind != "u32");
    let mut trial: Vec<String> = vec![
        "tc qdisc add dev lo root handle 1: htb".to_owned(),
        "tc class add dev lo parent 1: classid 1:1 htb rate 1000000bit".to_owned(),
        "tc filter add dev lo parent 1: protocol ip prio 1 u32 match ip dst 10.0.0.1/32 flowid 1:1"
            .to_owned(),
    ];
    for kind in kinds {
        trial.push(format!("tc qdisc replace dev lo parent 1:1 {kind}{}", smallest(kind)));
    }
    in_scratch_network(|| run(&trial))
}

/// Does `work` in a network namespace of its own.
fn in_scratch_network<T: Send>(
    work: impl FnOnce() -> Result<T, KernelError> + Send,
) -> Result<T, KernelError> {
    let failed = |source| KernelError::Failed { program: "tc", source };
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, || {
            sys::unshare_network().map_err(failed)?;
            work()
        });
        thread.map_err(failed)?.join().map_err(|_| failed(io::Error::other("a thread panicked")))?
    })
}

/// What a discipline must be told at least.
fn smallest(kind: &str) -> &'static str {
    match kind {
        "netem" => " delay 1us",
        "pfifo" => " limit 1",
        "bfifo" => " limit 1514b",
        _ => "",
    }
}

impl Abilities {
    /// Those of this machine, found out by trying.
    ///
    /// # Errors
    /// When `tc` is missing, or a network namespace is refused.
    pub fn of_machine() -> Result<Self, KernelError> {
        in_scratch_network(|| {
            let seeded = "qdisc add dev lo root netem delay 1us seed 47\n".to_owned();
            let taken = execute("tc", &["-batch", "-"], seeded)?.success;
            // A kernel without passes over what it does not know.
            let shown = execute("tc", &["qdisc", "show", "dev", "lo"], String::new())?.said;
            Ok(Self { seed: taken && shown.contains("seed 47") })
        })
    }
}

fn program_of(line: &str) -> &'static str {
    if line.starts_with("ip ") { "ip" } else { "tc" }
}

fn without_program(line: &str) -> &str {
    line.split_once(' ').map_or("", |(_, rest)| rest)
}

/// The discipline or classifier that a command names.
fn kind_of(line: &str) -> Option<&str> {
    let mut words = line.split(' ').skip(1);
    match words.next()? {
        "filter" => Some("u32"),
        "class" => Some("htb"),
        "qdisc" => {
            let mut words = words.skip(1);
            while let Some(word) = words.next() {
                match word {
                    "dev" | "parent" | "handle" => drop(words.next()),
                    "root" => {}
                    kind => return Some(kind),
                }
            }
            None
        }
        _ => None,
    }
}

/// Finds the line at which a batch ended, as in `Command failed -:3`.
fn refusal(batch: &[String], error: &str) -> KernelError {
    let number = error.rsplit_once("Command failed -:").and_then(|(_, rest)| {
        let digits = rest.trim_start().split(|character: char| !character.is_ascii_digit()).next()?;
        digits.parse::<usize>().ok()
    });
    let line = number.and_then(|number| batch.get(number.checked_sub(1)?)).unwrap_or(&batch[0]).clone();
    let said =
        error.lines().filter(|line| !line.starts_with("Command failed")).collect::<Vec<_>>().join("; ");
    let unknown = ["kind is unknown", "classifier not found", "Unknown qdisc", "No such file or directory"];
    if let Some(kind) = kind_of(&line).filter(|_| unknown.iter().any(|part| said.contains(part))) {
        let prefix = if kind == "u32" { "cls" } else { "sch" };
        return KernelError::NoModule { module: format!("{prefix}_{kind}"), line };
    }
    KernelError::Refused { line, said }
}

/// What a program left behind.
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) said: String,
    pub(super) error: String,
}

/// Runs a program in the calling thread's namespaces.
pub(super) fn execute(
    program: &'static str,
    arguments: &[&str],
    input: String,
) -> Result<Output, KernelError> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KernelError::NoProgram { program },
        _ => KernelError::Failed { program, source },
    })?;
    let ended = converse(&mut child, input);
    if ended.is_err() {
        // It may have ended in the meantime; either way it is waited for below.
        let _ = child.kill();
    }
    let status = child.wait();
    let failed = |source| KernelError::Failed { program, source };
    let (said, error) = ended.map_err(failed)?;
    Ok(Output { success: status.map_err(failed)?.success(), said, error })
}

/// Hands `input` over and takes all that is said, until both outputs are closed.
fn converse(child: &mut Child, input: String) -> io::Result<(String, String)> {
    let (sender, receiver) = mpsc::sync_channel(2);
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // The threads end when the child does, if need be by force.
    thread::Builder::new().spawn(move || {
        // A program that ends at an error does not read the rest.
        stdin.as_mut().map(|stdin| stdin.write_all(input.as_bytes()))
    })?;
    let outputs: [Option<Box<dyn Read + Send>>; 2] =
        [stdout.map(|output| Box::new(output) as _), stderr.map(|output| Box::new(output) as _)];
    for (number, output) in outputs.into_iter().enumerate() {
        let sender = sender.clone();
        thread::Builder::new().spawn(move || {
            let mut text = Vec::new();
            let read = output.map_or(Ok(0), |mut output| output.read_to_end(&mut text));
            // Nobody waits any longer if this fails.
            let _ = sender.send((number, read.map(|_| String::from_utf8_lossy(&text).into_owned())));
        })?;
    }
    let mut texts = [String::new(), String::new()];
    for _ in 0..2 {
        let received = receiver.recv_timeout(BATCH_WAIT);
        let (number, text) = received.map_err(|_| {
            io::Error::new(io::ErrorKind::TimedOut, format!("it did not end within {BATCH_WAIT:?}"))
        })?;
        texts[number] = text?;
    }
    let [said, error] = texts;
    Ok((said, error))
}
