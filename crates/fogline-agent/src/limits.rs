//! Every bound of the agent, in one place.

use std::time::Duration;

/// Longest captured standard output, and longest captured standard error, of one exec, in bytes. The rest is read
/// and thrown away, and [`ExecResult::truncated`](crate::ExecResult::truncated) is set.
pub const CAPTURE_BYTES_MAX: usize = 1 << 20;
/// Longest standard input of one exec or job, in bytes; longer input belongs into a file.
pub const STDIN_BYTES_MAX: usize = 2 << 20;
/// Execs that run at once on one host; more wait in a queue.
pub const EXECS_MAX: usize = 64;
/// Execs that wait on one host; the next one is refused.
pub const EXEC_QUEUE_MAX: usize = 4096;
/// Threads that serve short requests (files, jobs, samples) on one host.
pub const QUICK_THREADS_MAX: usize = 4;
/// Short requests that wait on one host; the next one is refused.
pub const QUICK_QUEUE_MAX: usize = 4096;
/// Probes that send at once from one host; more wait in a queue of the same length.
pub const PROBES_MAX: usize = 8;
/// Jobs that run at once on one host; the next one is refused.
pub const JOBS_RUNNING_MAX: usize = 512;
/// Jobs that are remembered on one host; beyond, the ones that ended first are forgotten.
pub const JOBS_KEPT_MAX: usize = 4096;
/// Size at which a running job's output file is cut to nothing, in bytes. What it held is lost.
pub const JOB_OUTPUT_BYTES_MAX: u64 = 64 << 20;
/// Longest tail of a job's output in a status, in bytes.
pub const JOB_TAIL_BYTES_MAX: usize = 64 << 10;
/// Size of the pieces in which files travel, in bytes. Files up to this size pass in one frame.
pub const CHUNK_BYTES: usize = 256 << 10;
/// Pieces (or small files) of one client call that are under way at once.
pub const CHUNKS_UNDER_WAY: usize = 8;
/// How long a process group that was asked to end (`SIGTERM`) may take before it is killed.
pub const END_GRACE: Duration = Duration::from_secs(2);
/// How long the output of a process that has exited is still read, in case a child holds its pipes.
pub const DRAIN_GRACE: Duration = Duration::from_millis(250);
/// Streams that are open at once on one host, with those whose process lives on after them; the next one is refused.
pub const STREAMS_MAX: usize = 256;
/// What each side of a stream may send on a channel before the other grants more, in bytes.
pub const WINDOW_BYTES: usize = 512 << 10;
/// Longest data of one part of a stream, in bytes.
pub const PART_BYTES_MAX: usize = 32 << 10;
/// How long a connection made on a host may take to each address that is tried.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Deadline of calls that take no time of their own.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// Flows that one probe port tells apart; packets of others are not counted.
pub const FLOWS_MAX: usize = 4096;
/// Delay samples kept per flow; later ones are counted but not kept.
pub const DELAY_SAMPLES_MAX: usize = 4096;
/// Longest life of a probe port.
pub const PROBE_LIFE_MAX: Duration = Duration::from_secs(120);
