//! The `nanodet` counter: a neural detector, NanoDet-g, run by `rten`.
//!
//! NanoDet (<https://github.com/RangiLyu/nanodet>) is a one-stage detector without anchors. Each cell of three
//! grids says how sure it is to be inside a person, and how far the person's four edges are away, each distance
//! as a distribution over 0 to 10 cells (generalized focal loss, Li et al., 2020). What several cells say about
//! the same person is merged by non-maximum suppression. `models/README.md` says where the weights come from.

use std::sync::{Arc, OnceLock};

use frame::CameraId;
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, op_registry};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};

use crate::count::{BoundingBox, Count, Counter};
use crate::error::{ImageError, VisionError};
use crate::image::{self, Picture, Shrink, Wanted};

/// Its name in options and headers.
pub(crate) const NAME: &str = "nanodet";

static WEIGHTS: &[u8] = include_bytes!("../models/nanodet-person.onnx");

/// Largest input of the network, in pixels; a larger frame is scaled down to it.
const WIDTH_MAX: usize = 384;
const HEIGHT_MAX: usize = 384;
/// The network's sides are multiples of its coarsest stride.
const SIDE_STEP: usize = 32;

/// Mean and standard deviation of blue, green and red in the training data.
const MEAN: [f32; 3] = [103.53, 116.28, 123.675];
const DEVIATION: [f32; 3] = [57.375, 57.12, 58.395];

/// The three grids: name of the output and pixels per cell.
const GRIDS: [(&str, f32); 3] = [("stride_8", 8.0), ("stride_16", 16.0), ("stride_32", 32.0)];
/// Steps of a distance's distribution.
const STEPS: usize = 11;

/// From this score on a detection counts on a whole frame, and on a gated one, where fewer things can be taken
/// for a person. Calibrated on the first half of the campus sequence at 384x288.
const SCORE_MIN_WHOLE: f32 = 0.48;
const SCORE_MIN_GATED: f32 = 0.40;
/// Two boxes that overlap by more than this share of their union are the same person.
const OVERLAP_MAX: f32 = 0.5;
/// Most detections that are compared with each other; the surest are taken.
const CANDIDATES_MAX: usize = 500;

/// The network with its weights, the same for all counters of a process.
struct Network {
    model: Model,
    input: NodeId,
    outputs: [NodeId; 3],
}

/// The `nanodet` counter. It has no memory of any camera, so gated frames and whole ones are the same to it.
///
/// The first counter of a process unpacks the weights (about 20 MB); further ones share them. The runtime keeps
/// one thread per counter, on which it computes while the caller waits.
pub struct NanoDet {
    network: Arc<Network>,
    pool: Arc<ThreadPool>,
    shrink: Shrink,
    score_min: Option<f32>,
}

impl NanoDet {
    /// A detector.
    ///
    /// # Errors
    /// When the runtime refuses the model, which would be a fault of the build.
    pub fn new() -> Result<Self, VisionError> {
        static NETWORK: OnceLock<Result<Arc<Network>, VisionError>> = OnceLock::new();
        let network = NETWORK.get_or_init(|| Network::load().map(Arc::new)).clone()?;
        let pool = Arc::new(ThreadPool::with_num_threads(1));
        Ok(Self { network, pool, shrink: Shrink::new(), score_min: None })
    }

    /// The same detector with another least score, 0 to 1, for whole and gated frames, instead of the calibrated ones.
    #[must_use]
    pub fn with_score_min(self, score_min: f32) -> Self {
        Self { score_min: Some(score_min), ..self }
    }

