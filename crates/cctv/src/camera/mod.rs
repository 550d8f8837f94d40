//! A camera: replays pictures at a steady rate and publishes them over MQTT.
//!
//! There is one process per camera and hundreds of them on one machine, so this is one thread, one socket,
//! and pictures that stay in the page cache.

mod outbox;
mod replay;
mod schedule;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use frame::{CameraId, Header, stable_hash};
use rumqttc::v5::AsyncClient;

use crate::clock;
use crate::exit::Failure;
use crate::mqtt::{self, Backoff};
use crate::options::{Endpoint, rate, span};
use crate::presence::Presence;
use crate::signals;
use crate::tally::Tally;
use replay::Replay;
use schedule::Schedule;
use session::{LATENCY, Offered, Session};

/// Replay a folder of JPEG files as one camera.
///
/// Frame k is due at START + PHASE + k/FPS, where PHASE lies within one period and follows from the id, so
/// that many cameras do not fire at once. Each due frame is published over MQTT 5 with QoS 1 on
/// `cameras/ID/frames`: the payload is the plain JPEG, its header travels as user properties. Frames are
/// never delayed: when too many are unacknowledged, or there is no connection, a due frame is dropped and
/// counted.
#[derive(Debug, clap::Args)]
pub(crate) struct CameraArgs {
    /// Name of the camera: 1 to 64 characters of A-Z a-z 0-9 . _ -
    #[arg(long)]
    id: CameraId,
    /// Folder of .jpg files, replayed in the order of their names, over and over; a `truth.csv` beside them
    /// (FILE,PEOPLE) gives the true counts
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Frames per second
    #[arg(long, value_parser = rate, default_value = "1")]
    fps: f64,
    /// The MQTT broker
    #[arg(long, value_name = "HOST:PORT")]
    mqtt: Endpoint,
    /// How long to film
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    duration: Duration,
    /// Folder for metrics, pid and ready files
    #[arg(long, value_name = "DIR")]
    metrics: PathBuf,
    /// Most unacknowledged frames; a frame that is due beyond that is dropped as `backlog`
    #[arg(long, value_name = "FRAMES", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    backlog: u16,
    /// MQTT keep-alive interval, in whole seconds
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "60s")]
    keep_alive: Duration,
    /// How long to try to reach the broker at the start
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "10s")]
    connect_timeout: Duration,
    /// How long to wait at the end for outstanding acknowledgements; what is still open then is dropped as
    /// `unacknowledged`
    #[arg(long, value_name = "SPAN", value_parser = span, default_value = "30s")]
    ack_timeout: Duration,
    /// Start of the schedule in seconds since the Unix epoch, to start many cameras together [default: when
    /// the connection stands]
    #[arg(long, value_name = "UNIX")]
    start_at: Option<f64>,
}

/// Runs the camera to its end.
pub(crate) fn run(args: CameraArgs) -> Result<(), Failure> {
    let replay = Replay::open(&args.data)?.beginning_by(stable_hash(args.id.as_str()));
    if args.keep_alive < Duration::from_secs(5) || args.keep_alive > Duration::from_secs(65_535) {
        return Err(Failure::usage("--keep-alive must be between 5s and 65535s"));
    }
    let presence = Presence::announce(&args.metrics, "camera", args.id.as_str())?;
    let tally = Tally::create(&args.metrics, "camera", args.id.as_str(), LATENCY)?;
    let stop = signals::stop_flag()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the event loop: {error}")))?;
    runtime.block_on(film(&args, &replay, &tally, &presence, &stop))
}

async fn film(
    args: &CameraArgs,
    replay: &Replay,
    tally: &Tally,
    presence: &Presence,
    stop: &Arc<AtomicBool>,
) -> Result<(), Failure> {
    let backlog = usize::from(args.backlog);
    let mut options = mqtt::options(&format!("camera-{}", args.id), &args.mqtt, args.keep_alive);
    // Far above the backlog, so that packet identifiers are never in use when their turn comes again.
    options.set_clean_start(true).set_outgoing_inflight_upper_limit((args.backlog * 4).max(64));
    let (client, events) = AsyncClient::new(options, backlog + 2);
    let session = Session::new(client, frame::topic(&args.id), backlog, tally.clone());
    let seed = stable_hash(args.id.as_str());
    tokio::select! {
        biased;
        outcome = shoot(args, replay, tally, presence, stop, &session) => outcome,
        never = session.drive(events, Backoff::new(seed)) => match never {},
    }
}

