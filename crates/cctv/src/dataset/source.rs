//! Where the frames come from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian::Debian;
use super::manifest::Shape;
use super::scratch::Scratch;
use super::{progress, tool};
use crate::exit::Failure;

/// `vtest.avi` as OpenCV has shipped it since 2012.
const CAMPUS_SHA256: &str = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf";
const CAMPUS_PACKAGE: &str = "opencv-doc";
const CAMPUS_FILE: &str = "vtest.avi";
/// Where the package puts it when somebody has installed it.
const CAMPUS_INSTALLED: &str = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
const CAMPUS_NAME: &str = "PETS2009 S2.L1, view 1 (vtest.avi of Debian's opencv-doc)";
const CAMPUS_LICENCE: &str = "Copyright University of Reading; free for academic and industrial research. \
    Debian lists the package under Apache-2.0 and BSD-3-Clause. Not redistributed by this project.";
const CAMPUS_ACKNOWLEDGEMENT: &str = "PETS 2009 benchmark data, Computational Vision Group, University of Reading: \
    J. Ferryman and A. Shahrokni, \"PETS2009: Dataset and challenge\", IEEE PETS-Winter 2009.";
/// People on frames 10, 30, ..., 790, counted by this project from the pictures.
const CAMPUS_COUNTS: &str = include_str!("own_hand_counts_40.csv");

/// What the user wants the frames to come from.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    /// The campus sequence.
    Campus,
    /// A video file and its SHA-256.
    Video(PathBuf, String),
    /// A folder, its JPEG files in order, and the SHA-256 over them.
    Images(PathBuf, Vec<PathBuf>, String),
}

/// Something that ffmpeg can read.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A video file.
    Video(PathBuf),
    /// Pictures in this order.
    Images(Vec<PathBuf>),
}

/// A source that is at hand.
#[derive(Clone, Debug)]
pub(super) struct Material {
    pub(super) input: Input,
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) licence: Option<String>,
    pub(super) acknowledgement: Option<String>,
    /// The number of people on some of the frames, by position in the source.
    pub(super) truth: BTreeMap<u32, u32>,
}

impl Choice {
    /// Looks at what the options name.
    ///
    /// # Errors
    /// When the file or folder is not there, or the folder has no JPEG.
    pub(super) fn new(video: Option<&Path>, images: Option<&Path>, cache: &Path) -> Result<Self, Failure> {
        match (video, images) {
            (Some(file), _) if !file.is_file() => {
                Err(Failure::usage(format!("--video {} is not a file", file.display())))
            }
            (Some(file), _) => Ok(Self::Video(file.to_owned(), tool::sha256(file)?)),
            (None, Some(folder)) => {
                let files = pictures_of(folder)?;
                let sha256 = sha256_of_all(folder, &files, cache)?;
                Ok(Self::Images(folder.to_owned(), files, sha256))
            }
            (None, None) => Ok(Self::Campus),
        }
    }

    /// The SHA-256 of the source.
    pub(super) fn sha256(&self) -> &str {
        match self {
            Self::Campus => CAMPUS_SHA256,
            Self::Video(_, sha256) | Self::Images(_, _, sha256) => sha256,
        }
    }

    /// The name of the data set's folder in the cache.
    pub(super) fn folder_name(&self, shape: Shape) -> String {
        let source = if self.sha256() == CAMPUS_SHA256 { "campus" } else { &self.sha256()[..12] };
        format!("dataset-{source}-{}w-q{}-{}", shape.width, shape.quality, shape.streams)
    }

    /// Brings the source here.
    ///
    /// # Errors
    /// When the campus sequence can neither be found nor fetched.
    pub(super) fn obtain(&self, cache: &Path) -> Result<Material, Failure> {
        let (input, name) = match self {
            Self::Campus => return Ok(campus(Input::Video(campus_video(cache)?))),
            Self::Video(file, sha256) if sha256 == CAMPUS_SHA256 => {
                return Ok(campus(Input::Video(file.clone())));
            }
            Self::Video(file, _) => (Input::Video(file.clone()), file),
            Self::Images(folder, files, _) => (Input::Images(files.clone()), folder),
        };
        let name = name.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let sha256 = self.sha256().to_owned();
        Ok(Material { input, name, sha256, licence: None, acknowledgement: None, truth: BTreeMap::new() })
    }
}

fn campus(input: Input) -> Material {
    let counts = CAMPUS_COUNTS.lines().skip(1).filter_map(|line| {
        let (frame, people) = line.split_once(',')?;
        Some((frame.parse().ok()?, people.parse().ok()?))
    });
    Material {
        input,
        name: CAMPUS_NAME.to_owned(),
        sha256: CAMPUS_SHA256.to_owned(),
        licence: Some(CAMPUS_LICENCE.to_owned()),
        acknowledgement: Some(CAMPUS_ACKNOWLEDGEMENT.to_owned()),
        truth: counts.collect(),
    }
}

/// The campus video: installed, or fetched earlier, or fetched now.
fn campus_video(cache: &Path) -> Result<PathBuf, Failure> {
    let kept = cache.join(CAMPUS_FILE);
    for candidate in [Path::new(CAMPUS_INSTALLED), &kept] {
        if candidate.is_file() && tool::sha256(candidate)? == CAMPUS_SHA256 {
            return Ok(candidate.to_owned());
        }
    }
    fs::create_dir_all(cache).map_err(tool::io_failure("create", cache))?;
    let debian = Debian::new(cache)?;
    progress(&format!("fetching the package {CAMPUS_PACKAGE} (about 96 MB, once)"));
    let package = debian.download(&[CAMPUS_PACKAGE.to_owned()])?.remove(0);
    let fresh = debian.extract_file(&package, CAMPUS_FILE)?;
    let found = tool::sha256(&fresh)?;
    if found != CAMPUS_SHA256 {
        return Err(Failure::failed(format!(
            "{CAMPUS_FILE} of the package {} has the SHA-256 {found}, expected {CAMPUS_SHA256}; \
             give another source with --video or --images",
            package.file_name().unwrap_or_default().to_string_lossy()
        )));
    }
    fs::rename(&fresh, &kept).map_err(tool::io_failure("replace", &kept))?;
    Ok(kept)
}

fn pictures_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(tool::io_failure("read --images", folder))? {
        let file = entry.map_err(tool::io_failure("read --images", folder))?.path();
        let extension = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if matches!(extension.as_str(), "jpg" | "jpeg") && file.is_file() {
            files.push(std::path::absolute(&file).map_err(tool::io_failure("find", &file))?);
        }
    }
    if files.is_empty() {
        return Err(Failure::usage(format!("--images {} holds no .jpg file", folder.display())));
    }
    files.sort();
    Ok(files)
}

/// One sum for a folder: that of the list of names and sums.
fn sha256_of_all(folder: &Path, files: &[PathBuf], cache: &Path) -> Result<String, Failure> {
    let names = files.iter().filter_map(|file| file.file_name());
    let list = tool::run(Command::new("sha256sum").current_dir(folder).arg("--").args(names), "coreutils")?;
    let scratch = Scratch::new(cache, "list")?;
    let file = scratch.path().join("sha256sums");
    fs::write(&file, list).map_err(tool::io_failure("write", &file))?;
    tool::sha256(&file)
}
