//! Blocks of `changes:`, in a rule or beside `networks`.

use super::traces::Traces;
use super::{inner_hint, values};
use crate::Spanned;
use crate::fields::{Fields, boolean, measured, text};
use crate::findings::Findings;
use crate::shaping::{Effect, NetworkChange, Target};
use crate::yaml::Node;
use link::{Schedule, Trace};
use units::Delay;

/// Keys of every change beside those of [`values::KEYS`].
const KEYS: [&str; 5] = ["at", "for", "every", "cut", "trace"];
/// Keys that say which links a change beside `networks` is about.
const TARGET_KEYS: [&str; 4] = ["hosts", "src", "dst", "symmetric"];
/// The longest run: a week.
const TIME_MAX: Delay = Delay::from_millis(604_800_000);
/// The shortest repetition that the emulator takes.
const EVERY_MIN: Delay = Delay::from_millis(1);

/// A change of the links of the rule in which it stands.
pub(super) fn of_rule(
    node: &Node,
    traces: &mut Traces<'_>,
    findings: &mut Findings,
) -> Option<NetworkChange> {
    let known: Vec<&str> = KEYS.iter().chain(&values::KEYS).copied().collect();
    let fields = open(node, &known, findings)?;
    read(node, &fields, Some(Target::Rule), traces, findings)
}

/// A change that names its links itself.
pub(super) fn of_file(
    node: &Node,
    traces: &mut Traces<'_>,
    findings: &mut Findings,
) -> Option<NetworkChange> {
    let known: Vec<&str> = KEYS.iter().chain(&TARGET_KEYS).chain(&values::KEYS).copied().collect();
    let fields = open(node, &known, findings)?;
    let target = target(&fields, findings);
    read(node, &fields, target, traces, findings)
}

/// Whether links get a rate by it.
pub(super) fn gives_rate(change: &NetworkChange) -> bool {
    match &change.effect {
        Effect::Cut => false,
        Effect::Alter(values) => values.rate.is_some(),
        Effect::Follow { trace: Trace::Deliveries(_), .. } => true,
        Effect::Follow { trace: Trace::Steps(steps), .. } => steps.iter().any(|step| step.rate.is_some()),
    }
}

fn open<'a>(node: &'a Node, known: &[&str], findings: &mut Findings) -> Option<Fields<'a>> {
    let fields = Fields::open(node, "a change", findings)?;
    for (key, _) in fields.pairs().iter().filter(|(key, _)| !known.contains(&key.value.as_str())) {
        let hint = match key.value.as_str() {
            of_rule @ ("share" | "congestion" | "seed" | "ecn" | "loss_unit" | "changes") => {
                format!("`{of_rule}` belongs to a rule and holds for the whole run")
            }
            of_file @ ("hosts" | "src" | "dst" | "symmetric") => {
                format!("a change with `{of_file}` stands at the top level, beside `networks`")
            }
            other => inner_hint(other, known),
        };
        findings.error(&key.place, format!("unknown key `{}` in a change", key.value), hint);
    }
    Some(fields)
}

fn read(
    node: &Node,
    fields: &Fields<'_>,
    target: Option<Target>,
    traces: &mut Traces<'_>,
    findings: &mut Findings,
) -> Option<NetworkChange> {
    let schedule = schedule(fields, findings);
    let effect = effect(fields, traces, findings);
    Some(NetworkChange { place: node.place.clone(), schedule: schedule?, target: target?, effect: effect? })
}

fn schedule(fields: &Fields<'_>, findings: &mut Findings) -> Option<Schedule> {
    let at = fields.required("at", "30s", findings).and_then(|node| time(node, "at", findings));
    let lasts = fields.get("for").map(|node| time(node, "for", findings));
    let every = fields.get("every").map(|node| time(node, "every", findings));
    if let Some(every) = every.as_ref().filter(|_| lasts.is_none()) {
        let place = every.as_ref().map_or(fields.place(), |every| &every.place);
        let message = "`every` without `for`: the change would never end before it begins again";
        findings.error(place, message, "say how long it lasts, for example `for: 10s`".to_owned());
    }
    let lasts = match lasts {
        Some(lasts) => Some(lasts?),
        None => None,
    };
    let every = match every {
        Some(every) => Some(every?),
        None => None,
    };
    if let Some(lasts) = lasts.as_ref().filter(|lasts| lasts.value == Delay::ZERO) {
        let message = "a change that lasts no time";
        findings.error(&lasts.place, message, "leave `for` out if it shall last to the end".to_owned());
    } else if let (Some(lasts), Some(every)) = (&lasts, &every)
        && lasts.value >= every.value
    {
        let message = format!(
            "the change lasts {} and begins again every {}: it would never end",
            lasts.value, every.value
        );
        findings.error(
            &lasts.place,
            message,
            "make `for` shorter than `every`, or leave both out".to_owned(),
        );
    }
    if let Some(every) = every.as_ref().filter(|every| every.value < EVERY_MIN) {
        let message = format!("`every` is {}: packets would notice no more than the mean", every.value);
        findings.error(&every.place, message, format!("write {EVERY_MIN} or more"));
    }
    let value = |time: Spanned<Delay>| time.value;
    Some(Schedule { at: value(at?), lasts: lasts.map(value), every: every.map(value) })
}

