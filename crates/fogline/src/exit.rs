//! The one table of exit codes.

use std::process::ExitCode;

/// How the program ends. Scripts may rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done, and the results can be trusted.
    Success,
    /// Something that should not happen: a bug, a full disk under the run folder, a lost agent.
    Internal,
    /// The command line, or the scenario, is wrong; nothing was started.
    Refused,
    /// This machine lacks a right, a device or software; the message names it.
    Testbed,
    /// A service, a task or a fetch failed.
    Task,
    /// The run went through, but its results must not be used: the network was not the one asked for, results are
    /// missing, or the frames do not add up.
    Invalid,
    /// Ctrl-C or SIGTERM; everything was released.
    Interrupted,
    /// A command on a host could not be started, or was lost; all other codes of `fogline shell` are the command's.
    Unreached,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Internal => 1,
            Self::Refused => 2,
            Self::Testbed => 3,
            Self::Task => 4,
            Self::Invalid => 5,
            Self::Interrupted => 130,
            Self::Unreached => 255,
        }
    }

    /// The table as `--help` shows it.
    pub(crate) const TABLE: &'static str = "\
Exit codes:
  0    done, and the results can be trusted
  1    internal error: a bug, a full disk, a lost agent
  2    wrong command line or scenario; nothing was started
  3    this machine lacks a right, a device or software (the message names it)
  4    a service, a task or a fetch failed
  5    invalid: the run went through, but its results must not be used (network off, late or
       dropping, results missing, frames unexplained)
  130  interrupted; everything was released
fogline shell ends with the code of its command, and with 255 where it cannot reach it.";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
