//! HTML tables whose cells are always escaped.

use crate::chart::escape;

/// A table under construction.
pub(crate) struct Table {
    html: String,
    numeric: Vec<bool>,
}

impl Table {
    /// A table with these column headings; a heading that starts with `#` makes a column of numbers.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let numeric: Vec<bool> = headings.iter().map(|heading| heading.starts_with('#')).collect();
        let mut table = Self { html: String::from("<div class=\"scroll\"><table><thead>"), numeric };
        let cells: Vec<String> =
            headings.iter().map(|heading| heading.trim_start_matches('#').to_owned()).collect();
        table.line("th", &cells);
        table.html.push_str("</thead><tbody>");
        table
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: &[String]) {
        self.line("td", cells);
    }

    /// The whole table.
    pub(crate) fn finish(mut self) -> String {
        self.html.push_str("</tbody></table></div>");
        self.html
    }

    fn line(&mut self, tag: &str, cells: &[String]) {
        self.html.push_str("<tr>");
        for (index, cell) in cells.iter().enumerate() {
            let class = if self.numeric.get(index).copied().unwrap_or(false) { " class=\"n\"" } else { "" };
            self.html.push_str(&format!("<{tag}{class}>{}</{tag}>", escape(cell)));
        }
        self.html.push_str("</tr>");
    }
}

/// A number with `digits` decimals, or a dash.
pub(crate) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
