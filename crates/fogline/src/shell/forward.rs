//! A port of this machine that leads to a port of a host.

use super::exchange::{Ended, Outlet, Remote, follow};
use crate::control::{self, Answer, Conversation, Request, Trouble};
use crate::exit::Exit;
use crate::sys::terminal::reset_on_close;
use fogline_agent::stream::Channel;
use fogline_journal::RunFolder;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Connections at once; more wait until one has ended. The runner takes a few more.
const CONNECTIONS_MAX: usize = 200;
/// How long the listener rests when the system has no descriptor or memory for a connection.
const REST: Duration = Duration::from_millis(200);

impl Outlet for TcpStream {
    fn finish(&mut self) {
        // Where the connection is gone already, reading from it says so.
        let _ = self.shutdown(Shutdown::Write);
    }
}

/// What ends a forward.
enum Event {
    Interrupted,
    RunOver,
}

/// The forward's target.
#[derive(Clone)]
struct Target {
    folder: RunFolder,
    host: String,
    port: u16,
}

/// Places for connections.
#[derive(Default)]
struct Places {
    taken: Mutex<usize>,
    left: Condvar,
}

struct Place(Arc<Places>);

impl Places {
    /// A place, as soon as there is one.
    fn take(self: &Arc<Self>) -> Place {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= CONNECTIONS_MAX {
            taken = self.left.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken += 1;
        Place(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}

/// Forwards connections to `local` (any free port when 0) on this machine to `port` of a host, until Ctrl-C or the
/// end of the run.
pub(super) fn forward(
    folder: RunFolder,
    host: Option<String>,
    local: u16,
    port: u16,
) -> Result<Exit, Trouble> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, local))
        .map_err(|error| Trouble::Asked(format!("port {local} of this machine cannot be had: {error}")))?;
    let opened = control::open(&folder, &Request::Forward { host, port })?;
    let (host, conversation) = match opened {
        (Answer::Open { host }, conversation) => (host, conversation),
        (answer, _) => return Err(answer.into()),
    };
    let lost = |error: io::Error| Trouble::Lost(format!("the forward cannot be set up: {error}"));
    let (sender, events) = mpsc::channel();
    listen_for_signals(sender.clone()).map_err(lost)?;
    let watch = move || watch(conversation, &sender);
    thread::Builder::new().name("watch".to_owned()).spawn(watch).map_err(lost)?;
    let local = listener.local_addr().map_err(lost)?;
    let target = Target { folder, host, port };
    let text = format!("{local} -> {}:{port} (Ctrl-C ends it)\n", target.host);
    let accept = move || accept(&listener, &target);
    thread::Builder::new().name("accept".to_owned()).spawn(accept).map_err(lost)?;
    let mut stdout = io::stdout().lock();
    // Whoever does not want to know the port may have closed it.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match events.recv() {
        Ok(Event::Interrupted) => Ok(Exit::Interrupted),
        Ok(Event::RunOver) | Err(_) => {
            Err(Trouble::Lost("the run is over, and the forward with it".to_owned()))
        }
    }
}

fn listen_for_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let wait = move || {
        if signals.forever().next().is_some() {
            let _ = events.send(Event::Interrupted);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// The runner says nothing on this connection; it ends with the run.
fn watch(mut conversation: Conversation, events: &Sender<Event>) {
    let mut nothing = [0; 64];
    if conversation.get_ref().set_read_timeout(None).is_ok() {
        while conversation.read(&mut nothing).is_ok_and(|bytes| bytes > 0) {}
    }
    let _ = events.send(Event::RunOver);
}

fn accept(listener: &TcpListener, target: &Target) {
    let places = Arc::new(Places::default());
    loop {
        let place = places.take();
        let Ok((local, _)) = listener.accept() else {
            // Out of descriptors or memory.
            thread::park_timeout(REST);
            continue;
        };
        let target = target.clone();
        let serve = move || {
            let _place = place;
            if let Err(reason) = serve(&local, &target) {
                eprintln!("{}:{}: {reason}", target.host, target.port);
                // The program here learns that it was no end in good order.
                let _ = reset_on_close(&local);
            }
        };
        // Without a thread the connection is closed, and the other side may try again.
        let _ = thread::Builder::new().name("connection".to_owned()).spawn(serve);
    }
}

/// Carries one connection to its end.
fn serve(local: &TcpStream, target: &Target) -> Result<(), String> {
    let request = Request::Connect { host: target.host.clone(), port: target.port };
    let mut conversation = match control::open(&target.folder, &request) {
        Ok((Answer::Open { .. }, conversation)) => conversation,
        Ok((answer, _)) => return Err(Trouble::from(answer).reason()),
        Err(trouble) => return Err(trouble.reason()),
    };
    let here = |error: io::Error| error.to_string();
    let remote = Remote::of(&conversation).map_err(here)?;
    local.set_nodelay(true).map_err(here)?;
    let outlet: Box<dyn Outlet> = Box::new(local.try_clone().map_err(here)?);
    thread::scope(|scope| {
        let feed = || remote.feed(local);
        thread::Builder::new().name("input".to_owned()).spawn_scoped(scope, feed).map_err(here)?;
        let ended = follow(&remote, &mut conversation, vec![(Channel::Output, outlet)]);
        remote.close();
        // Ends a wait for more from this side.
        let _ = local.shutdown(Shutdown::Read);
        match ended.map_err(here)? {
            Ended::Over(_) => Ok(()),
            Ended::Reset(reason) => Err(reason),
            Ended::Lost => Err("the run is over".to_owned()),
            // The program here is gone, which is its right; the host was told.
            Ended::HungUp(_) | Ended::Unwritable(_) => Ok(()),
        }
    })
}
