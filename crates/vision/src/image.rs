//! Decoding, shrinking and encoding pictures.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::rgb_to_ycbcr;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::ImageError;

/// Smallest and largest side of a picture that is looked at, in pixels. The upper bound keeps a forged header
/// from asking for gigabytes.
const SIDE_MIN: usize = 32;
const SIDE_MAX: usize = 4096;
/// How many times as long as the other a side may be.
const ASPECT_MAX: usize = 3;

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Width in pixels.
    pub(crate) width: usize,
    /// Height in pixels.
    pub(crate) height: usize,
    /// Bytes per pixel: 1 for luminance, 3 for YCbCr or RGB.
    pub(crate) channels: usize,
    /// The pixels, row by row.
    pub(crate) pixels: Vec<u8>,
}

/// What the pixels of a decoded picture are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Luminance only: the chroma of the file is not even transformed.
    Luma,
    /// YCbCr as the file has it, or luminance when the file has no more.
    Stored,
    /// Red, green, blue.
    Rgb,
}

/// Decodes a whole JPEG. The decoder's strict mode and the end marker keep cut files out, which viewers show
/// with a grey lower part: grey is what this crate takes for "nothing moves here".
pub(crate) fn decode(jpeg: &[u8], wanted: Wanted) -> Result<Picture, ImageError> {
    if jpeg.is_empty() {
        return Err(ImageError::Empty);
    }
    check_ends(jpeg)?;
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(SIDE_MAX).set_max_height(SIDE_MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or_else(|| broken("no header"))?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let (short, long) = (width.min(height), width.max(height));
    if short < SIDE_MIN || long > SIDE_MAX || long > short * ASPECT_MAX {
        return Err(ImageError::Size { width, height });
    }
    let stored = decoder.input_colorspace().ok_or_else(|| broken("no colour space"))?;
    let (output, convert) = match (wanted, stored) {
        (Wanted::Luma, ColorSpace::YCbCr | ColorSpace::Luma) => (ColorSpace::Luma, None),
        (Wanted::Stored, ColorSpace::YCbCr | ColorSpace::Luma) => (stored, None),
        (Wanted::Rgb, _) => (ColorSpace::RGB, None),
        (Wanted::Luma, _) => (ColorSpace::RGB, Some(Wanted::Luma)),
        (Wanted::Stored, _) => (ColorSpace::RGB, Some(Wanted::Stored)),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(output));
    let pixels = decoder.decode().map_err(broken)?;
    let channels = output.num_components();
    if pixels.len() != width * height * channels {
        return Err(broken("the decoder returned another number of pixels than announced"));
    }
    let picture = Picture { width, height, channels, pixels };
    Ok(match convert {
        None => picture,
        Some(Wanted::Luma) => picture.map_rgb(1),
        Some(_) => picture.map_rgb(3),
    })
}

fn broken(reason: impl std::fmt::Display) -> ImageError {
    ImageError::Jpeg { reason: reason.to_string() }
}

/// A JPEG starts with SOI and ends with EOI; some writers pad the end with zeros.
fn check_ends(jpeg: &[u8]) -> Result<(), ImageError> {
    if !jpeg.starts_with(&[0xff, 0xd8]) {
        return Err(broken("it does not start with the marker FF D8"));
    }
    let padding = jpeg.iter().rev().take_while(|byte| **byte == 0).count();
    if jpeg[..jpeg.len() - padding].ends_with(&[0xff, 0xd9]) {
        Ok(())
    } else {
        Err(broken("it does not end with the marker FF D9, so a part is missing"))
    }
}

impl Picture {
    fn map_rgb(self, channels: usize) -> Self {
        let mut pixels = Vec::with_capacity(self.width * self.height * channels);
        for rgb in self.pixels.chunks_exact(3) {
            let (y, cb, cr) = rgb_to_ycbcr(rgb[0], rgb[1], rgb[2]);
            pixels.extend_from_slice(&[y, cb, cr][..channels]);
        }
        Self { channels, pixels, ..self }
    }

    /// The luminance of a stored picture.
    pub(crate) fn luma(&self) -> Picture {
        let pixels = self.pixels.iter().step_by(self.channels).copied().collect();
        Picture { channels: 1, pixels, ..*self }
    }
}

/// Resizes pictures, keeping its working memory.
pub(crate) struct Shrink {
    resizer: Resizer,
}

impl Shrink {
    pub(crate) fn new() -> Self {
        Self { resizer: Resizer::new() }
    }

    /// The picture with another size, by area averages; the filter is the one that keeps a small person's
    /// luminance without ringing.
    pub(crate) fn to(
        &mut self,
        picture: &Picture,
        width: usize,
        height: usize,
    ) -> Result<Picture, ImageError> {
        let process = |reason: &dyn std::fmt::Display| ImageError::Process { reason: reason.to_string() };
        let kind = if picture.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let side = |length: usize| u32::try_from(length).map_err(|error| process(&error));
        let source = ImageRef::new(side(picture.width)?, side(picture.height)?, &picture.pixels, kind)
            .map_err(|error| process(&error))?;
        let mut pixels = vec![0; width * height * picture.channels];
        let mut target = Image::from_slice_u8(side(width)?, side(height)?, &mut pixels, kind)
            .map_err(|error| process(&error))?;
        let box_filter = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
        let bilinear = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let options = if picture.channels == 1 { box_filter } else { bilinear };
        self.resizer.resize(&source, &mut target, &options).map_err(|error| process(&error))?;
        Ok(Picture { width, height, channels: picture.channels, pixels })
    }
}
