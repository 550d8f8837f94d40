//! Commands that go on. One thread, the warden, watches all of them: ends, limits, sizes of output files.

use super::children::{Children, Process};
use super::run::{command_of, exit_of, start_failure};
use crate::error::{Context as _, Failure};
use crate::exec::{ExecRequest, Exit};
use crate::job::{JobId, JobStatus};
use crate::limits::{END_GRACE, JOB_OUTPUT_BYTES_MAX, JOB_TAIL_BYTES_MAX, JOBS_KEPT_MAX, JOBS_RUNNING_MAX};
use crate::message::JobHeader;
use crate::sys::process::{SIGKILL, SIGTERM, group_exists, signal_group};
use crate::sys::{Interest, Waker, wait_ready};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the sizes of output files are looked at.
const SIZE_LOOK: Duration = Duration::from_secs(1);
/// How often a group whose leader has ended is looked at, when it was asked to end.
const LINGER_LOOK: Duration = Duration::from_millis(20);
/// How long a killed job may take to vanish.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// Tails in one answer together, in bytes.
const TAILS_BYTES_MAX: usize = 2 << 20;

pub(super) struct Jobs {
    children: Arc<Children>,
    directory: PathBuf,
    table: Mutex<Table>,
    ended: Condvar,
    waker: Waker,
}

#[derive(Default)]
struct Table {
    next: u64,
    jobs: BTreeMap<JobId, Job>,
    warden: bool,
}

struct Job {
    label: String,
    pid: i32,
    started: Instant,
    state: State,
    stdout: PathBuf,
    stderr: PathBuf,
    cut: bool,
}

enum State {
    /// It runs; at `step_at` the next step of its ending is due.
    Running {
        process: Process,
        ending: Ending,
        step_at: Instant,
    },
    /// Its leader has ended after it was asked to; others of the group still tidy up, until `kill_at`.
    Lingering {
        exit: Exit,
        kill_at: Instant,
    },
    Ended {
        exit: Exit,
        elapsed: Duration,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    NotAsked,
    /// Asked to end because its limit has passed (`late`) or the runner wants it; then killed.
    Asked {
        late: bool,
    },
    Killed {
        late: bool,
    },
}

impl Jobs {
    pub(super) fn new(children: Arc<Children>, directory: PathBuf) -> std::io::Result<Arc<Self>> {
        let (table, ended) = (Mutex::default(), Condvar::new());
        Ok(Arc::new(Self { children, directory, table, ended, waker: Waker::new()? }))
    }

    pub(super) fn start(self: &Arc<Self>, label: String, request: &ExecRequest) -> Result<JobId, Failure> {
        let id = self.reserve()?;
        let name = format!("{}-{id}", std::process::id());
        let stdout = self.directory.join(format!("{name}.out"));
        let stderr = self.directory.join(format!("{name}.err"));
        fs::create_dir_all(&self.directory).at("make directory", &self.directory)?;
        let mut command = command_of(request)?;
        command.stdin(self.input_file(&name, &request.stdin)?);
        command.stdout(output_file(&stdout)?).stderr(output_file(&stderr)?);
        let process = self.children.spawn(&mut command).map_err(|error| start_failure(request, &error))?;
        let started = Instant::now();
        let pid = process.pid;
        let step_at = started + request.timeout;
        let state = State::Running { process, ending: Ending::NotAsked, step_at };
        self.locked().jobs.insert(id, Job { label, pid, started, state, stdout, stderr, cut: false });
        self.waker.wake();
        Ok(id)
    }

    pub(super) fn status(&self, id: JobId) -> Result<(Vec<JobHeader>, Vec<u8>), Failure> {
        let status = self.locked().status(id)?;
        Ok(with_tails(vec![status], JOB_TAIL_BYTES_MAX))
    }

    pub(super) fn list(&self) -> (Vec<JobHeader>, Vec<u8>) {
        let table = self.locked();
        let statuses: Vec<_> = table.jobs.iter().map(|(id, job)| job.status(*id)).collect();
        drop(table);
        let tail_max = (TAILS_BYTES_MAX / 2 / statuses.len().max(1)).min(4096);
        with_tails(statuses, tail_max)
    }

    pub(super) fn wait(&self, id: JobId, timeout: Duration) -> Result<(Vec<JobHeader>, Vec<u8>), Failure> {
        self.wait_ended(id, Instant::now() + timeout)?;
        self.status(id)
    }

