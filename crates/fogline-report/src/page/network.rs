//! The section on the network: asked, measured, changed, and how well the emulator kept its word.

use super::table::{Table, number};
use crate::Evaluation;
use crate::chart::escape;
use crate::network::{Account, NetworkView, Packets, Stretch};
use fogline_journal::{ChangedBy, Manifest, NetworkMeasured, NetworkRule};
use link::Share;

/// Changes that are listed; a schedule may have thousands.
const STRETCHES_MAX: usize = 200;

/// Devices with drops that are listed.
const DEVICES_MAX: usize = 20;

/// The whole section.
pub(super) fn network(evaluation: &Evaluation, manifest: &Manifest) -> String {
    let view = &evaluation.network;
    let mut html = format!("<h2>Network</h2>{}", measured(&view.measured));
    html.push_str(&changes(view));
    if let Some(account) = &view.account {
        html.push_str(&packets(view, account));
        html.push_str(&lateness(view, account));
        html.push_str(&devices(account));
        html.push_str(&facts(view, account, manifest));
    }
    html
}

/// Each rule as asked and as measured before launch.
fn measured(rules: &[NetworkMeasured]) -> String {
    let varies = rules.iter().any(|rule| rule.jitter_ms_asked.is_some());
    let sized = rules.iter().any(|rule| rule.mtu.is_some());
    let mut headings = vec!["rule", "from", "to", "#delay asked, ms", "#measured"];
    headings.extend(["#jitter asked, ms", "#measured"].iter().filter(|_| varies));
    headings.extend(["#rate asked, Mbit/s", "#measured", "#loss asked, %", "#measured"]);
    headings.extend(["#MTU, bytes"].iter().filter(|_| sized));
    headings.push("agrees");
    let mut table = Table::new(&headings);
    for rule in rules {
        let mbit = |bits: Option<u64>| number(bits.map(|bits| bits as f64 / 1e6), 1);
        let percent = |fraction: f64| fraction * 100.0;
        let mut row = vec![rule.rule.clone(), rule.source.clone(), rule.destination.clone()];
        row.extend([number(Some(rule.delay_ms_asked), 2), number(rule.delay_ms, 2)]);
        if varies {
            row.extend([number(rule.jitter_ms_asked, 2), number(rule.jitter_ms, 2)]);
        }
        row.extend([mbit(rule.rate_bits_per_s_asked), mbit(rule.rate_bits_per_s)]);
        row.extend([number(Some(percent(rule.loss_asked)), 2), number(rule.loss.map(percent), 2)]);
        if sized {
            row.push(rule.mtu.map_or_else(|| "–".to_owned(), |mtu| mtu.to_string()));
        }
        row.push(if rule.agrees { "yes" } else { "NO" }.to_owned());
        table.row(&row);
    }
    format!("<h3>Measured before launch, one way</h3>{}", table.finish())
}

/// When the network was another one, on the axis of the run phase.
fn changes(view: &NetworkView) -> String {
    let stretches = &view.changes.stretches;
    if stretches.is_empty() {
        return String::new();
    }
    let low = stretches.iter().map(|stretch| stretch.from_s).fold(0.0, f64::min);
    let ends = stretches.iter().map(|stretch| stretch.to_s.unwrap_or(stretch.from_s));
    let high = ends.fold(view.changes.run_s, f64::max).max(low + 1e-3);
    let mut rows = String::new();
    for stretch in stretches.iter().take(STRETCHES_MAX) {
        rows.push_str(&change_row(stretch, low, high));
    }
    let more = stretches.len().saturating_sub(STRETCHES_MAX);
    let more = if more > 0 { format!("<p class=\"dim\">And {more} more.</p>") } else { String::new() };
    format!(
        "<h3>Changes</h3><div class=\"scroll\"><table><thead><tr><th class=\"n\">from, s</th><th class=\"n\">to, s</th><th>by</th>\
         <th>change</th><th class=\"n\">links</th><th class=\"time\">{low:.0} s to {high:.0} s of the run phase</th></tr></thead>\
         <tbody>{rows}</tbody></table></div>{more}"
    )
}

fn change_row(stretch: &Stretch, low: f64, high: f64) -> String {
    let share = |time: f64| (time - low) / (high - low) * 100.0;
    let (left, right) = (share(stretch.from_s), share(stretch.to_s.unwrap_or(high)));
    let class = if stretch.by == ChangedBy::Hand { "hand" } else { "timeline" };
    format!(
        "<tr><td class=\"n\">{:.1}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td>\
         <td class=\"time\"><i class=\"{class}\" style=\"margin-left:{left:.2}%;width:{:.2}%\"></i></td></tr>",
        stretch.from_s,
        number(stretch.to_s, 1),
        stretch.by.name(),
        escape(&stretch.what),
        stretch.links,
        (right - left).max(0.3),
    )
}

/// What became of the packets, rule by rule.
fn packets(view: &NetworkView, account: &Account) -> String {
    let Some(plan) = &view.plan else { return String::new() };
    let sums: Vec<(&NetworkRule, Packets)> = plan
        .rules
        .iter()
        .map(|rule| (rule, sum(rule.links.iter().filter_map(|link| account.links.get(*link)))))
        .collect();
    let always = ["entered", "delivered", "lost by model", "queue full"];
    // What happened nowhere is left out.
    let shown: Vec<(usize, &str)> = Packets::default()
        .named()
        .iter()
        .enumerate()
        .filter(|(at, (name, _))| {
            always.contains(name) || sums.iter().any(|(_, packets)| packets.named()[*at].1 > 0)
        })
        .map(|(at, (name, _))| (at, *name))
        .collect();
    let numeric: Vec<String> = shown.iter().map(|(_, name)| format!("#{name}")).collect();
    let mut headings = vec!["from", "to", "asked", "#links"];
    headings.extend(numeric.iter().map(String::as_str));
    let mut table = Table::new(&headings);
    for (rule, packets) in &sums {
        let mut row = vec![rule.source.clone(), rule.destination.clone(), asked(rule)];
        row.push(rule.links.len().to_string());
        row.extend(shown.iter().map(|(at, _)| packets.named()[*at].1.to_string()));
        table.row(&row);
    }
    format!(
        "<h3>Packets of the run, rule by rule</h3>{}<p class=\"dim\">Packets on the wire, without the probes before launch. \
         What entered and what was duplicated is what was delivered, lost, cut, dropped (queue full, CoDel, memory full) or \
         still on its way at the end. {} more packets passed between hosts that no rule shapes.</p>",
        table.finish(),
        account.unshaped.packets
    )
}