fn time(node: &Node, key: &str, findings: &mut Findings) -> Option<Spanned<Delay>> {
    let time: Spanned<Delay> = measured(node, &format!("`{key}`"), findings)?;
    if time.value > TIME_MAX {
        let message = format!("`{key}` is {}, longer than the longest run", time.value);
        findings.error(&time.place, message, "a run lasts at most 604800s, a week".to_owned());
        return None;
    }
    Some(time)
}

fn target(fields: &Fields<'_>, findings: &mut Findings) -> Option<Target> {
    let ends = ["src", "dst", "symmetric"].iter().find_map(|key| fields.get(key));
    match (fields.get("hosts"), ends) {
        (Some(hosts), None) => {
            let alters = values::KEYS.iter().chain(&["trace"]).find_map(|key| fields.get(key));
            if let Some(other) = alters {
                let message = "the links of `hosts` can only be cut";
                let hint = "name the links by `src` and `dst` to alter them".to_owned();
                findings.error(&other.place, message, hint);
                return None;
            }
            text(hosts, "`hosts`", findings).map(Target::Hosts)
        }
        (Some(_), Some(other)) => {
            let message = "`hosts` beside `src` or `dst`: it means all links of these hosts, both ways";
            findings.error(&other.place, message, "keep `hosts`, or `src` and `dst`".to_owned());
            None
        }
        (None, None) => {
            let message = "a change beside `networks` must say which links it is about";
            let hint = "add `src` and `dst`, or `hosts`; or put it into a rule's own `changes`".to_owned();
            findings.error(fields.place(), message, hint);
            None
        }
        (None, Some(_)) => {
            let mut end = |key, example| {
                fields.required(key, example, findings).and_then(|n| text(n, &format!("`{key}`"), findings))
            };
            let (source, destination) = (end("src", "cloud"), end("dst", "fog"));
            let symmetric = fields.get("symmetric").and_then(|n| boolean(n, "`symmetric`", findings));
            Some(Target::Pairs {
                source: source?,
                destination: destination?,
                symmetric: symmetric.unwrap_or(false),
            })
        }
    }
}

fn effect(fields: &Fields<'_>, traces: &mut Traces<'_>, findings: &mut Findings) -> Option<Effect> {
    let altered = values::KEYS.iter().find_map(|key| fields.get(key).map(|node| (*key, node)));
    let values = values::read(fields, findings);
    let (cut, trace) = (fields.get("cut"), fields.get("trace"));
    if let Some(node) = cut {
        let on = boolean(node, "`cut`", findings)?;
        if !on {
            let hint = "leave it out: a link is whole unless something cuts it".to_owned();
            findings.error(&node.place, "`cut: false` changes nothing", hint);
            return None;
        }
        if let Some((key, node)) = altered.or(trace.map(|node| ("trace", node))) {
            let message = format!("`{key}` beside `cut: true`: nothing passes a link that is cut");
            findings.error(&node.place, message, "make two changes of it".to_owned());
            return None;
        }
        return Some(Effect::Cut);
    }
    if let Some(node) = trace {
        if let Some((key, altered)) = altered {
            let message = format!("`{key}` beside `trace`: the links follow the trace");
            let hint =
                "make two changes of it; of two in force at once, the later in the file wins".to_owned();
            findings.error(&altered.place, message, hint);
            return None;
        }
        let name = text(node, "`trace`", findings)?;
        let trace = traces.get(&name, findings)?;
        return Some(Effect::Follow { name, trace });
    }
    if altered.is_none() {
        let hint = "give it `cut: true`, `trace: FILE`, or other values such as `loss: 20%`".to_owned();
        findings.error(fields.place(), "a change that alters nothing", hint);
        return None;
    }
    Some(Effect::Alter(Box::new(values)))
}
