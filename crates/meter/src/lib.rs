//! Latency, throughput and frame accounts: record, write, read.
//!
//! Contract (the crate's author keeps these names and shapes; details may grow). One process of the application
//! writes three files into its `--metrics` directory, `<instance>` being unique in the experiment:
//!
//! - `<role>-<instance>.csv`, one line per second: `second,frames_in,frames_out,dropped,bytes_in,bytes_out,latency_count,latency_p50_ms,latency_p99_ms,latency_max_ms,cpu_ms,rss_kib`
//!   (`second` is Unix time; CPU is this process's within that second);
//! - `<role>-<instance>.hlog`, an HDR histogram interval log (format 1.3, nanoseconds, one interval per second or fewer);
//! - `<role>-<instance>.account.json`, the final account (also rewritten every few seconds while it runs):
//!   `{"role", "instance", "complete": bool, "started_unix_ns", "ended_unix_ns", "cpu_seconds", "rss_kib_max",
//!   "latency_of": "what the histogram measures", "cameras": {"<camera>": {"in": n, "out": n, "dropped": {"<reason>": n},
//!   "duplicates": n}}, "facts": {"<free key>": value}}`.
//!   Invariant per camera: `in = out + sum(dropped)`; `duplicates` are extra and not in `in`.
//!
//! Roles: `camera`, `gateway`, `job`, `in-sink`, `out-sink`. The ledger follows from the accounts alone:
//! camera.out = gateway.in, gateway.out = in-sink.in = job.in, job.out = out-sink.in (frames counted in windows).
//!
//! Types: `Latency` (records `Duration`s; merges; percentiles with counts), `Recorder` (owns the three files, `tick()`ed by
//! its owner), `Account`, `CameraAccount`, and readers for all three files.