    fn detect(&mut self, picture: &Picture, score_min: f32) -> Result<Vec<BoundingBox>, ImageError> {
        let (width, height) = network_size(picture.width, picture.height);
        let scaled;
        let picture_in = if (width, height) == (picture.width, picture.height) {
            picture
        } else {
            scaled = self.shrink.to(picture, width, height)?;
            &scaled
        };
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let input = normalise(picture_in);
        let outputs = self
            .network
            .model
            .run_n(vec![(self.network.input, input.view().into())], self.network.outputs, Some(options))
            .map_err(|error| ImageError::Process { reason: format!("nanodet: {error}") })?;
        let mut boxes = Vec::new();
        for (output, (_, stride)) in outputs.into_iter().zip(GRIDS) {
            let grid: NdTensor<f32, 4> = output
                .try_into()
                .map_err(|error| ImageError::Process { reason: format!("nanodet's output: {error:?}") })?;
            read_grid(&grid.view(), stride, score_min, &mut boxes);
        }
        let mut boxes = suppress(boxes);
        let scale_x = picture.width as f32 / width as f32;
        let scale_y = picture.height as f32 / height as f32;
        for one in &mut boxes {
            one.x *= scale_x;
            one.width *= scale_x;
            one.y *= scale_y;
            one.height *= scale_y;
        }
        Ok(boxes)
    }
}

impl Counter for NanoDet {
    fn name(&self) -> &'static str {
        NAME
    }

    fn count(&mut self, _: &CameraId, jpeg: &[u8], gated: bool) -> Result<Option<Count>, ImageError> {
        let calibrated = if gated { SCORE_MIN_GATED } else { SCORE_MIN_WHOLE };
        let picture = image::decode(jpeg, Wanted::Rgb)?;
        let boxes = self.detect(&picture, self.score_min.unwrap_or(calibrated))?;
        Ok(Some(Count { people: u32::try_from(boxes.len()).unwrap_or(u32::MAX), boxes }))
    }
}

impl Network {
    fn load() -> Result<Self, VisionError> {
        let failed = |error: &dyn std::fmt::Display| VisionError::Model { reason: error.to_string() };
        let operations = op_registry!(Add, Cast, Concat, Conv, Identity, LeakyRelu, MaxPool, Resize);
        let mut options = ModelOptions::with_ops(operations);
        options.prepack_weights(true);
        let model = options.load_static_slice(WEIGHTS).map_err(|error| failed(&error))?;
        let input = model.node_id("image").map_err(|error| failed(&error))?;
        let mut outputs = [input; 3];
        for (output, (name, _)) in outputs.iter_mut().zip(GRIDS) {
            *output = model.node_id(name).map_err(|error| failed(&error))?;
        }
        Ok(Self { model, input, outputs })
    }
}

/// The size of the network's input for a frame: the frame's own up to the largest, in whole steps.
fn network_size(width: usize, height: usize) -> (usize, usize) {
    let scale = (WIDTH_MAX as f32 / width as f32).min(HEIGHT_MAX as f32 / height as f32).min(1.0);
    let side = |length: usize| {
        let steps = (length as f32 * scale / SIDE_STEP as f32).round() as usize;
        steps.max(1) * SIDE_STEP
    };
    (side(width), side(height))
}

/// The pixels as the network wants them: planes of blue, green, red, normalised.
fn normalise(picture: &Picture) -> NdTensor<f32, 4> {
    let area = picture.width * picture.height;
    let mut planes = vec![0.0; 3 * area];
    let (blue, rest) = planes.split_at_mut(area);
    let (green, red) = rest.split_at_mut(area);
    let normal = |value: u8, plane: usize| (f32::from(value) - MEAN[plane]) / DEVIATION[plane];
    for (index, rgb) in picture.pixels.chunks_exact(3).enumerate() {
        blue[index] = normal(rgb[2], 0);
        green[index] = normal(rgb[1], 1);
        red[index] = normal(rgb[0], 2);
    }
    NdTensor::from_data([1, 3, picture.height, picture.width], planes)
}

