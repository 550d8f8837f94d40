//! The file that samples are appended to.

use super::columns::header;
use crate::Failure;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An open file with its header.
pub(super) struct Samples {
    file: File,
    path: PathBuf,
}

impl Samples {
    /// Opens `path`; makes it, and its folder, if missing.
    ///
    /// # Errors
    /// When it cannot be opened, or is there with other columns.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |what| move |source| Failure::File { what, path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed("make the folder of"))?;
        }
        let open = OpenOptions::new().create(true).append(true).read(true).open(path);
        let mut file = open.map_err(failed("open"))?;
        prepare(&mut file).map_err(failed("append to"))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends whole lines.
    ///
    /// # Errors
    /// When the disk is full, for instance.
    pub(super) fn append(&mut self, lines: &str) -> Result<(), Failure> {
        let written = self.file.write_all(lines.as_bytes());
        written.map_err(|source| Failure::File { what: "write", path: self.path.clone(), source })
    }
}

/// Writes the header into an empty file; ends the last line of one that a killed process left.
fn prepare(file: &mut File) -> io::Result<()> {
    let len = file.metadata()?.len();
    if len == 0 {
        return file.write_all(header().as_bytes());
    }
    let expected = header();
    let mut first = Vec::new();
    BufReader::new(file.try_clone()?.take(expected.len() as u64 + 1)).read_until(b'\n', &mut first)?;
    if first != expected.as_bytes() {
        return Err(io::Error::other("it begins with other columns; give another file"));
    }
    file.seek(SeekFrom::Start(len - 1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_continued_and_a_foreign_one_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/er/flink.csv");
        Samples::open(&path).expect("made").append("1,a\n2").expect("written");
        Samples::open(&path).expect("opened again").append("3,c\n").expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), format!("{}1,a\n2\n3,c\n", header()));
        let foreign = folder.path().join("foreign.csv");
        fs::write(&foreign, "x,y\n1,2\n").expect("written");
        let refused = Samples::open(&foreign).err().expect("refused").to_string();
        assert!(refused.contains("other columns"), "{refused}");
        assert_eq!(fs::read_to_string(&foreign).expect("read"), "x,y\n1,2\n");
    }
}
