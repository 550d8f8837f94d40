//! Answers as a person or a script reads them.

use super::protocol::{Changed, Shown, ShownLinks, ShownPackets};
use crate::table::section;
use link::Profile;
use serde::Serialize;

/// Indented JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).map_or_else(|error| format!("{error}\n"), |text| text + "\n")
}

/// One sentence on a change.
pub(super) fn changed(changed: &Changed) -> String {
    let plural = if changed.links == 1 { "" } else { "s" };
    let mut text = format!("{}: {} ({} link{plural})\n", changed.place, changed.what, changed.links);
    if changed.unshaped > 0 {
        text.push_str(&format!(
            "  {} more ordered pairs of these hosts stay as they are: no rule shapes them\n",
            changed.unshaped
        ));
    }
    text
}

/// The rules with what their links do, and how late packets left.
pub(super) fn shown(shown: &Shown) -> String {
    let when = shown.at_s.map_or_else(
        || "the launch is not done yet".to_owned(),
        |at_s| format!("{at_s:.1} s after the launch"),
    );
    let mut text = format!("{} {}, {when}\n\n", shown.scenario, shown.run);
    let mut rows = Vec::new();
    let mut each = Vec::new();
    for rule in &shown.rules {
        for group in &rule.now {
            let by_hand = if group.by_hand { " (by hand)" } else { "" };
            let in_force = format!("{}{by_hand}", difference(&rule.asked, &group.in_force));
            let mut row = vec![rule.source.clone(), rule.destination.clone(), group.links.to_string()];
            row.extend([rule.asked.to_string(), in_force]);
            row.extend(numbers(&group.packets));
            rows.push(row);
            each.extend(link_rows(group));
        }
    }
    let headings =
        ["from", "to", "links", "asked", "now", "entered", "delivered", "lost", "cut", "dropped", "queued"];
    section(&mut text, "Rules, packets", &headings, rows);
    if !each.is_empty() {
        let headings = ["from", "to", "now", "entered", "delivered", "lost", "cut", "dropped", "queued"];
        section(&mut text, "Links, packets", &headings, each);
    }
    let late = shown.lateness.iter().map(|late| {
        [late.delay_ms, late.p50_ms, late.p99_ms, late.max_ms, late.bound_ms]
            .map(|ms| format!("{ms:.3}"))
            .to_vec()
    });
    let headings = ["delay asked, ms", "late p50, ms", "p99", "max", "bound of p99"];
    section(&mut text, "Lateness by delay", &headings, late.collect());
    text
}

/// What `now` does otherwise than `asked`: `cut`, `loss 20%, no jitter`.
fn difference(asked: &Profile, now: &Profile) -> String {
    let (before, after) = (asked.properties(), now.properties());
    let other = after.iter().filter(|property| !before.contains(property));
    let gone = before.iter().filter(|(name, _)| after.iter().all(|(kept, _)| kept != name));
    let said = other.map(|(name, value)| format!("{name} {value}").trim_end().to_owned());
    let said: Vec<String> = said.chain(gone.map(|(name, _)| format!("no {name}"))).collect();
    if said.is_empty() { "as asked".to_owned() } else { said.join(", ") }
}

fn link_rows(group: &ShownLinks) -> impl Iterator<Item = Vec<String>> {
    group.each.iter().map(|link| {
        let mut row = vec![link.source.clone(), link.destination.clone(), group.in_force.to_string()];
        row.extend(numbers(&link.packets));
        row
    })
}

fn numbers(packets: &ShownPackets) -> [String; 6] {
    let ShownPackets { entered, delivered, lost, cut, dropped, queued } = *packets;
    [entered, delivered, lost, cut, dropped, queued].map(|count| count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_otherwise_is_said() {
        let asked = Profile { delay: "5ms".parse().unwrap(), ecn: true, ..Profile::default() };
        let now = Profile { delay: "9ms".parse().unwrap(), cut: true, ..Profile::default() };
        assert_eq!(difference(&asked, &asked), "as asked");
        assert_eq!(difference(&asked, &now), "cut, delay 9ms, no ecn");
    }
}