    pub(super) fn end(&self, id: JobId, grace: Duration) -> Result<(Vec<JobHeader>, Vec<u8>), Failure> {
        let mut table = self.locked();
        let job = table.jobs.get_mut(&id).ok_or_else(|| unknown(id))?;
        if let State::Running { process, ending: ending @ Ending::NotAsked, step_at } = &mut job.state {
            let _ = process.signal(SIGTERM);
            *ending = Ending::Asked { late: false };
            *step_at = Instant::now() + grace;
        }
        drop(table);
        self.waker.wake();
        if !self.wait_ended(id, Instant::now() + grace + KILL_PATIENCE)? {
            return Err(Failure::new("end a job", format!("job {id} does not end even when killed")));
        }
        self.status(id)
    }

    /// The next number, after the checks that need no process yet; also starts the warden.
    fn reserve(self: &Arc<Self>) -> Result<JobId, Failure> {
        let mut table = self.locked();
        let running = table.jobs.values().filter(|job| !job.has_ended()).count();
        if running >= JOBS_RUNNING_MAX {
            let message = format!("{running} jobs run on this host already, the most its agent takes");
            return Err(Failure::new("start a job", message));
        }
        while table.jobs.len() >= JOBS_KEPT_MAX {
            let Some(oldest) = table.jobs.iter().find(|(_, job)| job.has_ended()).map(|(id, _)| *id) else {
                break;
            };
            table.jobs.remove(&oldest);
        }
        if !table.warden {
            let watched = Arc::clone(self);
            let warden = std::thread::Builder::new().name("warden".to_owned());
            warden.spawn(move || watched.watch()).during("start a job")?;
            table.warden = true;
        }
        table.next += 1;
        Ok(JobId(table.next))
    }

    fn input_file(&self, name: &str, content: &[u8]) -> Result<Stdio, Failure> {
        if content.is_empty() {
            return Ok(Stdio::null());
        }
        let path = self.directory.join(format!("{name}.in"));
        let mut file = File::create(&path).at("create", &path)?;
        file.write_all(content).at("write", &path)?;
        let file = File::open(&path).at("read", &path)?;
        // The open file is all that the job needs.
        fs::remove_file(&path).at("remove", &path)?;
        Ok(file.into())
    }

