//! What can be wrong with a picture or a counter.

/// Why a frame could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// There are no bytes.
    #[error("the picture is empty")]
    Empty,
    /// The bytes are not a whole JPEG.
    #[error("not a whole JPEG: {reason}")]
    Jpeg {
        /// The decoder's reason.
        reason: String,
    },
    /// The picture is larger or smaller than what is looked at.
    #[error(
        "the picture has {width}x{height} pixels; right is 32 to 4096 for each side, and one at most three times the other"
    )]
    Size {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// A step after decoding failed.
    #[error("cannot process the picture: {reason}")]
    Process {
        /// The reason.
        reason: String,
    },
}

/// Why a counter could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VisionError {
    /// There is no counter of this name.
    #[error("there is no counter {name:?}; there are `motion` and `nanodet`")]
    UnknownCounter {
        /// The refused name.
        name: String,
    },
    /// The detector's model cannot be loaded.
    #[error("the model of `nanodet` cannot be loaded: {reason}")]
    Model {
        /// The runtime's reason.
        reason: String,
    },
}
