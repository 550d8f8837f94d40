//! What runs on a host: exec, copy, fetch, jobs, samples, probes.
//!
//! Contract (the crate's author keeps these names and shapes; details may grow):
//!
//! - `serve(stream: UnixStream, role: Role) -> Result<(), AgentError>`: the agent's life; `Role::Init` reaps orphans as
//!   pid 1 of its host, `Role::Guest` (tests, remote hosts) does not. Ends when the peer closes the stream.
//! - `Client::new(stream: UnixStream, host: &str) -> io::Result<Client>`: cheap to clone, usable from many threads at
//!   once (requests carry ids and are answered out of order). All calls have deadlines and return
//!   `Result<_, AgentError>`; `AgentError::Lost` when the agent is gone.
//! - `Client::exec(&self, &ExecRequest) -> ExecResult`, with
//!   `ExecRequest { argv: Vec<String>, environment: Vec<(String, String)>, directory: Option<PathBuf>, stdin: Vec<u8>, timeout: Duration }` and
//!   `ExecResult { exit: Exit, stdout: Vec<u8>, stderr: Vec<u8>, truncated: bool, elapsed: Duration }`,
//!   `enum Exit { Code(i32), Signal(i32), TimedOut }` (`Exit::rc()` as a shell would say it). Environment is added to
//!   the agent's own. A time-out kills the whole process group.
//! - `Client::start_job(&self, &JobRequest { label: String, exec: ExecRequest }) -> JobId` (output goes to files on the
//!   host, bounded), `Client::job(JobId) -> JobStatus { label, exit: Option<Exit>, stdout_tail, stderr_tail, elapsed }`,
//!   `Client::jobs() -> Vec<JobStatus>`, `Client::end_job(JobId, grace: Duration)`.
//! - `Client::put_file(&self, source: &Path, destination: &Path, mode: Option<u32>) -> Put { changed: bool, bytes: u64 }`
//!   (atomic, checksum-compared), `Client::put_bytes(&self, &[u8], destination, mode)`, `Client::put_directory(&self, source: &Path,
//!   destination: &Path, contents_only: bool)`, `Client::get_file(&self, source: &Path, destination: &Path) -> u64`,
//!   `Client::stat(&self, &Path) -> Option<FileStat>`, `Client::make_directory(&self, &Path, mode)`,
//!   `Client::remove(&self, &Path)`.
//! - `Client::start_samples(&self, csv: &Path, interval: Duration)`: one CSV line per interval on the host.
//! - `Client::probe_*`: UDP delay, loss and rate probes between hosts.
