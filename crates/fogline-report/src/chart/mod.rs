//! Charts as plain SVG text: no script, no font, no network; they print and archive as they are.

mod axis;
mod line;

pub(crate) use line::{Chart, Line, Scale, escape};
