//! How the command line talks to a running experiment: over `fogline/control.sock` in the run folder.

mod client;
mod protocol;
mod socket;

pub(crate) use client::{Trouble, ask, running};
pub(crate) use protocol::{Answer, Request};
pub(crate) use socket::{ControlSocket, Hear};
