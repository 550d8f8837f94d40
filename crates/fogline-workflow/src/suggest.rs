//! "Did you mean": the nearest known word.

/// Words that a list in a message names before it says how many more there are.
const LISTED_MAX: usize = 24;

/// The candidate nearest to `word`, if it is near enough to be a slip of the fingers.
pub(crate) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).max(1);
    let scored = candidates.map(|candidate| (distance(word, candidate), candidate));
    scored.filter(|(score, _)| *score <= limit).min().map(|(_, candidate)| candidate)
}

/// `a, b, c`, cut after a while.
pub(crate) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let shown: Vec<&str> = words.iter().take(LISTED_MAX).map(AsRef::as_ref).collect();
    match words.len().saturating_sub(LISTED_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Levenshtein's edit distance, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, listed, nearest};

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        assert_eq!(distance("kafka", "kafka"), 0);
        assert_eq!(distance("kfka", "Kafka"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("urll", ["url", "_id", "host"].into_iter()), Some("url"));
        assert_eq!(nearest("gateway", ["url", "_id"].into_iter()), None);
        assert_eq!(nearest("workign_dir", ["working_dir", "scenario_dir"].into_iter()), Some("working_dir"));
    }

    #[test]
    fn long_lists_are_cut() {
        let words: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert!(listed(&words).ends_with("23 and 6 more"));
        assert_eq!(listed(&["a", "b"]), "a, b");
    }
}