    /// Waits until a job has ended; whether it has.
    fn wait_ended(&self, id: JobId, limit: Instant) -> Result<bool, Failure> {
        let mut table = self.locked();
        loop {
            if table.jobs.get(&id).ok_or_else(|| unknown(id))?.has_ended() {
                return Ok(true);
            }
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            table = self.ended.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn locked(&self) -> MutexGuard<'_, Table> {
        // A poisoned lock only says that another thread panicked; the table is sound after every statement.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The warden's life, as long as the process.
    fn watch(&self) {
        let mut sizes_at = Instant::now() + SIZE_LOOK;
        loop {
            let (watched, wake_at) = self.locked().watched(sizes_at);
            let mut interests: Vec<_> =
                watched.iter().map(|(_, ended)| Interest::Readable(ended.as_fd())).collect();
            interests.push(Interest::Readable(self.waker.as_fd()));
            let timeout = wake_at.saturating_duration_since(Instant::now());
            // It can only fail for want of memory; then the steps below still come, a little later.
            let ready = wait_ready(&interests, timeout).unwrap_or_default();
            self.waker.clear();
            let mut table = self.locked();
            for ((id, _), _) in watched.iter().zip(ready).filter(|(_, ready)| *ready) {
                if let Some(job) = table.jobs.get_mut(id) {
                    job.leader_ended(&self.children);
                }
            }
            let now = Instant::now();
            table.jobs.values_mut().for_each(|job| job.take_step(now));
            if now >= sizes_at {
                table.jobs.values_mut().for_each(Job::cut_output);
                sizes_at = now + SIZE_LOOK;
            }
            drop(table);
            self.ended.notify_all();
        }
    }
}

impl Table {
    fn status(&self, id: JobId) -> Result<JobStatus, Failure> {
        self.jobs.get(&id).map(|job| job.status(id)).ok_or_else(|| unknown(id))
    }

    /// What the warden waits for, and until when.
    fn watched(&self, sizes_at: Instant) -> (Vec<(JobId, Arc<OwnedFd>)>, Instant) {
        let mut wake_at = Instant::now() + Duration::from_secs(3600);
        let mut watched = Vec::new();
        for (id, job) in &self.jobs {
            match &job.state {
                State::Running { process, step_at, .. } => {
                    watched.push((*id, process.shared_descriptor()));
                    wake_at = wake_at.min(*step_at).min(sizes_at);
                }
                State::Lingering { .. } => wake_at = wake_at.min(Instant::now() + LINGER_LOOK),
                State::Ended { .. } => {}
            }
        }
        (watched, wake_at)
    }
}

impl Job {
    fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    fn status(&self, id: JobId) -> JobStatus {
        let (exit, elapsed) = match &self.state {
            State::Ended { exit, elapsed } => (Some(*exit), *elapsed),
            State::Running { .. } | State::Lingering { .. } => (None, self.started.elapsed()),
        };
        JobStatus {
            id,
            label: self.label.clone(),
            pid: self.pid,
            exit,
            stdout_tail: Vec::new(),
            stderr_tail: Vec::new(),
            stdout_path: self.stdout.clone(),
            stderr_path: self.stderr.clone(),
            cut: self.cut,
            elapsed,
        }
    }

    fn end(&mut self, exit: Exit) {
        self.state = State::Ended { exit, elapsed: self.started.elapsed() };
    }

    fn leader_ended(&mut self, children: &Children) {
        let State::Running { process, ending, step_at } = &mut self.state else { return };
        // A lost status cannot be told; a shell says 255 then.
        let exit = children.collect(process).map_or(Exit::Code(255), exit_of);
        match *ending {
            Ending::NotAsked => self.end(exit),
            Ending::Asked { late } => {
                let exit = if late { Exit::TimedOut } else { exit };
                self.state = State::Lingering { exit, kill_at: *step_at };
            }
            Ending::Killed { late } => self.end(if late { Exit::TimedOut } else { exit }),
        }
    }

    fn take_step(&mut self, now: Instant) {
        match &mut self.state {
            State::Running { process, ending, step_at } if now >= *step_at => match *ending {
                Ending::NotAsked => {
                    let _ = process.signal(SIGTERM);
                    *ending = Ending::Asked { late: true };
                    *step_at = now + END_GRACE;
                }
                Ending::Asked { late } | Ending::Killed { late } => {
                    let _ = process.signal(SIGKILL);
                    *ending = Ending::Killed { late };
                    *step_at = now + SIZE_LOOK;
                }
            },
            State::Lingering { exit, kill_at } => {
                let exit = *exit;
                if now >= *kill_at {
                    let _ = signal_group(self.pid, SIGKILL);
                    self.end(exit);
                } else if !group_exists(self.pid) {
                    self.end(exit);
                }
            }
            State::Running { .. } | State::Ended { .. } => {}
        }
    }

    /// Cuts output files that have grown too long; they are open for appending, so the job goes on at the beginning.
    fn cut_output(&mut self) {
        if self.has_ended() {
            return;
        }
        for path in [&self.stdout, &self.stderr] {
            let too_long = fs::metadata(path).is_ok_and(|it| it.len() > JOB_OUTPUT_BYTES_MAX);
            if too_long && OpenOptions::new().write(true).truncate(true).open(path).is_ok() {
                self.cut = true;
            }
        }
    }
}

fn unknown(id: JobId) -> Failure {
    Failure::new("find the job", format!("this host's agent knows no job {id}"))
}

fn output_file(path: &Path) -> Result<File, Failure> {
    // Whatever an earlier agent left there.
    File::create(path).at("create", path)?;
    OpenOptions::new().append(true).open(path).at("open", path)
}

/// Headers, and the tails of the output files one after the other.
fn with_tails(statuses: Vec<JobStatus>, tail_max: usize) -> (Vec<JobHeader>, Vec<u8>) {
    let mut payload = Vec::new();
    let headers = statuses
        .into_iter()
        .map(|status| {
            let stdout_bytes = add_tail(&mut payload, &status.stdout_path, tail_max);
            let stderr_bytes = add_tail(&mut payload, &status.stderr_path, tail_max);
            JobHeader { status, stdout_bytes, stderr_bytes }
        })
        .collect();
    (headers, payload)
}

/// Adds the last bytes of a file; how many. A file that the job has removed has none.
fn add_tail(payload: &mut Vec<u8>, path: &Path, tail_max: usize) -> usize {
    let before = payload.len();
    if let Ok(mut file) = File::open(path) {
        let end = file.metadata().map_or(0, |metadata| metadata.len());
        if file.seek(SeekFrom::Start(end.saturating_sub(tail_max as u64))).is_ok() {
            let _ = file.take(tail_max as u64).read_to_end(payload);
        }
    }
    payload.len() - before
}
