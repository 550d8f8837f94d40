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
//! # Limits
//! - Hosts share the machine's kernel, clock and processors. Control groups are not set up.
//! - Hosts reach each other and nothing else; there is no way to the Internet.
//! - All that hosts write is held in memory, up to [`LocalOptions::data_limit`] for all of them together.
//! - The home directories of the machine are hidden: programs go into [`LocalOptions::program_directories`], files
//!   are copied by the agent.
//! - Without root, a task's root is this user: he may make, replace and remove files everywhere, but not change a
//!   file of the machine in place (those directly in `/etc` excepted), become another user, or give files away. It takes
//!   Linux 5.12, and 6.6 for removing directories of the machine and making them again.
//! - A directory of the machine below which something is mounted is taken apart, see [`LocalTestbed::hidden`]; its
//!   subdirectories can be filled and emptied on a host, but not be removed or renamed.
//! - As root, tasks are root too, without the capabilities that concern the whole machine (clock, modules, reboot, device
//!   nodes, raw input and output), and with kernel settings read-only except those of the network. That keeps honest
//!   tasks from accidents; it does not hold a hostile one.
//!
//! A program that deploys must give its start to [`lab_main`] when it is called as [`LocalOptions::lab_command`] says,
//! before it starts any thread.

mod local;
mod measure;
mod sys;

pub use local::lab::lab_main;
pub use local::rights::{MissingRight, Right, Rights, probe_rights, probe_rights_with};
pub use local::{LocalOptions, LocalTestbed, TestbedError};
pub use measure::{
    DelayMeasurement, JitterMeasurement, LossAccount, LossMeasurement, MeasureOptions, MtuMeasurement,
    RateMeasurement, RateProbe, RuleMeasurement, Verdict, measure,
};
