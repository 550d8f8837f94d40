//! What there is instead, in messages.

pub(crate) use fogline_scenario::nearest;

/// Words that a list in a message names before it says how many more there are.
const LISTED_MAX: usize = 24;

/// `a, b, c`, cut after a while.
pub(crate) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let shown: Vec<&str> = words.iter().take(LISTED_MAX).map(AsRef::as_ref).collect();
    match words.len().saturating_sub(LISTED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn long_lists_are_cut() {
        let words: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert!(listed(&words).ends_with("23 and 6 more"));
        assert_eq!(listed(&["a", "b"]), "a, b");
    }
}
