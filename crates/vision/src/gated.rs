//! Counting people on a gated frame, without memory of its camera.
//!
//! All there is to see is which tiles are visible. They are what the gate made of the motion, dilated by one
//! tile; taking that dilation back gives the tiles of the motion, whose groups are counted by size.

use crate::count::Count;
use crate::error::ImageError;
use crate::gate::{GREY, TILE, tile_of};
use crate::image::Picture;
use crate::mask::Mask;
use crate::motion::{PersonSize, analysis_size, count_mask};

/// Size of a person in tiles. Calibrated on the first half of the campus sequence.
const PERSON: PersonSize = PersonSize { area_top: 7.0, area_bottom: 20.0, share_min: 0.19, share_more: 0.40 };

/// How far a pixel may be from the grey of a blanked tile; the JPEG rounds.
const TOLERANCE: u8 = 3;

/// Counts the people on a gated frame.
pub(crate) fn count(luma: &Picture) -> Result<Count, ImageError> {
    let visible = visible_tiles(luma);
    // Take the gate's dilation back: a tile stays when all around it are visible.
    let moving = Mask { cells: visible.cells.iter().map(|tile| 1 - tile).collect(), ..visible };
    let mut moving = moving.dilate(1, 1);
    for tile in &mut moving.cells {
        *tile = 1 - *tile;
    }
    Ok(count_mask(&moving, 0, &PERSON, luma.width, luma.height))
}

/// The tiles of a gated frame that show anything.
fn visible_tiles(luma: &Picture) -> Mask {
    let (analysis_width, analysis_height) = analysis_size(luma.width, luma.height);
    let mut tiles = Mask::new(analysis_width.div_ceil(TILE), analysis_height.div_ceil(TILE));
    let mut coloured = vec![0u32; tiles.cells.len()];
    let columns: Vec<usize> = (0..luma.width).map(|x| tile_of(x, luma.width, analysis_width)).collect();
    for (y, line) in luma.pixels.chunks_exact(luma.width).enumerate() {
        let row = tile_of(y, luma.height, analysis_height) * tiles.width;
        for (pixel, column) in line.iter().zip(&columns) {
            coloured[row + column] += u32::from(pixel.abs_diff(GREY) > TOLERANCE);
        }
    }
    let pixels = luma.width * luma.height / tiles.cells.len();
    for (tile, count) in tiles.cells.iter_mut().zip(coloured) {
        *tile = u8::from(count as usize * 4 >= pixels);
    }
    tiles
}
