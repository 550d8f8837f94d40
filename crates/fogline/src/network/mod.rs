//! `fogline network`: looks at the network of a running experiment, and changes it by hand.

mod args;
mod live;
mod print;
mod protocol;
mod shown;

pub(crate) use args::NetworkArgs;
pub(crate) use live::Live;
pub(crate) use protocol::{Changed, Place, Shown};

use crate::control::{self, Answer, Trouble};
use crate::exit::Exit;
use std::io::Write;

/// Runs the subcommand.
pub(crate) fn run(args: NetworkArgs) -> Exit {
    let (target, request) = match args.action.request() {
        Ok(asked) => asked,
        Err(reason) => return refused(&reason),
    };
    let answer = control::running(&target.folder).and_then(|folder| control::ask(&folder, &request));
    let text = match answer {
        Ok(Answer::Refused(reason)) => return refused(&reason),
        Ok(Answer::Failed(reason)) => return failed(&reason),
        Err(Trouble::Asked(reason)) => return refused(&reason),
        Err(Trouble::Lost(reason)) => return failed(&reason),
        Ok(Answer::Shown(shown)) if target.json => print::json(&*shown),
        Ok(Answer::Changed(changed)) if target.json => print::json(&changed),
        Ok(Answer::Shown(shown)) => print::shown(&shown),
        Ok(Answer::Changed(changed)) => print::changed(&changed),
    };
    // A reader that stops early (`fogline network show | head`) is no error.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Exit::Success
}

fn refused(reason: &str) -> Exit {
    eprintln!("error: {reason}");
    Exit::Refused
}

fn failed(reason: &str) -> Exit {
    eprintln!("error: {reason}");
    Exit::Internal
}
