//! `fogline schema`: JSON Schemas for editors.

use crate::cli::{SchemaArgs, SchemaOf};
use crate::exit::Exit;
use std::io::Write;

/// Runs the subcommand.
pub(crate) fn run(args: &SchemaArgs) -> Exit {
    let SchemaOf::Network = args.of;
    let text = fogline_scenario::schema::NETWORK;
    // A reader that stops early is no error.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Exit::Success
}
