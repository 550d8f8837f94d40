//! Arguments in one line: `src=a dest="b c"`, and `chdir=/x` among the words of a command.

use std::ops::Range;

/// The words of `text`, as byte ranges. Quotes and template braces hold a word together.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begin = None;
    let mut quote = None;
    let mut braces = 0usize;
    let mut escaped = false;
    let mut previous = ' ';
    for (at, c) in text.char_indices() {
        let blank = c.is_whitespace() && quote.is_none() && braces == 0;
        match begin {
            None if !blank => begin = Some(at),
            Some(first) if blank => {
                found.push(first..at);
                begin = None;
            }
            _ => {}
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' | '%' if previous == '{' => braces += 1,
            '}' if matches!(previous, '}' | '%') => braces = braces.saturating_sub(1),
            '"' | '\'' if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() && braces == 0 => quote = Some(c),
            _ => {}
        }
        previous = c;
    }
    found.extend(begin.map(|first| first..text.len()));
    found
}

/// `key=value`, the value without its quotes.
fn pair(word: &str) -> Option<(&str, &str)> {
    let (key, value) = word.split_once('=')?;
    let name = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let unquoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
    name.then_some((key, unquoted.unwrap_or(value)))
}

/// All of `text` as `key=value` words.
///
/// # Errors
/// The first word that is none.
pub(crate) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let each = words(text).into_iter().map(|range| {
        let word = &text[range];
        pair(word).map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| word.to_owned())
    });
    each.collect()
}

/// Takes words `key=value` whose key is one of `keys` out of a command line; the rest stays as it is.
pub(crate) fn extract(text: &str, keys: &[&str]) -> (String, Vec<(String, String)>) {
    let mut rest = String::new();
    let mut taken = Vec::new();
    let mut copied = 0;
    for range in words(text) {
        let Some((key, value)) = pair(&text[range.clone()]).filter(|(key, _)| keys.contains(key)) else {
            continue;
        };
        taken.push((key.to_owned(), value.to_owned()));
        rest.push_str(&text[copied..range.start]);
        copied = range.end;
    }
    rest.push_str(&text[copied..]);
    if taken.is_empty() { (rest, taken) } else { (rest.trim().to_owned(), taken) }
}

#[cfg(test)]
mod tests {
    use super::{extract, pairs};

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn pairs_keep_quotes_and_braces_together() {
        let text = r#"src={{ working_dir }}/a.txt dest="/opt/b c" mode='0644'"#;
        let expected = owned(&[("src", "{{ working_dir }}/a.txt"), ("dest", "/opt/b c"), ("mode", "0644")]);
        assert_eq!(pairs(text), Ok(expected));
        assert_eq!(pairs("src=a nonsense"), Err("nonsense".to_owned()));
    }

    #[test]
    fn commands_lose_only_the_keywords() {
        let keys = ["chdir", "creates"];
        assert_eq!(extract("dd if=/a of=/b", &keys), ("dd if=/a of=/b".to_owned(), Vec::new()));
        assert_eq!(
            extract("make  install chdir=/src creates=/bin/x", &keys),
            ("make  install".to_owned(), owned(&[("chdir", "/src"), ("creates", "/bin/x")]))
        );
        let quoted = r#"echo "chdir=/x" 'a  b' {{ "chdir=/y" }}"#;
        assert_eq!(extract(quoted, &keys), (quoted.to_owned(), Vec::new()));
        assert_eq!(extract("  two  spaces\n", &keys).0, "  two  spaces\n");
    }
}
