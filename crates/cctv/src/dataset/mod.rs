//! `cctv dataset`: prepares the frames that the cameras replay.
//!
//! Without further options this is the campus sequence: `vtest.avi` from Debian's package `opencv-doc`, fetched
//! and unpacked without root, decoded once with ffmpeg, and cut into 40 streams. Any video and any folder of
//! JPEGs can take its place. A complete data set is recognised and reused; an incomplete one, or one that was
//! made with other options, is built again beside the old one and then takes its place as a whole.

mod debian;
mod ffmpeg;
mod folder;
mod manifest;
mod scratch;
mod source;
#[cfg(test)]
mod tests;
mod tool;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use manifest::{Manifest, Shape};
use source::{Choice, Material};

/// Options of `cctv dataset`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DatasetArgs {
    /// Cut this video instead of the campus sequence.
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    video: Option<PathBuf>,
    /// Take the .jpg files of this folder, in the order of their names, instead of the campus sequence.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Where the data set goes [default: a folder in $XDG_CACHE_HOME/fogline or ~/.cache/fogline].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Number of streams; they become the folders data-1, data-2, ...
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    streams: u32,
    /// Width of the frames in pixels, even; the height follows from the aspect.
    #[arg(long, default_value_t = 384, value_parser = clap::value_parser!(u32).range(64..=4096))]
    width: u32,
    /// JPEG quality on ffmpeg's scale: 2 is best, 31 is smallest.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=31))]
    quality: u32,
    /// Say where the data set is, and what is in it, as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Prepares the data set, or recognises it, and prints where it is.
///
/// # Errors
/// When a tool or package is missing, the source is not what it should be, or the target cannot be written.
pub(crate) fn run(args: DatasetArgs) -> Result<(), Failure> {
    if !args.width.is_multiple_of(2) {
        return Err(Failure::usage(format!(
            "--width {} is odd; a JPEG with halved chroma needs an even one",
            args.width
        )));
    }
    let shape = Shape { streams: args.streams, width: args.width, quality: args.quality };
    let cache = cache_folder()?;
    let choice = Choice::new(args.video.as_deref(), args.images.as_deref(), &cache)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => cache.join(choice.folder_name(shape)),
    };
    let (manifest, reused) = prepare(&choice, shape, &out, &cache)?;
    print(&manifest, &out, reused, args.json)
}

/// The data set in `out`, and whether it was there already.
fn prepare(choice: &Choice, shape: Shape, out: &Path, cache: &Path) -> Result<(Manifest, bool), Failure> {
    folder::check_target(out)?;
    match folder::complete(out, shape, choice.sha256()) {
        Ok(manifest) => return Ok((manifest, true)),
        Err(reason) => progress(&format!("preparing {} ({reason})", out.display())),
    }
    let material = choice.obtain(cache)?;
    let manifest = build(&material, shape, out, cache)?;
    Ok((manifest, false))
}

fn build(material: &Material, shape: Shape, out: &Path, cache: &Path) -> Result<Manifest, Failure> {
    let place = folder::Building::beside(out)?;
    let decoder = ffmpeg::Decoder::find(cache)?;
    progress(&format!("decoding {} with {}", material.name, decoder.version()));
    let frames = place.path().join("frames");
    decoder.decode(&material.input, shape, &frames)?;
    progress(&format!("cutting into {} streams", shape.streams));
    let manifest = manifest::cut(material, shape, &frames, place.path())?;
    place.move_to(out, shape, &material.sha256)?;
    Ok(manifest)
}

/// The folder for downloads and default data sets.
fn cache_folder() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let cache = cache.ok_or_else(|| {
        Failure::failed(
            "neither XDG_CACHE_HOME nor HOME is set, so there is no place for downloads; set one of them",
        )
    })?;
    Ok(cache.join("fogline"))
}

fn print(manifest: &Manifest, out: &Path, reused: bool, json: bool) -> Result<(), Failure> {
    let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let line = if json {
        manifest.summary(&out, reused).to_string()
    } else {
        let state = if reused { "is ready" } else { "was prepared" };
        format!(
            "The data set {state} in {}: {} frames of {}x{} in {} streams, {:.1} KB per frame, truth known for {}.",
            out.display(),
            manifest.frames,
            manifest.width,
            manifest.height,
            manifest.streams.len(),
            manifest.bytes_mean / 1e3,
            manifest.frames_with_truth(),
        )
    };
    writeln!(io::stdout(), "{line}")
        .map_err(|error| Failure::failed(format!("cannot write to standard output: {error}")))
}

/// One line about what goes on, for whoever waits.
fn progress(line: &str) {
    // Nobody reading it is no reason to stop.
    let _ = writeln!(io::stderr(), "dataset: {line}");
}
