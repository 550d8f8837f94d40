//! What is in a data set: `dataset.json`, and `truth.csv` beside the frames.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::source::Material;
use super::tool;
use crate::exit::Failure;

/// The manifest's file.
pub(super) const MANIFEST_FILE: &str = "dataset.json";
/// The file with the known truth, in the folder of each stream.
pub(super) const TRUTH_FILE: &str = "truth.csv";
/// Version of the manifest's form. A data set of another version is built again.
const FORMAT: u32 = 1;

/// The form the user wants the frames in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Number of streams.
    pub(super) streams: u32,
    /// Width of a frame in pixels.
    pub(super) width: u32,
    /// Quality on ffmpeg's scale.
    pub(super) quality: u32,
}

/// Where the frames come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    name: String,
    sha256: String,
    licence: Option<String>,
    acknowledgement: Option<String>,
}

/// One frame of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FrameEntry {
    pub(super) file: String,
    pub(super) bytes: u64,
    pub(super) people: Option<u32>,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stream {
    pub(super) name: String,
    /// Position of its first frame in the source.
    first_frame: u32,
    pub(super) frames: Vec<FrameEntry>,
}

/// The content of `dataset.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    source: Source,
    /// Frames in all streams.
    pub(super) frames: u32,
    /// Width of a frame in pixels.
    pub(super) width: u32,
    /// Height of a frame in pixels.
    pub(super) height: u32,
    quality: u32,
    /// Mean size of a frame in bytes.
    pub(super) bytes_mean: f64,
    /// The streams, in order.
    pub(super) streams: Vec<Stream>,
}

impl Manifest {
    /// Reads the manifest of a data set.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let text =
            fs::read(folder.join(MANIFEST_FILE)).map_err(|error| format!("no {MANIFEST_FILE}: {error}"))?;
        serde_json::from_slice(&text).map_err(|error| format!("{MANIFEST_FILE} is broken: {error}"))
    }

    /// Whether it describes frames of this source in this form; otherwise what differs.
    pub(super) fn check(&self, shape: Shape, sha256: &str) -> Result<(), String> {
        let wanted = [
            ("format", u64::from(FORMAT), u64::from(self.format)),
            ("streams", u64::from(shape.streams), self.streams.len() as u64),
            ("width", u64::from(shape.width), u64::from(self.width)),
            ("quality", u64::from(shape.quality), u64::from(self.quality)),
        ];
        if let Some((what, right, found)) = wanted.iter().find(|(_, right, found)| right != found) {
            return Err(format!("the data set there has {what} {found}, wanted {right}"));
        }
        if self.source.sha256 == sha256 {
            Ok(())
        } else {
            Err("the data set there has another source".to_owned())
        }
    }

    /// Frames whose number of people is known.
    pub(super) fn frames_with_truth(&self) -> usize {
        self.streams.iter().flat_map(|stream| &stream.frames).filter(|frame| frame.people.is_some()).count()
    }

    /// What `--json` prints.
    pub(super) fn summary(&self, folder: &Path, reused: bool) -> Value {
        json!({
            "path": folder,
            "reused": reused,
            "source": self.source,
            "frames": self.frames,
            "streams": self.streams.len(),
            "width": self.width,
            "height": self.height,
            "bytes_mean": self.bytes_mean,
            "frames_with_truth": self.frames_with_truth(),
        })
    }
}

/// Distributes the frames of `frames` over the folders of the streams in `folder`, and writes truth and manifest.
///
/// # Errors
/// When there are fewer frames than streams, or a file cannot be written.
pub(super) fn cut(
    material: &Material,
    shape: Shape,
    frames: &Path,
    folder: &Path,
) -> Result<Manifest, Failure> {
    let files = decoded(frames)?;
    let total = u32::try_from(files.len()).unwrap_or(u32::MAX);
    if total < shape.streams {
        return Err(Failure::usage(format!(
            "{} has {total} frames, too few for {} streams; ask for fewer with --streams",
            material.name, shape.streams
        )));
    }
    let (width, height) = size_of(&files[0])?;
    let mut streams = Vec::new();
    for index in 0..shape.streams {
        let share = |index: u32| u64::from(index) * u64::from(total) / u64::from(shape.streams);
        let (first, end) = (share(index) as usize, share(index + 1) as usize);
        streams.push(write_stream(material, folder, index, first, &files[first..end])?);
    }
    fs::remove_dir(frames).map_err(tool::io_failure("remove", frames))?;
    let bytes: u64 = streams.iter().flat_map(|stream| &stream.frames).map(|frame| frame.bytes).sum();
    let manifest = Manifest {
        format: FORMAT,
        source: Source {
            name: material.name.clone(),
            sha256: material.sha256.clone(),
            licence: material.licence.clone(),
            acknowledgement: material.acknowledgement.clone(),
        },
        frames: total,
        width,
        height,
        quality: shape.quality,
        bytes_mean: bytes as f64 / f64::from(total),
        streams,
    };
    write_manifest(&manifest, folder)?;
    Ok(manifest)
}

fn write_manifest(manifest: &Manifest, folder: &Path) -> Result<(), Failure> {
    let file = folder.join(MANIFEST_FILE);
    let text = serde_json::to_string_pretty(manifest)
        .map_err(|error| Failure::failed(format!("cannot write {} as JSON: {error}", file.display())))?;
    fs::write(&file, text + "\n").map_err(tool::io_failure("write", &file))
}

fn decoded(frames: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(frames).map_err(tool::io_failure("read", frames))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()
        .map_err(tool::io_failure("read", frames))?;
    files.sort();
    if files.is_empty() { Err(Failure::failed("ffmpeg found no frame in the source")) } else { Ok(files) }
}

fn write_stream(
    material: &Material,
    folder: &Path,
    index: u32,
    first: usize,
    files: &[PathBuf],
) -> Result<Stream, Failure> {
    let name = format!("data-{}", index + 1);
    let folder = folder.join(&name);
    fs::create_dir(&folder).map_err(tool::io_failure("create", &folder))?;
    let mut truth = String::from("file,people\n");
    let mut frames = Vec::new();
    for (offset, from) in files.iter().enumerate() {
        let file = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let to = folder.join(&file);
        fs::rename(from, &to).map_err(tool::io_failure("create", &to))?;
        let bytes = fs::metadata(&to).map_err(tool::io_failure("read", &to))?.len();
        let position = u32::try_from(first + offset).unwrap_or(u32::MAX);
        let people = material.truth.get(&position).copied();
        if let Some(people) = people {
            // Writing to a String cannot fail.
            let _ = writeln!(truth, "{file},{people}");
        }
        frames.push(FrameEntry { file, bytes, people });
    }
    let truth_file = folder.join(TRUTH_FILE);
    fs::write(&truth_file, truth).map_err(tool::io_failure("write", &truth_file))?;
    Ok(Stream { name, first_frame: u32::try_from(first).unwrap_or(u32::MAX), frames })
}

/// Width and height of a JPEG, from its frame header (ITU-T T.81, B.2.2).
fn size_of(file: &Path) -> Result<(u32, u32), Failure> {
    let jpeg = fs::read(file).map_err(tool::io_failure("read", file))?;
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = jpeg.get(at..at + 4) {
        if (0xc0..=0xc2).contains(&marker) {
            let Some(&[a, b, c, d]) = jpeg.get(at + 5..at + 9) else { break };
            return Ok((u32::from(u16::from_be_bytes([c, d])), u32::from(u16::from_be_bytes([a, b]))));
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    Err(Failure::failed(format!("{} is not a JPEG with a frame header", file.display())))
}