/// The camera's life beside its connection: connect, frames, acknowledgements, end marker, account.
async fn shoot(
    args: &CameraArgs,
    replay: &Replay,
    tally: &Tally,
    presence: &Presence,
    stop: &Arc<AtomicBool>,
    session: &Session,
) -> Result<(), Failure> {
    if !session.until(args.connect_timeout, Session::is_connected).await {
        return Err(Failure::unreachable(format!(
            "the MQTT broker at {} was not reached within {:?} ({}); is it running?",
            args.mqtt,
            args.connect_timeout,
            session.last_error()
        )));
    }
    presence.ready()?;
    let start_unix_ns = args.start_at.map_or_else(clock::unix_ns, |seconds| (seconds.max(0.0) * 1e9) as u64);
    let span_ns = u64::try_from(args.duration.as_nanos()).unwrap_or(u64::MAX);
    let schedule = Schedule::new(args.id.as_str(), start_unix_ns, args.fps, span_ns);
    let marker = expose(args, replay, tally, stop, session, &schedule).await?;
    finish(args, tally, session, marker).await
}

/// Takes every frame when it is due; returns the header of the end marker.
async fn expose(
    args: &CameraArgs,
    replay: &Replay,
    tally: &Tally,
    stop: &Arc<AtomicBool>,
    session: &Session,
    schedule: &Schedule,
) -> Result<Header, Failure> {
    let mut sequence = 0;
    let mut due_unix_ns = schedule.due_unix_ns(0);
    for k in 0..schedule.frames() {
        due_unix_ns = schedule.due_unix_ns(k);
        let wait = clock::elapsed(clock::unix_ns(), due_unix_ns);
        // Waits out the time until the frame is due; a signal ends the film at the next look.
        let stopped = session.until(wait, |_| stop.load(Ordering::Relaxed)).await;
        if stopped {
            break;
        }
        let (jpeg, truth) = replay.take(k)?;
        let mut header = Header::new(args.id.clone(), sequence, due_unix_ns);
        header.truth = truth;
        tally.note(|recorder| recorder.frame_in(args.id.as_str(), jpeg.len()));
        match session.offer(header, jpeg) {
            Offered::Sent => sequence += 1,
            Offered::Dropped(reason) => tally.note(|recorder| recorder.dropped(args.id.as_str(), reason)),
        }
        tally.tick()?;
    }
    let mut marker = Header::new(args.id.clone(), sequence, due_unix_ns);
    marker.last = true;
    Ok(marker)
}

/// Waits for the acknowledgements, sends the end marker, and closes the account.
async fn finish(args: &CameraArgs, tally: &Tally, session: &Session, marker: Header) -> Result<(), Failure> {
    let deadline = tokio::time::Instant::now() + args.ack_timeout;
    let left = || deadline.saturating_duration_since(tokio::time::Instant::now());
    let settled = session.until(left(), Session::is_settled).await;
    if settled && session.until(left(), Session::is_connected).await {
        session.offer(marker, Vec::new());
        session.until(left(), |session| session.marker_acknowledged() || session.is_settled()).await;
    }
    let ended = session.marker_acknowledged();
    let open = session.give_up();
    tally.note(|recorder| {
        recorder.dropped_n(args.id.as_str(), "unacknowledged", open);
        recorder.fact("fps", args.fps);
        if !ended {
            recorder.fact(crate::tally::UNDRAINED, vec![args.id.to_string()]);
        }
    });
    session.note_facts();
    session.disconnect().await;
    tally.finish("unfinished")?;
    if ended {
        Ok(())
    } else {
        Err(Failure::incomplete(format!(
            "camera {}: {open} frames and the end marker were not acknowledged within {:?} ({})",
            args.id,
            args.ack_timeout,
            session.last_error()
        )))
    }
}
