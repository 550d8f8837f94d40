//! Counting people on a frame.

use frame::CameraId;

use crate::error::ImageError;

/// Where a person is, in pixels of the frame, from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
    /// How sure the counter is, 0 to 1; a counter that cannot say writes 1.
    pub score: f32,
}

/// The people on one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// How many.
    pub people: u32,
    /// Where. A box of a merged group stands for several people, so there may be fewer boxes than people.
    pub boxes: Vec<BoundingBox>,
}

/// Counts people on the frames of many cameras.
pub trait Counter: Send {
    /// The name, as options and headers write it.
    fn name(&self) -> &'static str;

    /// Counts the people on one frame. `gated` says that the frame went through a [`crate::Gate`], that is
    /// shows moving parts on flat grey; a gated frame is judged alone, without memory of its camera.
    ///
    /// `Ok(None)` means that the counter is still learning what this camera's background looks like, so that
    /// no count can be given for this frame.
    ///
    /// # Errors
    /// When `jpeg` is not a picture that can be decoded. The state of the camera stays as it was.
    fn count(&mut self, camera: &CameraId, jpeg: &[u8], gated: bool) -> Result<Option<Count>, ImageError>;
}
