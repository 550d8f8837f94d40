//! What is remembered per camera, for a bounded number of cameras.

use std::collections::HashMap;

use frame::CameraId;

/// Most cameras that are remembered at a time. One more, and the one that was silent longest is forgotten
/// (about 0.6 MB each): it starts to learn anew when it comes back.
const CAMERAS_MAX: usize = 512;

struct Remembered<T> {
    state: T,
    used: u64,
}

/// A state for each camera.
pub(crate) struct Cameras<T> {
    states: HashMap<CameraId, Remembered<T>>,
    uses: u64,
}

impl<T> Cameras<T> {
    pub(crate) fn new() -> Self {
        Self { states: HashMap::new(), uses: 0 }
    }

    /// The state of a camera; a new one when there is none or the old one no longer fits.
    pub(crate) fn of(&mut self, camera: &CameraId, fits: impl Fn(&T) -> bool, new: impl Fn() -> T) -> &mut T {
        self.uses += 1;
        let used = self.uses;
        if !self.states.contains_key(camera) && self.states.len() >= CAMERAS_MAX {
            let silent = self.states.iter().min_by_key(|(_, state)| state.used).map(|(name, _)| name.clone());
            if let Some(silent) = silent {
                self.states.remove(&silent);
            }
        }
        let remembered =
            self.states.entry(camera.clone()).or_insert_with(|| Remembered { state: new(), used });
        remembered.used = used;
        if !fits(&remembered.state) {
            remembered.state = new();
        }
        &mut remembered.state
    }
}
