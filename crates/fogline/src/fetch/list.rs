//! `fogline fetch --list`.

use super::show::megabytes;
use crate::software::lock::Lock;
use crate::software::{Places, command_for, state};
use crate::table::section;

/// All packages that this program knows, and where they are.
pub(crate) fn table(known: &[Lock], places: &Places) -> String {
    let rows = known.iter().map(|lock| {
        let (there, place) = state(lock, places);
        let files = lock.files.len();
        let size = if files == 0 { "-".to_owned() } else { megabytes(lock.bytes()) };
        let place = match (&place, there) {
            (Some(folder), _) => folder.display().to_string(),
            (None, "system") => lock.requires.iter().map(|needed| needed.package.clone()).collect(),
            (None, _) => command_for(&lock.name, Some(lock)),
        };
        vec![lock.name.clone(), lock.version.clone(), there.to_owned(), files.to_string(), size, place]
    });
    let mut text = String::new();
    let headings = ["package", "version", "is", "files", "MB", "where, or what brings it"];
    section(&mut text, "Software", &headings, rows.collect());
    let rows = known.iter().map(|lock| vec![lock.name.clone(), lock.licence.clone(), lock.summary.clone()]);
    section(&mut text, "Licences", &["package", "licence", "what it is"], rows.collect());
    text
}
