//! Plan to live hosts and links, and their release.
//!
//! [`LocalTestbed`] turns every host of a plan into a set of Linux namespaces on this machine and joins the hosts by
//! a user-space network:
//!
//! ```text
//! runner (any thread) ── socketpair ── fogline __lab          waits for the lab, dies with the runner
//!    │                                  └─ the lab, pid 1 of its own namespaces: private store, link emulator
//!    │                                      ├─ host 0, pid 1 of its own namespaces: agent ── tasks
//!    └── one socketpair per host ───────────┼─ host 1 ...
//! ```
//!
//! Nothing of it can outlive the runner: every process is in a pid namespace whose first process is told to die with
//! its parent, every file that a host writes is in a file system that only those processes see, and every device
//! belongs to a namespace that only they hold. So the kernel itself clears the testbed away when the runner ends,
//! however it ends.
//!
//! What a host has of its own: hostname, `/etc/hosts`, network (one device), processes, `/proc`, `/dev`, `/tmp`, `/run`,
//! `/root`, `/home`, and a copy-on-write view of every other directory of the machine. See [`LocalOptions`] for what can
//! be chosen, and [`probe_rights`] for what the machine must allow.
//!
//! A program that deploys must give its start to [`lab_main`] when it is called as [`LocalOptions::lab_command`] says,
//! before it starts any thread.

mod local;
mod sys;

pub use local::lab::lab_main;
pub use local::rights::{MissingRight, Right, Rights, probe_rights, probe_rights_with};
pub use local::{LocalOptions, LocalTestbed, TestbedError};
