//! What a camera sees when nobody is there: a background model of our own.
//!
//! Per pixel it keeps [`SAMPLES`] luminances from different times; their median is the background. A median
//! forgives up to half of the samples being people, so that the model can start in the middle of a scene; but
//! who stands still for more than half of the samples becomes background. See Piccardi, "Background subtraction
//! techniques: a review", 2004, section on temporal median filters (Lo and Velastin; Cucchiara et al.).
//!
//! The samples come in quickly at first and slowly later. The first [`SAMPLES_TO_START`] frames give the first
//! model; the next ones refine it; then every [`STRIDE`]th frame replaces the oldest sample. The stride has no
//! divisor in common with the usual lengths of a loop of frames, so that a camera that replays a short loop is
//! sampled at each of its places.

/// Samples per pixel.
pub(crate) const SAMPLES: usize = 20;
/// Pixels whose medians are found together.
const LANES: usize = 64;
/// Frames before the model says anything.
pub(crate) const SAMPLES_TO_START: usize = 5;
/// Once the samples are full, one frame of this many becomes a sample.
const STRIDE: u64 = 13;

/// Largest difference to the background that is still background, in steps of luminance. Calibrated on the first
/// half of the campus sequence, which has the noise of a camera of 2009 and leaves in the wind. A threshold per
/// pixel, by the deviation of its samples, was no better there.
const THRESHOLD: u8 = 21;

/// The background of one camera.
pub(crate) struct Background {
    pixels: usize,
    samples: Vec<Vec<u8>>,
    oldest: usize,
    frames: u64,
    median: Vec<u8>,
    /// Pixels from here on still have the median of before the last sample.
    stale_from: usize,
}

impl Background {
    /// A model that knows nothing yet, for pictures of this many pixels.
    pub(crate) fn new(pixels: usize) -> Self {
        Self { pixels, samples: Vec::new(), oldest: 0, frames: 0, median: Vec::new(), stale_from: pixels }
    }

    /// Whether the model has seen enough to say what is foreground.
    pub(crate) fn is_ready(&self) -> bool {
        self.samples.len() >= SAMPLES_TO_START
    }

    /// Learns from one frame.
    pub(crate) fn learn(&mut self, luma: &[u8]) {
        debug_assert_eq!(luma.len(), self.pixels);
        self.frames += 1;
        if self.samples.len() < SAMPLES {
            self.samples.push(luma.to_vec());
            if self.samples.len() >= SAMPLES_TO_START {
                self.median.resize(self.pixels, 0);
                self.refresh(0, self.pixels);
            }
        } else if self.frames.is_multiple_of(STRIDE) {
            self.samples[self.oldest].copy_from_slice(luma);
            self.oldest = (self.oldest + 1) % SAMPLES;
            self.stale_from = 0;
        }
        // The medians of a new sample are spread over the frames until the next one.
        if self.stale_from < self.pixels {
            let share = self.pixels.div_ceil(usize::try_from(STRIDE).unwrap_or(1));
            let end = (self.stale_from + share).min(self.pixels);
            self.refresh(self.stale_from, end);
            self.stale_from = end;
        }
    }

    fn refresh(&mut self, start: usize, end: usize) {
        for from in (start..end).step_by(LANES) {
            let to = (from + LANES).min(end);
            let mut lanes = [[0u8; LANES]; SAMPLES];
            for (lane, sample) in lanes.iter_mut().zip(&self.samples) {
                lane[..to - from].copy_from_slice(&sample[from..to]);
            }
            let medians = medians(&lanes[..self.samples.len()]);
            self.median[from..to].copy_from_slice(&medians[..to - from]);
        }
    }

    /// Marks with 1 the pixels that differ from the background. Must be ready.
    pub(crate) fn foreground(&self, luma: &[u8], mask: &mut Vec<u8>) {
        mask.clear();
        let pixels = luma.iter().zip(&self.median);
        mask.extend(pixels.map(|(now, median)| u8::from(now.abs_diff(*median) > THRESHOLD)));
    }
}

/// The (upper) median of each lane over all samples.
///
/// Found bit by bit from the highest: the median is the largest value that enough samples reach. Unlike a selection
/// per pixel this has no branches, so that the compiler does many pixels in one instruction.
fn medians(samples: &[[u8; LANES]]) -> [u8; LANES] {
    let enough = samples.len() - samples.len() / 2;
    let mut medians = [0u8; LANES];
    for bit in (0..8).rev() {
        let mut reached = [0u8; LANES];
        for sample in samples {
            for ((count, value), median) in reached.iter_mut().zip(sample).zip(&medians) {
                // Never more than SAMPLES; a checked sum would keep the compiler from doing many at once.
                *count = count.wrapping_add(u8::from(*value >= (median | (1 << bit))));
            }
        }
        for (median, count) in medians.iter_mut().zip(&reached) {
            *median |= u8::from(usize::from(*count) >= enough) << bit;
        }
    }
    medians
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn medians_are_those_of_a_sort(samples in prop::collection::vec(prop::array::uniform32(any::<u8>()), 1..=SAMPLES)) {
            let lanes: Vec<[u8; LANES]> =
                samples.iter().map(|sample| std::array::from_fn(|lane| sample[lane % 32])).collect();
            let medians = medians(&lanes);
            for (lane, median) in medians.iter().enumerate() {
                let mut sorted: Vec<u8> = lanes.iter().map(|sample| sample[lane]).collect();
                sorted.sort_unstable();
                prop_assert_eq!(*median, sorted[sorted.len() / 2]);
            }
        }
    }
}