/// Takes the boxes of the cells that are sure enough.
fn read_grid(grid: &NdTensorView<f32, 4>, stride: f32, score_min: f32, boxes: &mut Vec<BoundingBox>) {
    let [_, _, rows, columns] = grid.shape();
    for row in 0..rows {
        for column in 0..columns {
            let score = 1.0 / (1.0 + (-grid[[0, 0, row, column]]).exp());
            if score < score_min || score.is_nan() {
                continue;
            }
            let edge = |which: usize| {
                let logits = std::array::from_fn(|step| grid[[0, 1 + which * STEPS + step, row, column]]);
                expected_step(logits) * stride
            };
            let (x, y) = ((column as f32 + 0.5) * stride, (row as f32 + 0.5) * stride);
            let [left, top, right, bottom] = [edge(0), edge(1), edge(2), edge(3)];
            boxes.push(BoundingBox {
                x: x - left,
                y: y - top,
                width: left + right,
                height: top + bottom,
                score,
            });
        }
    }
}

/// The mean of a distribution over the steps 0, 1, ... that is given by logits.
fn expected_step(logits: [f32; STEPS]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (step, logit) in logits.iter().enumerate() {
        let weight = (logit - highest).exp();
        sum += weight;
        weighted += weight * step as f32;
    }
    weighted / sum
}

/// Keeps the surest box of every group of boxes that overlap (greedy non-maximum suppression).
fn suppress(mut boxes: Vec<BoundingBox>) -> Vec<BoundingBox> {
    boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
    boxes.truncate(CANDIDATES_MAX);
    let mut kept: Vec<BoundingBox> = Vec::new();
    for one in boxes {
        if kept.iter().all(|other| overlap(&one, other) <= OVERLAP_MAX) {
            kept.push(one);
        }
    }
    kept
}

/// The common area of two boxes as a share of the area they cover together.
fn overlap(a: &BoundingBox, b: &BoundingBox) -> f32 {
    let width = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
    let height = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let common = width * height;
    common / (a.width * a.height + b.width * b.height - common)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, score: f32) -> BoundingBox {
        BoundingBox { x, y: 0.0, width: 10.0, height: 20.0, score }
    }

    #[test]
    fn of_overlapping_boxes_the_surest_stays() {
        let kept = suppress(vec![at(0.0, 0.5), at(2.0, 0.9), at(30.0, 0.6), at(31.0, 0.7)]);
        assert_eq!(kept.iter().map(|b| b.x).collect::<Vec<_>>(), [2.0, 31.0]);
        assert!((overlap(&at(0.0, 1.0), &at(5.0, 1.0)) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(overlap(&at(0.0, 1.0), &at(10.0, 1.0)), 0.0);
    }

    #[test]
    fn a_distance_is_the_mean_of_its_distribution() {
        assert!((expected_step([0.0; STEPS]) - 5.0).abs() < 1e-5);
        let mut sure = [-50.0; STEPS];
        sure[7] = 50.0;
        assert!((expected_step(sure) - 7.0).abs() < 1e-5);
    }

    #[test]
    fn the_network_takes_whole_steps() {
        assert_eq!(network_size(384, 288), (384, 288));
        assert_eq!(network_size(768, 576), (384, 288));
        assert_eq!(network_size(320, 240), (320, 256));
        assert_eq!(network_size(40, 33), (32, 32));
        assert_eq!(network_size(4096, 32), (384, 32));
    }

    #[test]
    fn a_grid_gives_the_boxes_of_its_sure_cells() {
        let mut grid = NdTensor::<f32, 4>::full([1, 45, 2, 3], -20.0);
        grid[[0, 0, 1, 2]] = 3.0;
        for (edge, step) in [1, 2, 3, 4].into_iter().enumerate() {
            grid[[0, 1 + edge * STEPS + step, 1, 2]] = 20.0;
        }
        let mut boxes = Vec::new();
        read_grid(&grid.view(), 8.0, 0.5, &mut boxes);
        let [one] = boxes[..] else { panic!("{boxes:?}") };
        let found = [one.x, one.y, one.width, one.height];
        assert!(found.iter().zip([12.0, -4.0, 32.0, 48.0]).all(|(a, b)| (a - b).abs() < 1e-3), "{one:?}");
    }
}
