//! The `motion` counter: foreground of a background model, grouped, and counted by area.

use frame::CameraId;

use crate::background::Background;
use crate::cameras::Cameras;
use crate::count::{BoundingBox, Count, Counter};
use crate::error::ImageError;
use crate::gated;
use crate::image::{self, Picture, Shrink, Wanted};
use crate::mask::Mask;

/// Width of the picture that motion is looked for in, in pixels. Smaller frames keep their own.
const ANALYSIS_WIDTH: usize = 192;

/// The size at which motion is looked for in a frame of this size, aspect kept.
pub(crate) fn analysis_size(width: usize, height: usize) -> (usize, usize) {
    let analysis_width = width.min(ANALYSIS_WIDTH);
    (analysis_width, (height * analysis_width).div_ceil(width))
}

/// Of the nine pixels around and including one, how many must differ for it to count: single pixels are noise.
const VOTES: u8 = 4;
/// How far apart the parts of a person may be, in pixels to each side: a body often falls apart into head,
/// trunk and legs.
const BRIDGE: usize = 2;

/// How large a person is in the picture. Calibrated on the first half of the campus sequence; another scene
/// needs other figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PersonSize {
    /// Area of a person whose feet are at the upper edge, in cells of the mask.
    pub(crate) area_top: f32,
    /// Area of a person whose feet are at the lower edge, in cells of the mask.
    pub(crate) area_bottom: f32,
    /// Share of that area from which on a group is one person at all.
    pub(crate) share_min: f32,
    /// Share of that area by which a group must exceed a whole number to count one more.
    pub(crate) share_more: f32,
}

const PERSON: PersonSize =
    PersonSize { area_top: 27.0, area_bottom: 203.0, share_min: 0.22, share_more: 0.52 };

/// The motion of one camera.
pub(crate) struct MotionModel {
    width: usize,
    height: usize,
    source: (usize, usize),
    background: Background,
    raw: Vec<u8>,
}

impl MotionModel {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let source = (width, height);
        let (width, height) = analysis_size(width, height);
        Self { width, height, source, background: Background::new(width * height), raw: Vec::new() }
    }

    /// Whether this model is for pictures of this size.
    pub(crate) fn fits(&self, picture: &Picture) -> bool {
        self.source == (picture.width, picture.height)
    }

    /// Learns from a picture, and says where something moves; `None` while the background is unknown.
    pub(crate) fn see(&mut self, luma: &Picture, shrink: &mut Shrink) -> Result<Option<Mask>, ImageError> {
        let small = shrink.to(luma, self.width, self.height)?;
        self.background.learn(&small.pixels);
        if !self.background.is_ready() {
            return Ok(None);
        }
        self.background.foreground(&small.pixels, &mut self.raw);
        let raw = Mask { width: self.width, height: self.height, cells: std::mem::take(&mut self.raw) };
        let clean = raw.vote(VOTES);
        self.raw = raw.cells;
        Ok(Some(clean))
    }
}

/// Counts people in a mask, for a picture of `width` x `height` pixels.
///
/// `bridge` is how far apart the parts of a group may be, in cells of the mask to each side.
pub(crate) fn count_mask(
    mask: &Mask,
    bridge: usize,
    person: &PersonSize,
    width: usize,
    height: usize,
) -> Count {
    let bridged = mask.dilate(bridge, bridge);
    // The sizes of a person are for the full analysis width.
    let area = (width.min(ANALYSIS_WIDTH) as f32 / ANALYSIS_WIDTH as f32).powi(2);
    let mut count = Count { people: 0, boxes: Vec::new() };
    let scale_x = width as f32 / mask.width as f32;
    let scale_y = height as f32 / mask.height as f32;
    for group in bridged.groups(mask) {
        let depth = group.bottom as f32 / mask.height as f32;
        let one = area * (person.area_top + (person.area_bottom - person.area_top) * depth);
        let share = group.weight as f32 / one;
        if share < person.share_min {
            continue;
        }
        let people = (share + 1.0 - person.share_more).floor().max(1.0);
        count.people += people as u32;
        count.boxes.push(BoundingBox {
            x: group.left as f32 * scale_x,
            y: group.top as f32 * scale_y,
            width: (group.right + 1 - group.left) as f32 * scale_x,
            height: (group.bottom + 1 - group.top) as f32 * scale_y,
            score: 1.0,
        });
    }
    count
}

/// The people in the motion of a full frame.
pub(crate) fn count_motion(mask: &Mask, width: usize, height: usize) -> Count {
    count_mask(mask, BRIDGE, &PERSON, width, height)
}

/// The `motion` counter. It keeps a background per camera for full frames, and none for gated ones.
pub struct MotionCounter {
    cameras: Cameras<MotionModel>,
    shrink: Shrink,
}

impl Default for MotionCounter {
    fn default() -> Self {
        Self::new()
    }
}

impl MotionCounter {
    /// A counter that knows no camera yet.
    pub fn new() -> Self {
        Self { cameras: Cameras::new(), shrink: Shrink::new() }
    }
}

impl Counter for MotionCounter {
    fn name(&self) -> &'static str {
        "motion"
    }

    fn count(&mut self, camera: &CameraId, jpeg: &[u8], gated: bool) -> Result<Option<Count>, ImageError> {
        let luma = image::decode(jpeg, Wanted::Luma)?;
        if gated {
            return gated::count(&luma).map(Some);
        }
        let model =
            self.cameras.of(camera, |model| model.fits(&luma), || MotionModel::new(luma.width, luma.height));
        let mask = model.see(&luma, &mut self.shrink)?;
        Ok(mask.map(|mask| count_motion(&mask, luma.width, luma.height)))
    }
}
