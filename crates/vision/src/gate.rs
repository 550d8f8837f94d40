//! The gate: keeps what moves, blanks the rest.

use frame::CameraId;
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType};

use crate::cameras::Cameras;
use crate::error::ImageError;
use crate::image::{self, Picture, Shrink, Wanted};
use crate::mask::Mask;
use crate::motion::{MotionModel, analysis_size, count_motion};

/// Side of a tile at the analysis size (a picture 192 pixels wide), in pixels; twice that in a frame of 384.
pub(crate) const TILE: usize = 4;

/// From how many moving pixels on a tile moves.
const TILE_PIXELS: u8 = 3;

/// The value that blanked pixels have in all three channels: flat grey.
pub(crate) const GREY: u8 = 128;

/// How a gate works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateOptions {
    /// Quality of the JPEG that it writes, 1 to 100.
    pub quality: u8,
    /// For how many further frames a tile stays visible after the motion in it ended. What is held looks like
    /// motion to the `motion` counter, which then counts too many on gated frames; a detector does not mind.
    pub hold_frames: u8,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self { quality: 75, hold_frames: 0 }
    }
}

/// What a gate says about a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Gated {
    /// The camera's background is not known yet: send the frame as it is, with `gated` false.
    Learning,
    /// Nothing moves: there is nothing worth sending, and nobody to count.
    Still,
    /// Something moves: send this picture, with `gated` true.
    Moving {
        /// The frame with everything that does not move blanked.
        jpeg: Vec<u8>,
        /// Share of the tiles that are still visible, 0 to 1.
        kept: f32,
        /// What the `motion` counter says about the whole frame. The gate knows it at no further cost.
        people: u32,
    },
}

struct CameraGate {
    model: MotionModel,
    /// Per tile, for how many frames it is still to be shown.
    hold: Vec<u8>,
}

/// Blanks what does not move, per camera. `docs/vision.md` says what it costs and loses.
pub struct Gate {
    options: GateOptions,
    cameras: Cameras<CameraGate>,
    shrink: Shrink,
}

impl Gate {
    /// A gate that knows no camera yet. Values out of range are taken as the nearest right ones.
    pub fn new(options: GateOptions) -> Self {
        let options = GateOptions { quality: options.quality.clamp(1, 100), ..options };
        Self { options, cameras: Cameras::new(), shrink: Shrink::new() }
    }

    /// Looks at the next frame of a camera.
    ///
    /// # Errors
    /// When `jpeg` is not a picture that can be decoded. The state of the camera stays as it was.
    pub fn gate(&mut self, camera: &CameraId, jpeg: &[u8]) -> Result<Gated, ImageError> {
        let picture = image::decode(jpeg, Wanted::Stored)?;
        let luma = picture.luma();
        let state = self.cameras.of(
            camera,
            |state| state.model.fits(&picture),
            || CameraGate { model: MotionModel::new(picture.width, picture.height), hold: Vec::new() },
        );
        let Some(mask) = state.model.see(&luma, &mut self.shrink)? else {
            return Ok(Gated::Learning);
        };
        let people = count_motion(&mask, picture.width, picture.height).people;
        let moving = tiles(&mask);
        let visible = state.hold(&moving, self.options.hold_frames);
        let count = visible.cells.iter().filter(|tile| **tile != 0).count();
        if count == 0 {
            return Ok(Gated::Still);
        }
        let kept = count as f32 / visible.cells.len() as f32;
        let jpeg = encode(&picture, &visible, self.options.quality)?;
        Ok(Gated::Moving { jpeg, kept, people })
    }
}

impl CameraGate {
    /// The tiles to show: those where something moves or moved lately, and their neighbours.
    fn hold(&mut self, moving: &Mask, frames: u8) -> Mask {
        self.hold.resize(moving.cells.len(), 0);
        let mut shown = Mask::new(moving.width, moving.height);
        let tiles = self.hold.iter_mut().zip(&moving.cells).zip(&mut shown.cells);
        for ((hold, moves), show) in tiles {
            *hold = if *moves != 0 { frames.saturating_add(1) } else { hold.saturating_sub(1) };
            *show = u8::from(*hold > 0);
        }
        shown.dilate(1, 1)
    }
}

/// The tiles in which enough pixels of a mask move.
fn tiles(mask: &Mask) -> Mask {
    let mut tiles = Mask::new(mask.width.div_ceil(TILE), mask.height.div_ceil(TILE));
    let mut counts = vec![0u8; tiles.cells.len()];
    for (y, row) in mask.cells.chunks_exact(mask.width).enumerate() {
        for (x, cell) in row.iter().enumerate() {
            counts[y / TILE * tiles.width + x / TILE] += cell;
        }
    }
    for (tile, count) in tiles.cells.iter_mut().zip(counts) {
        *tile = u8::from(count >= TILE_PIXELS);
    }
    tiles
}

/// The index of the tile that a pixel is in, along a side of `length` pixels that has `analysis` at the analysis size.
pub(crate) fn tile_of(pixel: usize, length: usize, analysis: usize) -> usize {
    pixel * analysis / length / TILE
}

/// The first pixel after a tile, along such a side.
fn tile_end(tile: usize, length: usize, analysis: usize) -> usize {
    ((tile + 1) * TILE * length).div_ceil(analysis).min(length)
}

/// A picture seen through a mask of tiles, for the encoder.
struct Masked<'a> {
    picture: &'a Picture,
    visible: &'a Mask,
    size: (u16, u16),
    /// For each column of tiles, the first pixel after it.
    column_ends: Vec<usize>,
    analysis_height: usize,
}

impl ImageBuffer for Masked<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        if self.picture.channels == 1 { JpegColorType::Luma } else { JpegColorType::Ycbcr }
    }

    fn width(&self) -> u16 {
        self.size.0
    }

    fn height(&self) -> u16 {
        self.size.1
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let picture = self.picture;
        let (y, channels) = (usize::from(y), picture.channels);
        let line = &picture.pixels[y * picture.width * channels..(y + 1) * picture.width * channels];
        let tile_row = tile_of(y, picture.height, self.analysis_height);
        let row = &self.visible.cells[tile_row * self.visible.width..(tile_row + 1) * self.visible.width];
        let mut start = 0;
        for (tile, end) in row.iter().zip(&self.column_ends) {
            for (channel, buffer) in buffers.iter_mut().enumerate().take(channels) {
                if *tile == 0 {
                    buffer.resize(buffer.len() + end - start, GREY);
                } else {
                    let pixels = &line[start * channels..end * channels];
                    buffer.extend(pixels.iter().skip(channel).step_by(channels));
                }
            }
            start = *end;
        }
    }
}

fn encode(picture: &Picture, visible: &Mask, quality: u8) -> Result<Vec<u8>, ImageError> {
    let failed = |reason: String| ImageError::Process { reason };
    let side = |length: usize| u16::try_from(length).map_err(|error| failed(error.to_string()));
    let (analysis_width, analysis_height) = analysis_size(picture.width, picture.height);
    let columns = 0..visible.width;
    let column_ends = columns.map(|tile| tile_end(tile, picture.width, analysis_width)).collect();
    let masked = Masked {
        picture,
        visible,
        size: (side(picture.width)?, side(picture.height)?),
        column_ends,
        analysis_height,
    };
    let mut jpeg = Vec::with_capacity(16 * 1024);
    let encoder = Encoder::new(&mut jpeg, quality);
    encoder.encode_image(masked).map_err(|error| failed(error.to_string()))?;
    Ok(jpeg)
}
