//! Tables for a terminal.

/// Appends a table with a title, the number of its rows and a blank line.
pub(crate) fn section(text: &mut String, title: &str, headings: &[&str], rows: Vec<Vec<String>>) {
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([headings[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    text.push_str(&format!("{title} ({})\n", rows.len()));
    text.push_str(&line(&headings.iter().map(|heading| (*heading).to_owned()).collect::<Vec<_>>()));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text.push('\n');
}
