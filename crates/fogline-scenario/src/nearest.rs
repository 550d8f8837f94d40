//! "Did you mean": the known word nearest to a mistyped one.

/// The candidate nearest to `word` when it is near enough to be a slip of the keyboard: one edit, or one in
/// every three characters of a longer word, compared without case.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(edits, candidate)| *edits <= limit && *edits < candidate.chars().count())
        .filter(|(edits, candidate)| *edits == 1 || same_start(word, candidate))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Whether both begin with the same letter; slips of two keys seldom hit the first one.
fn same_start(a: &str, b: &str) -> bool {
    let first = |text: &str| text.chars().next().map(|c| c.to_ascii_lowercase());
    first(a) == first(b)
}

/// The hint for an unknown `word`: the nearest candidate, or all of them.
pub fn hint(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("one of: {}", candidates.join(", ")),
    }
}

/// Edits (insert, delete, replace, swap of neighbours) between two words: the optimal string alignment distance.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut edits = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                edits = edits.min(before[j - 1] + 1);
            }
            row.push(edits);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(nearest("quantiy", ["quantity", "repeat"]), Some("quantity"));
        assert_eq!(nearest("shlel", ["shell", "stat"]), Some("shell"));
        assert_eq!(nearest("nodes", ["roles", "name"]), None);
        assert_eq!(nearest("KAFKA", ["Kafka"]), Some("Kafka"));
        assert_eq!(nearest("zookeeper", ["leader", "broker"]), None);
        assert_eq!(nearest("source", ["force", "src"]), None);
        assert_eq!(nearest("", ["a"]), None);
        assert_eq!(hint("xyz", &["fog", "edge"]), "one of: fog, edge");
    }
}