fn asked(rule: &NetworkRule) -> String {
    let mut said = vec![rule.profile.to_string()];
    if rule.share != Share::Pair {
        said.push(format!("rate shared by {}", rule.share));
    }
    said.extend(rule.congestion.map(|control| format!("tcp {control}")));
    said.extend(rule.seed.map(|seed| format!("seed {seed}")));
    said.join(", ")
}

fn sum<'a>(links: impl Iterator<Item = &'a Packets>) -> Packets {
    let mut total = Packets::default();
    links.for_each(|link| total.add(link));
    total
}

/// How late packets left, against the bound.
fn lateness(view: &NetworkView, account: &Account) -> String {
    if account.by_delay.iter().all(|group| group.lateness.count == 0) {
        return String::from(
            "<h3>Punctuality</h3><p class=\"none\">The lateness of no packet was measured.</p>",
        );
    }
    let millis = |nanos: u64| number(Some(nanos as f64 / 1e6), 3);
    let mut table = Table::new(&[
        "#delay asked, ms",
        "#packets",
        "#late p50, ms",
        "#p99",
        "#max",
        "#bound of p99",
        "kept",
    ]);
    for group in account.by_delay.iter().filter(|group| group.lateness.count > 0) {
        let late = &group.lateness;
        let bounds = view.verdict.iter().flat_map(|verdict| &verdict.late);
        let bound =
            bounds.filter(|bound| bound.delay_ns == group.delay_ns).map(|bound| bound.bound_ns).next();
        let mut row = vec![millis(group.delay_ns), late.count.to_string()];
        row.extend([late.p50_ns, late.p99_ns, late.max_ns].map(millis));
        row.push(bound.map_or_else(|| "–".to_owned(), millis));
        let kept = bound.map(|bound| if late.p99_ns <= bound { "yes" } else { "NO" });
        row.push(kept.unwrap_or("–").to_owned());
        table.row(&row);
    }
    let all = &account.lateness;
    format!(
        "<h3>Punctuality</h3>{}<p class=\"dim\">How long after its time a packet left, by the delay that its link was planned \
         with; all links together {} ms (p50), {} ms (p99), {} ms at most, over {} packets.</p>",
        table.finish(),
        millis(all.p50_ns),
        millis(all.p99_ns),
        millis(all.max_ns),
        all.count
    )
}

/// Frames that devices dropped although the network asked for would not have.
fn devices(account: &Account) -> String {
    let mut dropping: Vec<_> = account.devices.iter().filter(|device| device.dropped() > 0).collect();
    if dropping.is_empty() {
        return format!("<p>None of the {} devices dropped a frame.</p>", account.devices.len());
    }
    dropping.sort_by_key(|device| std::cmp::Reverse(device.dropped()));
    let mut table = Table::new(&["device of", "#sent by the host", "#sent to the host", "#refused"]);
    for device in dropping.iter().take(DEVICES_MAX) {
        let counts = [device.transmit_dropped, device.receive_dropped, device.refused];
        let mut row = vec![device.node.clone()];
        row.extend(counts.map(|count| count.to_string()));
        table.row(&row);
    }
    let title = format!("Frames dropped at {} of {} devices", dropping.len(), account.devices.len());
    format!("<h3>{title}</h3>{}", table.finish())
}

/// How the network was made.
fn facts(view: &NetworkView, account: &Account, manifest: &Manifest) -> String {
    let elapsed = account.elapsed_s.max(1e-9);
    let mut table = Table::new(&["emulator", "value"]);
    let mut row = |what: &str, value: String| table.row(&[what.to_owned(), value]);
    row("data path", account.data_path.clone());
    row("offload", account.offload.clone());
    row("deadlines and scheduling", format!("{}, {}", account.timer, account.scheduling));
    row(
        "CPU",
        format!("{:.0} % of a core, over {:.1} s", 100.0 * account.cpu_s / elapsed, account.elapsed_s),
    );
    for (number, worker) in account.workers.iter().enumerate() {
        let (cpu, stalled) = (100.0 * worker.cpu_s / elapsed, 100.0 * worker.stalled_s / elapsed);
        let value = format!("{cpu:.0} % of a core, {stalled:.1} % of the time ready but without one");
        row(&format!("worker {} of {}", number + 1, account.workers.len()), value);
    }
    row("congestion control", manifest.congestion.clone());
    row("seed", account.seed.to_string());
    if let Some(verdict) = &view.verdict {
        let late = verdict.bounds.late;
        let late = late.map_or_else(|| "1 ms, or 5 % of the delay".to_owned(), |late| late.to_string());
        row("bounds", format!("lateness p99 {late}; drops at devices {}", verdict.bounds.drops));
        let kept =
            if verdict.violations.is_empty() { "yes".to_owned() } else { verdict.violations.join("; ") };
        row("kept its word", kept);
    }
    format!("<h3>How the network was made</h3>{}", table.finish())
}
