//! `queue:` of a rule or a change.

use crate::Spanned;
use crate::fields::{Fields, choice, measured, written};
use crate::findings::Findings;
use crate::yaml::{Kind, Node};
use link::{Discipline, Limit, Queue};
use units::{Delay, Size};

/// Most packets a queue can be given; ten million full frames are 15 GB.
const PACKETS_MAX: u32 = 10_000_000;
const DISCIPLINES: [&str; 2] = ["drop_tail", "codel"];

/// A limit (`100`, `100 packets`, `64kib`, `20ms`), a discipline (`codel`), or a map of both.
pub(super) fn read(node: &Node, findings: &mut Findings) -> Option<Spanned<Queue>> {
    let queue = match &node.kind {
        Kind::Map(_) => map(node, findings),
        _ => match node.text().map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            Some("codel") => Some(Queue { discipline: Discipline::CODEL, ..Queue::default() }),
            Some("drop_tail") => Some(Queue::default()),
            _ => limit(node, "`queue`", findings)
                .map(|limit| Queue { limit, discipline: Discipline::DropTail }),
        },
    };
    queue.map(|value| Spanned { value, place: node.place.clone() })
}

fn map(node: &Node, findings: &mut Findings) -> Option<Queue> {
    let fields = Fields::closed(node, "`queue`", &["limit", "discipline", "target", "interval"], findings)?;
    let given = fields.get("limit").map(|node| limit(node, "`limit`", findings));
    let name = fields.get("discipline").map(|node| choice(node, "discipline", &DISCIPLINES, findings));
    let mut time = |key: &str| -> Option<Option<Spanned<Delay>>> {
        let Some(node) = fields.get(key) else { return Some(None) };
        measured(node, &format!("`{key}`"), findings).map(Some)
    };
    let (target, interval) = (time("target"), time("interval"));
    let limit = given.unwrap_or(Some(Limit::default()))?;
    let codel = match name {
        None => false,
        Some(name) => name?.value == "codel",
    };
    let (target, interval) = (target?, interval?);
    if !codel {
        if let Some(other) = target.or(interval) {
            let message = "`target` and `interval` belong to CoDel, which this queue does not use";
            findings.error(&other.place, message, "add `discipline: codel`".to_owned());
        }
        return Some(Queue { limit, discipline: Discipline::DropTail });
    }
    let of = |asked: &Option<Spanned<Delay>>, millis| {
        asked.as_ref().map_or(Delay::from_millis(millis), |asked| asked.value)
    };
    let (aim, round) = (of(&target, 5), of(&interval, 100));
    if aim >= round {
        let place = target.or(interval).map_or_else(|| node.place.clone(), |asked| asked.place);
        let message = format!("CoDel's target ({aim}) is not shorter than its interval ({round})");
        let hint = "the target is 5 % to 10 % of the interval, which is about the longest round trip";
        findings.error(&place, message, hint.to_owned());
        return None;
    }
    Some(Queue { limit, discipline: Discipline::Codel { target: aim, interval: round } })
}

/// A number of packets, a size or a time.
fn limit(node: &Node, what: &str, findings: &mut Findings) -> Option<Limit> {
    let text = written(node, what, findings)?;
    let lower = text.value.trim().to_ascii_lowercase();
    let count = lower.strip_suffix("packets").or_else(|| lower.strip_suffix("packet")).unwrap_or(&lower);
    let count = count.trim_end();
    let counted = !count.is_empty() && count.bytes().all(|c| c.is_ascii_digit());
    let hint = "a number of packets (100), a size (64kib) or a time (20ms)";
    let limit = if counted {
        count.parse().ok().filter(|count| *count <= PACKETS_MAX).map(Limit::Packets)
    } else if let Ok(time) = lower.parse::<Delay>() {
        Some(Limit::Time(time))
    } else if lower.ends_with('b') {
        lower.parse::<Size>().ok().map(Limit::Bytes)
    } else {
        None
    };
    let empty = [Limit::Packets(0), Limit::Bytes(Size::from_bytes(0)), Limit::Time(Delay::ZERO)];
    match limit {
        None => {
            let expected = match what {
                _ if counted => format!("at most {PACKETS_MAX} packets"),
                "`queue`" => format!("{hint}, or `codel`"),
                _ => hint.to_owned(),
            };
            let message = format!("`{}` is not a queue", crate::yaml::shortened(&text.value));
            findings.error(&text.place, message, format!("expected {expected}"));
            None
        }
        Some(limit) if empty.contains(&limit) => {
            let message = "a queue without room: what does not find the link idle would be dropped";
            findings.error(&text.place, message, format!("give it {hint}"));
            None
        }
        limit => limit,
    }
}
