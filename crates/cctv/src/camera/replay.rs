//! The pictures a camera replays: the JPEG files of a folder, in order, over and over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::mqtt::JPEG_BYTES_MAX;

/// The name of the file with the true counts, beside the pictures.
const TRUTH_FILE: &str = "truth.csv";

/// One picture of the stream.
#[derive(Clone, Debug)]
struct Picture {
    file: PathBuf,
    truth: Option<u32>,
}

/// A folder of JPEG files in the order of their names. They are read when they are due: the page cache is
/// shared by all cameras of a machine, a copy per process would not be.
#[derive(Debug)]
pub(super) struct Replay {
    pictures: Vec<Picture>,
    /// The picture of frame 0.
    begin: u64,
}

impl Replay {
    /// Lists the pictures of `folder` and reads their truth where there is one.
    ///
    /// # Errors When the folder cannot be read, holds no JPEG, a picture is too large for one MQTT packet, or
    /// the truth is malformed.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let unreadable = |error: io::Error| {
            Failure::failed(format!("cannot read the data folder {}: {error}", folder.display()))
        };
        let mut pictures = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if is_jpeg(&file) {
                check_size(&file)?;
                pictures.push(Picture { file, truth: None });
            }
        }
        if pictures.is_empty() {
            return Err(Failure::failed(format!(
                "{} holds no .jpg file; `cctv dataset` prepares such folders",
                folder.display()
            )));
        }
        pictures.sort_by(|a, b| a.file.cmp(&b.file));
        let mut replay = Self { pictures, begin: 0 };
        replay.read_truth(&folder.join(TRUTH_FILE))?;
        Ok(replay)
    }

    /// Begins at the picture that `seed` falls on, so that cameras which share a folder do not show the same at the
    /// same time.
    pub(super) fn beginning_by(mut self, seed: u64) -> Self {
        self.begin = seed % self.pictures.len() as u64;
        self
    }

    /// The picture for frame `k`, and the true number of people on it where that is known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn take(&self, k: u64) -> Result<(Vec<u8>, Option<u32>), Failure> {
        let count = self.pictures.len() as u64;
        let picture = &self.pictures[((self.begin + k % count) % count) as usize];
        let jpeg = fs::read(&picture.file)
            .map_err(|error| Failure::failed(format!("cannot read {}: {error}", picture.file.display())))?;
        Ok((jpeg, picture.truth))
    }

    /// Reads `file,people` lines; a first line that names the columns is skipped.
    fn read_truth(&mut self, file: &Path) -> Result<(), Failure> {
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Failure::failed(format!("cannot read {}: {error}", file.display()))),
        };
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let mut cells = line.split(',').map(str::trim);
            let (name, people) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
            match people.parse() {
                Ok(people) => self.note_truth(name, people),
                Err(_) if index == 0 => {}
                Err(_) => {
                    return Err(Failure::failed(format!(
                        "{}:{}: {people:?} is not a number of people; lines read FILE,PEOPLE",
                        file.display(),
                        index + 1
                    )));
                }
            }
        }
        Ok(())
    }

    fn note_truth(&mut self, name: &str, people: u32) {
        let named = |picture: &&mut Picture| picture.file.file_name().is_some_and(|file| file == name);
        if let Some(picture) = self.pictures.iter_mut().find(named) {
            picture.truth = Some(people);
        }
    }
}

fn is_jpeg(file: &Path) -> bool {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    extension.eq_ignore_ascii_case("jpg") || extension.eq_ignore_ascii_case("jpeg")
}

fn check_size(file: &Path) -> Result<(), Failure> {
    let size = fs::metadata(file)
        .map_err(|error| Failure::failed(format!("cannot read {}: {error}", file.display())))?
        .len();
    if size > JPEG_BYTES_MAX {
        return Err(Failure::failed(format!(
            "{} has {size} bytes; a camera sends at most {JPEG_BYTES_MAX} in one MQTT packet",
            file.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_loop_in_order_with_their_truth() {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in [("b.jpg", "B"), ("a.jpg", "A"), ("notes.txt", "N")] {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        fs::write(dir.path().join(TRUTH_FILE), "file,people\nb.jpg,4\n").unwrap();
        let replay = Replay::open(dir.path()).unwrap();
        let shifted = Replay::open(dir.path()).unwrap().beginning_by(1);
        assert_eq!(shifted.take(0).unwrap(), replay.take(1).unwrap());
        let taken: Vec<_> = (0..3).map(|k| replay.take(k).unwrap()).collect();
        assert_eq!(taken, [(b"A".to_vec(), None), (b"B".to_vec(), Some(4)), (b"A".to_vec(), None)]);
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Replay::open(dir.path()).unwrap_err().message.contains("no .jpg"));
        assert!(Replay::open(&dir.path().join("gone")).unwrap_err().message.contains("gone"));
        fs::write(dir.path().join("a.jpg"), "A").unwrap();
        fs::write(dir.path().join(TRUTH_FILE), "file,people\na.jpg,few\n").unwrap();
        assert!(Replay::open(dir.path()).unwrap_err().message.contains("truth.csv:2"));
    }
}
