//! Plain block YAML that YAML 1.1 and 1.2 readers understand alike.

use serde_json::Value;
use std::fmt::Write;

/// `value` as a YAML document in block style, ending in a newline.
///
/// Strings are plain where every reader takes them for strings, literal blocks where they have lines, and quoted
/// otherwise.
pub fn to_yaml(value: &Value) -> String {
    document(value)
}

pub(crate) fn document(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0),
        // The indentation of a literal block that is the whole document is read differently by different readers.
        Value::String(text) if !is_plain(text) => {
            quoted(&mut out, text);
            out.push('\n');
        }
        other => {
            scalar(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

fn pad(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn mapping(out: &mut String, map: &serde_json::Map<String, Value>, depth: usize) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            pad(out, depth);
        }
        // A literal block cannot be a key.
        if is_plain(key) {
            out.push_str(key)
        } else {
            quoted(out, key)
        }
        out.push(':');
        match value {
            // PyYAML writes a mapping's list at the mapping's own depth.
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                pad(out, depth);
                sequence(out, items, depth);
            }
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                pad(out, depth + 1);
                mapping(out, inner, depth + 1);
            }
            other => {
                out.push(' ');
                scalar(out, other, depth + 1);
                out.push('\n');
            }
        }
    }
}

fn sequence(out: &mut String, items: &[Value], depth: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            pad(out, depth);
        }
        out.push_str("- ");
        match item {
            Value::Array(inner) if !inner.is_empty() => sequence(out, inner, depth + 1),
            Value::Object(inner) if !inner.is_empty() => mapping(out, inner, depth + 1),
            other => {
                scalar(out, other, depth + 1);
                out.push('\n');
            }
        }
    }
}

fn scalar(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(text) if is_plain(text) => out.push_str(text),
        Value::String(text) if is_literal(text) => literal(out, text, depth),
        Value::String(text) => quoted(out, text),
        // Empty ones too: `[]` and `{}` are YAML.
        other => _ = write!(out, "{other}"),
    }
}

/// Words that YAML 1.1 or 1.2 reads as something else than a string.
const RESERVED: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];

fn is_plain(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let safe = |c: char| c.is_ascii_alphanumeric() || "_./@%+=,- ".contains(c);
    let word = starts && text.chars().all(safe) && !text.ends_with(' ') && !text.contains("  ");
    let reserved = RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text));
    (word && !reserved && text.len() <= 200) || is_address(text)
}

/// Four numbers with dots, which no reader takes for a number.
fn is_address(text: &str) -> bool {
    text.parse::<std::net::Ipv4Addr>().is_ok()
}

fn is_literal(text: &str) -> bool {
    let printable = |c: char| {
        matches!(c, '\n' | '\t') || (' '..='~').contains(&c) || ('\u{a1}'..='\u{d7ff}').contains(&c)
    };
    let breaks = |c: char| matches!(c, '\u{2028}' | '\u{2029}');
    let content = text.trim_end_matches('\n');
    content.contains('\n') && text.chars().all(printable) && !text.contains(breaks)
}

fn literal(out: &mut String, text: &str, depth: usize) {
    let content = text.trim_end_matches('\n');
    let ends = text.len() - content.len();
    let chomp = match ends {
        0 => "-",
        1 => "",
        _ => "+",
    };
    // The indentation is said outright, so that a first line may begin with spaces.
    _ = write!(out, "|2{chomp}");
    for line in content.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, depth);
            out.push_str(line);
        }
    }
    out.extend(std::iter::repeat_n('\n', ends.saturating_sub(1)));
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' | '\u{a1}'..='\u{d7ff}' if !matches!(c, '\u{2028}' | '\u{2029}') => out.push(c),
            other if (other as u32) < 0x1_0000 => _ = write!(out, "\\u{:04x}", other as u32),
            other => _ = write!(out, "\\U{:08x}", other as u32),
        }
    }
    out.push('"');
}
