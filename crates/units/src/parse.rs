//! Reading and printing a number with a unit.

use std::fmt;

/// A text that is not a value of the unit, with what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: expected {expected}")]
pub struct ParseError {
    /// The unit that was expected: `delay`, `rate`, `percentage` or `size`.
    pub what: &'static str,
    /// The text as it was given.
    pub text: String,
    /// What would be right, with an example.
    pub expected: String,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, text: &str, expected: impl Into<String>) -> Self {
        Self { what, text: text.to_owned(), expected: expected.into() }
    }
}

/// Parses `<number><unit>`, case-insensitive, blanks allowed between the two, into whole base units.
///
/// The longest unit that the text ends with decides, so that `5ms` is not five `m` seconds.
pub(crate) fn scaled(
    text: &str,
    what: &'static str,
    units: &[(&str, f64)],
    example: &str,
) -> Result<u64, ParseError> {
    let refused = || {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
        ParseError::new(
            what,
            text,
            format!("a number and a unit ({}), for example {example}", names.join(", ")),
        )
    };
    let lower = text.trim().to_ascii_lowercase();
    let (number, scale) = units
        .iter()
        .filter_map(|(name, scale)| lower.strip_suffix(name).map(|rest| (rest, *scale)))
        .min_by_key(|(rest, _)| rest.len())
        .ok_or_else(refused)?;
    let number = number.trim_end();
    let plain = number.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    if number.starts_with('-') {
        let least = if what == "rate" { "above zero" } else { "of zero or more" };
        return Err(ParseError::new(what, text, format!("a {what} {least}, for example {example}")));
    }
    let value = number.parse::<f64>().ok().filter(|_| plain).ok_or_else(refused)? * scale;
    if value > 9e18 {
        return Err(ParseError::new(what, text, format!("a smaller {what}, for example {example}")));
    }
    Ok(value.round() as u64)
}

/// Prints `value` in the largest unit that divides it without a remainder.
pub(crate) fn print_scaled(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let smallest = units.last().copied().unwrap_or(("", 1));
    let (name, scale) = units
        .iter()
        .copied()
        .find(|(_, scale)| value >= *scale && value.is_multiple_of(*scale))
        .unwrap_or(smallest);
    write!(f, "{}{name}", value / scale)
}
