//! What a camera sees when nobody is there: a background model of our own.
//!
//! Per pixel it keeps [`SAMPLES`] luminances from different times; their median is the background, their
//! median absolute deviation the noise. A median forgives up to half of the samples being people, so that the
//! model can start in the middle of a scene. See Piccardi, "Background subtraction techniques: a review",
//! 2004, section on temporal median filters (Lo and Velastin; Cucchiara et al.).
//!
//! The samples come in quickly at first and slowly later. The first [`SAMPLES_TO_START`] frames give the first
//! model; the next ones refine it; then every [`STRIDE`]th frame replaces the oldest sample. The stride has no
//! common divisor with the usual lengths of a loop of frames, so that a camera that plays a short loop
//! is sampled at each of its places.

/// Samples per pixel.
pub(crate) const SAMPLES: usize = 20;
/// Frames before the model says anything.
pub(crate) const SAMPLES_TO_START: usize = 8;
/// Once the samples are full, one frame of this many becomes a sample.
const STRIDE: u64 = 13;

/// Smallest difference to the background that counts as foreground, in luminance steps.
const THRESHOLD_MIN: u8 = 16;
/// The same in multiples of the pixel's median absolute deviation.
const THRESHOLD_DEVIATIONS: u8 = 6;
/// Upper bound of the threshold: a pixel that people often cross must not become blind.
const THRESHOLD_MAX: u8 = 48;

/// The background of one camera.
pub(crate) struct Background {
    pixels: usize,
    samples: Vec<Vec<u8>>,
    oldest: usize,
    frames: u64,
    median: Vec<u8>,
    threshold: Vec<u8>,
    /// Pixels from here on still have the median of before the last sample.
    stale_from: usize,
}

impl Background {
    /// A model that knows nothing yet, for pictures of this many pixels.
    pub(crate) fn new(pixels: usize) -> Self {
        Self {
            pixels,
            samples: Vec::new(),
            oldest: 0,
            frames: 0,
            median: Vec::new(),
            threshold: Vec::new(),
            stale_from: pixels,
        }
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
                self.threshold.resize(self.pixels, 0);
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
        let mut values = [0u8; SAMPLES];
        let count = self.samples.len();
        for pixel in start..end {
            let values = &mut values[..count];
            for (value, sample) in values.iter_mut().zip(&self.samples) {
                *value = sample[pixel];
            }
            let median = middle(values);
            for value in values.iter_mut() {
                *value = value.abs_diff(median);
            }
            let deviation = middle(values);
            self.median[pixel] = median;
            self.threshold[pixel] =
                deviation.saturating_mul(THRESHOLD_DEVIATIONS).clamp(THRESHOLD_MIN, THRESHOLD_MAX);
        }
    }

    /// Marks with 1 the pixels that differ from the background. Must be ready.
    pub(crate) fn foreground(&self, luma: &[u8], mask: &mut Vec<u8>) {
        let pixels = luma.iter().zip(&self.median).zip(&self.threshold);
        mask.clear();
        mask.extend(pixels.map(|((now, median), threshold)| u8::from(now.abs_diff(*median) > *threshold)));
    }
}

fn middle(values: &mut [u8]) -> u8 {
    let at = values.len() / 2;
    *values.select_nth_unstable(at).1
}
