//! Looking selectors up, with what to say when they match nothing.

use crate::HostId;
use crate::selector::{Directory, Selector, without_machine};
use fogline_scenario::{Findings, Spanned, nearest};
use std::collections::BTreeSet;

/// How many known names a hint lists.
const LISTED_MAX: usize = 8;

/// The services that `selector` (the value of `what`) selects; reports every pattern that matches nothing. Empty
/// means that nothing can be done with it, and that this has been reported.
pub(crate) fn look_up(
    selector: &Spanned<String>,
    what: &str,
    directory: Directory<'_>,
    findings: &mut Findings,
) -> Vec<usize> {
    let parsed = match Selector::parse(&selector.value) {
        Ok(parsed) => parsed,
        Err(message) => {
            findings.error(&selector.place, format!("`{what}`: {message}"), None);
            return Vec::new();
        }
    };
    let selection = parsed.select(directory);
    if selection.services.is_empty() {
        let message = format!("`{what}: {}` selects no host", selector.value);
        let missing = selection.unmatched.first().map_or(selector.value.as_str(), String::as_str);
        findings.error(&selector.place, message, known(missing, directory));
    } else {
        for pattern in &selection.unmatched {
            let message = format!("`{pattern}` in `{what}` matches nothing");
            findings.warning(&selector.place, message, known(pattern, directory));
        }
    }
    selection.services
}

/// The hosts that `selector` selects: as in the files, or by their own names.
pub(crate) fn hosts_named(selector: &str, directory: Directory<'_>) -> Result<Vec<HostId>, String> {
    let plain = selector.trim().to_lowercase();
    if let Some(host) = directory.hosts.iter().position(|host| host.name == plain) {
        return Ok(vec![HostId(host)]);
    }
    let selection = Selector::parse(selector)?.select(Directory { by_host: true, ..directory });
    let missing = selection.unmatched.first().map(String::as_str);
    if let Some(missing) = missing.or(selection.services.is_empty().then_some(selector)) {
        return Err(format!("`{missing}` selects no host; {}", known(missing, directory)));
    }
    Ok(selection.services.into_iter().map(|service| directory.services[service].host).collect())
}

/// The nearest name or, when none is near, the names there are.
fn known(pattern: &str, directory: Directory<'_>) -> String {
    let pattern = pattern.trim_start_matches(['&', '!']).trim();
    let mut keys = Vec::new();
    let mut layers = Vec::new();
    for service in directory.services {
        let general = generalised(&service.key);
        if !keys.contains(&general) {
            keys.push(general);
        }
        if !layers.contains(&service.layer.to_lowercase()) {
            layers.push(service.layer.to_lowercase());
        }
    }
    let exact = directory.services.iter().map(|service| without_machine(&service.key).to_owned());
    let roles = directory.hosts.iter().flat_map(|host| host.roles.iter().map(|role| role.to_lowercase()));
    let candidates: BTreeSet<String> = keys.iter().cloned().chain(exact).chain(roles).collect();
    match nearest(pattern, candidates.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            // What shares the pattern's first part is the likeliest.
            let start = pattern.split('.').next().unwrap_or_default().to_lowercase();
            keys.sort_by_key(|key| key.split('.').next() != Some(start.as_str()));
            let names = keys.iter().chain(&layers).map(String::as_str);
            let listed: Vec<&str> = names.take(LISTED_MAX).collect();
            let more = if layers.len() + keys.len() > LISTED_MAX { ", ..." } else { "" };
            format!("there are: {}{more}", listed.join(", "))
        }
    }
}

/// `cloud.kafka.2.leader.1` to `cloud.kafka.*.leader`, as selectors are usually written.
fn generalised(key: &str) -> String {
    let parts = without_machine(key).split('.').enumerate();
    parts.map(|(at, part)| if at == 2 { "*" } else { part }).collect::<Vec<_>>().join(".")
}
