//! Judges by number, and what they are asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use frame::{CameraId, Counted, Header};
use vision::Judge;

/// Version of the interface; `dev.fogline.vision.Judge` asks for the same.
pub(crate) const ABI: i32 = 1;
/// A frame without picture and count.
const UNCOUNTED: i64 = -1;
/// A picture that cannot be read.
const CORRUPT: i64 = -2;
/// Judges that may be open at once: a task manager has one for each of its slots.
const JUDGES_MAX: usize = 4096;

type Judges = Mutex<HashMap<i64, Arc<Mutex<Judge>>>>;

static JUDGES: LazyLock<Judges> = LazyLock::new(Judges::default);
static NEXT: AtomicI64 = AtomicI64::new(1);

/// A frame as Java hands it over.
pub(crate) struct Frame {
    pub(crate) camera: String,
    pub(crate) jpeg: Vec<u8>,
    pub(crate) gated: bool,
    /// Negative when the frame carries no count.
    pub(crate) people: i64,
    pub(crate) counter: Option<String>,
    /// Negative when it is not known.
    pub(crate) truth: i64,
}

/// Makes a judge; its number is never 0.
pub(crate) fn open(counter: &str, check_every: i64) -> Result<i64, String> {
    let check_every = u64::try_from(check_every).map_err(|_| "checkEvery is negative".to_owned())?;
    let judge = Judge::new(counter, check_every).map_err(|error| error.to_string())?;
    let mut judges = JUDGES.lock().unwrap_or_else(PoisonError::into_inner);
    if judges.len() >= JUDGES_MAX {
        return Err(format!("{JUDGES_MAX} judges are open already; close() those that are done"));
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    judges.insert(number, Arc::new(Mutex::new(judge)));
    Ok(number)
}

/// Counts a frame.
pub(crate) fn count(number: i64, frame: Frame) -> Result<i64, String> {
    let camera = CameraId::new(&frame.camera).map_err(|error| error.to_string())?;
    // The judge looks at neither sequence nor time.
    let mut header = Header::new(camera, 0, 0);
    header.gated = frame.gated;
    header.truth = u32::try_from(frame.truth).ok();
    if let (Ok(people), Some(counter)) = (u32::try_from(frame.people), frame.counter) {
        header.people = Some(Counted { people, counter });
    }
    let judge = find(number)?;
    let outcome = judge.lock().unwrap_or_else(PoisonError::into_inner).count(&mut header, &frame.jpeg);
    match outcome {
        Ok(()) => Ok(header.people.map_or(UNCOUNTED, |counted| i64::from(counted.people))),
        Err(_) => Ok(CORRUPT),
    }
}

/// The figures of a judge as a JSON object.
pub(crate) fn figures(number: i64) -> Result<String, String> {
    let judge = find(number)?;
    let figures = judge.lock().unwrap_or_else(PoisonError::into_inner).scores().figures();
    let figures: serde_json::Map<String, serde_json::Value> =
        figures.into_iter().map(|(name, figure)| (name, figure.into())).collect();
    Ok(serde_json::Value::Object(figures).to_string())
}

/// Forgets a judge.
pub(crate) fn close(number: i64) -> Result<(), String> {
    let mut judges = JUDGES.lock().unwrap_or_else(PoisonError::into_inner);
    judges.remove(&number).map(drop).ok_or_else(|| unknown(number))
}

fn find(number: i64) -> Result<Arc<Mutex<Judge>>, String> {
    let judges = JUDGES.lock().unwrap_or_else(PoisonError::into_inner);
    judges.get(&number).cloned().ok_or_else(|| unknown(number))
}

fn unknown(number: i64) -> String {
    format!("there is no judge {number}: it has been closed")
}
