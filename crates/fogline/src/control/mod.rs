//! How the command line talks to a running experiment: over `fogline/control.sock` in the run folder.

mod client;
mod desk;
mod protocol;
mod socket;

pub(crate) use client::{Conversation, Trouble, ask, open, running};
pub(crate) use desk::Desk;
pub(crate) use protocol::{Answer, Request};
pub(crate) use socket::{ControlSocket, Heard};
