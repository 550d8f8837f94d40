//! What is written down about a task.

use super::item::ItemResult;
use crate::play::item_text;
use fogline_journal::{RunPhase, TaskEnded};
use fogline_scenario::Task;
use serde_json::{Value, json};

/// Longest end of an output in an event or a failure, in bytes.
const TAIL_BYTES_MAX: usize = 2 << 10;
/// Longest end of an output in `workflow-validate.out`, in bytes.
const OUTPUT_BYTES_MAX: usize = 16 << 10;

/// Who ran what.
pub(super) struct Heading<'h> {
    pub(super) phase: RunPhase,
    pub(super) entry: &'h str,
    pub(super) host: &'h str,
    pub(super) name: &'h str,
    pub(super) task: &'h Task,
}

/// The last bytes of `text`, at most `bytes_max` of them, in whole characters.
pub(super) fn tail(text: &str, bytes_max: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

pub(super) fn short_tail(text: &str) -> String {
    tail(text, TAIL_BYTES_MAX).to_owned()
}

/// The event for the journal.
pub(super) fn event(heading: &Heading<'_>, result: &ItemResult) -> TaskEnded {
    let outcome = &result.outcome;
    TaskEnded {
        phase: heading.phase,
        entry: heading.entry.to_owned(),
        host: heading.host.to_owned(),
        task: heading.name.to_owned(),
        module: heading.task.module.value.clone(),
        place: heading.task.place.to_string(),
        item: result.item.as_ref().map(item_text),
        rc: outcome.rc,
        changed: outcome.changed,
        failed: outcome.failed,
        skipped: outcome.skipped,
        message: outcome.message.as_deref().map(short_tail),
        stdout_tail: short_tail(&outcome.stdout),
        stderr_tail: short_tail(&outcome.stderr),
        elapsed_ms: (result.elapsed.as_secs_f64() * 1e6).round() / 1e3,
    }
}

/// The record for `workflow-validate.out`.
pub(super) fn returned(heading: &Heading<'_>, result: &ItemResult) -> Value {
    let outcome = &result.outcome;
    let status = match outcome {
        outcome if outcome.failed => "FAILED",
        outcome if outcome.skipped => "SKIPPED",
        _ => "OK",
    };
    let mut record = serde_json::Map::new();
    record.insert("host".into(), json!(heading.host));
    record.insert("status".into(), json!(status));
    record.insert("task".into(), json!(heading.name));
    if let Some(item) = &result.item {
        record.insert("item".into(), item.clone());
    }
    if outcome.failed && heading.task.ignore_errors {
        record.insert("ignored".into(), json!(true));
    }
    record.extend(outcome.fields.clone());
    record.insert("changed".into(), json!(outcome.changed));
    if let Some(message) = &outcome.message {
        record.insert("msg".into(), json!(message));
    }
    if let Some(rc) = outcome.rc {
        record.insert("rc".into(), json!(rc));
        record.insert("stdout".into(), json!(tail(&outcome.stdout, OUTPUT_BYTES_MAX)));
        record.insert("stderr".into(), json!(tail(&outcome.stderr, OUTPUT_BYTES_MAX)));
    }
    Value::Object(record)
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn tails_are_whole_characters() {
        assert_eq!(tail("abc", 10), "abc");
        assert_eq!(tail("abc", 2), "bc");
        assert_eq!(tail("aüb", 2), "b");
        assert_eq!(tail("aüb", 3), "üb");
    }
}
