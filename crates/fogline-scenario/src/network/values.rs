//! The properties of a link: delay, jitter, rate, losses and other mishaps.

use crate::fields::{Fields, boolean, choice, measured};
use crate::findings::Findings;
use crate::network::{inner_hint, queue};
use crate::shaping::LinkValues;
use crate::yaml::{Kind, Node};
use crate::{Place, Spanned};
use link::{Jitter, JitterShape, LossModel};
use units::{Delay, Percent};

/// Keys of [`LinkValues`].
pub(super) const KEYS: [&str; 8] =
    ["delay", "jitter", "rate", "loss", "reorder", "duplicate", "corrupt", "queue"];
/// Longest delay that is taken: a day. Sums of delays then never leave the clock's range.
const DELAY_MAX: Delay = Delay::from_millis(24 * 3_600_000);

/// Reads the properties among `fields`.
pub(super) fn read(fields: &Fields<'_>, findings: &mut Findings) -> LinkValues {
    let mut share =
        |key: &str| fields.get(key).and_then(|node| measured(node, &format!("`{key}`"), findings));
    let (reorder, duplicate, corrupt) = (share("reorder"), share("duplicate"), share("corrupt"));
    LinkValues {
        delay: fields.get("delay").and_then(|node| delay(node, "`delay`", findings)),
        jitter: fields.get("jitter").and_then(|node| jitter(node, findings)),
        rate: fields.get("rate").and_then(|node| measured(node, "`rate`", findings)),
        loss: fields.get("loss").and_then(|node| loss(node, findings)),
        reorder,
        duplicate,
        corrupt,
        queue: fields.get("queue").and_then(|node| queue::read(node, findings)),
    }
}

/// A delay of at most a day.
fn delay(node: &Node, what: &str, findings: &mut Findings) -> Option<Spanned<Delay>> {
    let delay: Spanned<Delay> = measured(node, what, findings)?;
    if delay.value > DELAY_MAX {
        let message = format!("{what} is {}, longer than a day", delay.value);
        findings.error(&delay.place, message, "write a shorter one, for example 50ms".to_owned());
        return None;
    }
    Some(delay)
}

fn jitter(node: &Node, findings: &mut Findings) -> Option<Spanned<Jitter>> {
    let spanned = |value| Some(Spanned { value, place: node.place.clone() });
    let plain = |spread: Spanned<Delay>| Jitter {
        spread: spread.value,
        shape: JitterShape::Uniform,
        correlation: Percent::NONE,
        reorder: false,
    };
    if !matches!(node.kind, Kind::Map(_)) {
        return spanned(plain(delay(node, "`jitter`", findings)?));
    }
    let known = ["spread", "distribution", "correlation", "reorder"];
    let fields = Fields::closed(node, "`jitter`", &known, findings)?;
    let spread = fields.required("spread", "5ms", findings);
    let spread = spread.and_then(|node| delay(node, "`spread`", findings));
    let names = ["uniform", "normal", "pareto"];
    let shape = fields.get("distribution").map(|node| choice(node, "distribution", &names, findings));
    let correlation: Option<Spanned<Percent>> =
        fields.get("correlation").and_then(|node| measured(node, "`correlation`", findings));
    let reorder = fields.get("reorder").map(|node| boolean(node, "`reorder` of a jitter", findings));
    let (mut jitter, shape) = (plain(spread?), shape.unwrap_or(Some(uniform(&node.place)))?);
    jitter.shape = match shape.value {
        "normal" => JitterShape::Normal,
        "pareto" => JitterShape::Pareto,
        _ => JitterShape::Uniform,
    };
    jitter.reorder = reorder.flatten().unwrap_or(false);
    if let Some(correlation) = correlation {
        jitter.correlation = correlation.value;
        if jitter.spread == Delay::ZERO && correlation.value != Percent::NONE {
            let message = "a correlation without jitter: the spread is 0";
            findings.error(&correlation.place, message, "give `spread` a time, for example 5ms".to_owned());
        }
    }
    spanned(jitter)
}

fn uniform(place: &Place) -> Spanned<&'static str> {
    Spanned { value: "uniform", place: place.clone() }
}

/// A percentage, or a map of the Gilbert-Elliott model's four probabilities.
fn loss(node: &Node, findings: &mut Findings) -> Option<Spanned<LossModel>> {
    let spanned = |value| Some(Spanned { value, place: node.place.clone() });
    if !matches!(node.kind, Kind::Map(_)) {
        let share: Spanned<Percent> = measured(node, "`loss`", findings)?;
        return spanned(LossModel::Independent(share.value));
    }
    let fields = Fields::open(node, "`loss`", findings)?;
    let known = ["to_bad", "to_good", "bad", "good", "p", "r", "1-h", "1-k"];
    for (key, _) in fields.pairs().iter().filter(|(key, _)| !known.contains(&key.value.as_str())) {
        let message = format!("unknown key `{}` in `loss`", key.value);
        findings.error(&key.place, message, inner_hint(&key.value, &known));
    }
    let mut of = |key: &str, short: &str| -> Option<Option<Percent>> {
        let (long, brief) = (fields.get(key), fields.get(short));
        if let (Some(_), Some(second)) = (long, brief) {
            let message = format!("`{key}` and `{short}` are the same");
            findings.error(&second.place, message, "keep one of the two".to_owned());
        }
        let Some(node) = long.or(brief) else { return Some(None) };
        measured(node, &format!("`{key}`"), findings).map(|share| Some(share.value))
    };
    let (to_bad, to_good) = (of("to_bad", "p"), of("to_good", "r"));
    let (bad, good) = (of("bad", "1-h"), of("good", "1-k"));
    let (Some(to_bad), Some(to_good)) = (to_bad?, to_good?) else {
        let message = "a loss in bursts needs `to_bad` and `to_good`";
        let hint = "for example {to_bad: 1%, to_good: 25%}: 4 % of packets in bursts of 4 on average";
        findings.error(&node.place, message, hint.to_owned());
        return None;
    };
    let full = Percent::from_fraction(1.0).unwrap_or_default();
    let (bad, good) = (bad?.unwrap_or(full), good?.unwrap_or_default());
    if to_good == Percent::NONE && to_bad != Percent::NONE {
        let message = "a link that turns bad never turns good again: `to_good` is 0%";
        findings.warning(&node.place, message, "for example `to_good: 25%`".to_owned());
    }
    spanned(LossModel::GilbertElliott { to_bad, to_good, bad, good })
}
