//! Counting the frames of a job, and how far the counts are from the truth.

use std::collections::{BTreeMap, HashMap};

use frame::{CameraId, CountError, Counted, Header, stable_hash};

use crate::count::Counter;
use crate::error::VisionError;
use crate::{counter, nanodet};

/// Most cameras whose turn at the checking counter is remembered; those beyond are never checked.
const CAMERAS_MAX: usize = 10_000;

/// The counters of a job, or of one worker of it. Every engine that runs the job counts by this.
pub struct Judge {
    counter: Box<dyn Counter>,
    /// Made when it is first needed: its model is large.
    check: Option<Box<dyn Counter>>,
    check_every: u64,
    /// Per camera, frames since its last check.
    frames: HashMap<CameraId, u64>,
    scores: Scores,
}

/// Distances from the truth, and from the checking counter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    truth: BTreeMap<String, CountError>,
    check_frames: u64,
    check_difference: u64,
}

impl Judge {
    /// The counters that a job asks for: `name` is one of [`crate::COUNTERS`], and one frame in `check_every` of each
    /// camera is counted by `nanodet` too (0: none).
    ///
    /// # Errors
    /// When there is no counter of this name, or its model cannot be loaded.
    pub fn new(name: &str, check_every: u64) -> Result<Self, VisionError> {
        Ok(Self {
            counter: counter(name)?,
            check: None,
            check_every: if name == nanodet::NAME { 0 } else { check_every },
            frames: HashMap::new(),
            scores: Scores::default(),
        })
    }

    /// Counts the people on a frame, unless that has been done. A frame without picture and count stays
    /// uncounted: its gateway was still learning the background.
    ///
    /// # Errors
    /// The reason for which the frame has to be dropped.
    pub fn count(&mut self, header: &mut Header, jpeg: &[u8]) -> Result<(), &'static str> {
        if header.people.is_none() && !jpeg.is_empty() {
            let count = self.counter.count(&header.camera, jpeg, header.gated).map_err(|_| "corrupt")?;
            let name = self.counter.name().to_owned();
            header.people = count.map(|count| Counted { people: count.people, counter: name });
        }
        if let (Some(counted), Some(truth)) = (&header.people, header.truth) {
            self.scores.truth.entry(counted.counter.clone()).or_default().add(counted.people, truth);
        }
        if !jpeg.is_empty() && self.is_due(header) {
            self.check(header, jpeg);
        }
        Ok(())
    }

    /// One frame in `check_every` of a camera is due, the next one with a known truth if there is one soon. Cameras
    /// take turns, since a detector at work holds up all that its worker has to do.
    fn is_due(&mut self, header: &Header) -> bool {
        if self.check_every == 0 {
            return false;
        }
        if self.frames.len() >= CAMERAS_MAX && !self.frames.contains_key(&header.camera) {
            return false;
        }
        let turn = stable_hash(header.camera.as_str()) % self.check_every;
        let waited = self.frames.entry(header.camera.clone()).or_insert(turn);
        *waited += 1;
        let due = *waited >= 2 * self.check_every || (*waited >= self.check_every && header.truth.is_some());
        if due {
            *waited = 0;
        }
        due
    }

    fn check(&mut self, header: &Header, jpeg: &[u8]) {
        let Some(counted) = &header.people else { return };
        if self.check.is_none() {
            match counter(nanodet::NAME) {
                Ok(made) => self.check = Some(made),
                Err(_) => return self.check_every = 0,
            }
        }
        let Some(check) = self.check.as_mut() else { return };
        // A picture that the cheap counter could read and this one cannot says nothing about their
        // difference.
        let Ok(Some(second)) = check.count(&header.camera, jpeg, header.gated) else { return };
        self.scores.check_frames += 1;
        self.scores.check_difference += u64::from(second.people.abs_diff(counted.people));
        if let Some(truth) = header.truth {
            self.scores.truth.entry(check.name().to_owned()).or_default().add(second.people, truth);
        }
    }

    /// What is known so far.
    pub fn scores(&self) -> &Scores {
        &self.scores
    }
}

impl Scores {
    /// Adds those of another worker.
    pub fn merge(&mut self, other: &Self) {
        for (name, error) in &other.truth {
            let sum = self.truth.entry(name.clone()).or_default();
            sum.frames = sum.frames.saturating_add(error.frames);
            sum.absolute_sum = sum.absolute_sum.saturating_add(error.absolute_sum);
            sum.signed_sum = sum.signed_sum.saturating_add(error.signed_sum);
        }
        self.check_frames += other.check_frames;
        self.check_difference += other.check_difference;
    }

    /// One key and figure each: `truth_frames.motion`, `abs_error_sum.motion`, `error_sum.motion`, ..., and, where
    /// frames were checked, `check_frames` and `check_abs_difference_sum`. Sums are in people.
    pub fn figures(&self) -> Vec<(String, i64)> {
        let signed = |sum: u64| i64::try_from(sum).unwrap_or(i64::MAX);
        let mut figures = Vec::new();
        for (name, error) in &self.truth {
            figures.push((format!("truth_frames.{name}"), error.frames.into()));
            figures.push((format!("abs_error_sum.{name}"), signed(error.absolute_sum)));
            figures.push((format!("error_sum.{name}"), error.signed_sum));
        }
        if self.check_frames > 0 {
            figures.push(("check_frames".to_owned(), signed(self.check_frames)));
            figures.push(("check_abs_difference_sum".to_owned(), signed(self.check_difference)));
        }
        figures
    }
}
