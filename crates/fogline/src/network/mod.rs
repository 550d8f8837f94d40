//! `fogline network`: looks at the network of a running experiment, and changes it by hand.

mod args;
mod live;
mod print;
mod protocol;
mod shown;

pub(crate) use args::NetworkArgs;
pub(crate) use live::Live;
pub(crate) use protocol::{Ask, Changed, Shown};

use crate::control::{self, Answer, Request, Trouble};
use crate::exit::Exit;
use std::io::Write;

/// Runs the subcommand.
pub(crate) fn run(args: NetworkArgs) -> Exit {
    let (target, ask) = match args.action.request() {
        Ok(asked) => asked,
        Err(reason) => return Trouble::Asked(reason).tell(),
    };
    let request = Request::Network(ask);
    let answer = control::running(&target.folder).and_then(|folder| control::ask(&folder, &request));
    let text = match answer {
        Err(trouble) => return trouble.tell(),
        Ok(Answer::Shown(shown)) if target.json => print::json(&*shown),
        Ok(Answer::Changed(changed)) if target.json => print::json(&changed),
        Ok(Answer::Shown(shown)) => print::shown(&shown),
        Ok(Answer::Changed(changed)) => print::changed(&changed),
        Ok(answer) => return Trouble::from(answer).tell(),
    };
    // A reader that stops early (`fogline network show | head`) is no error.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Exit::Success
}
