//! TCP connections made on the host.

use super::pump::{Sink, Source};
use crate::error::{Context as _, Failure};
use crate::limits::CONNECT_DEADLINE;
use crate::stream::{Channel, ConnectRequest};
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

/// Connects to the first address that answers.
pub(super) fn connect(request: &ConnectRequest) -> Result<TcpStream, Failure> {
    let port = request.port;
    let mut failure = Failure::new(&format!("connect to port {port}"), "no address is given");
    for address in &request.addresses {
        let connected = TcpStream::connect_timeout(&SocketAddr::new(*address, port), CONNECT_DEADLINE);
        match connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Failure::system(&format!("connect to port {port}"), &error),
        }
    }
    Err(failure)
}

/// The two directions of a connection.
pub(super) fn ends(stream: &TcpStream) -> Result<(Vec<Source>, Sink), Failure> {
    let duplicate = || stream.try_clone().during("duplicate a connection");
    let reading = File::from(OwnedFd::from(duplicate()?));
    Ok((vec![Source::new(Channel::Output, reading)], Sink::Socket(duplicate()?)))
}
