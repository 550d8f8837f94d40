//! Changes that change nothing.

use super::Network;
use fogline_scenario::Findings;
use link::Action;
use std::collections::BTreeMap;

/// Warns of changes after which all is as before.
pub(super) fn check(network: &Network<'_>, findings: &mut Findings) {
    let plan = network.plan;
    let mut touched: BTreeMap<usize, usize> = BTreeMap::new();
    for link in plan.changes.iter().flat_map(|planned| &planned.change.links) {
        *touched.entry(*link).or_default() += 1;
    }
    for planned in &plan.changes {
        let change = &planned.change;
        if change.links.is_empty() {
            let message = "this change is about no link: later rules replace all pairs of its rule";
            findings.warning(&planned.place, message, "put it into the rule that holds".to_owned());
            continue;
        }
        let Action::Alter(patch) = change.action else { continue };
        // Where another change is at work, this one may be what ends it.
        let idle = |link: &usize| {
            let profile = plan.links[*link].profile;
            touched[link] == 1 && patch.applied_to(&profile) == profile
        };
        if change.links.iter().all(idle) {
            let message = format!("this change alters nothing: the links have {patch} anyway");
            findings.warning(&planned.place, message, "give it other values than the rule's".to_owned());
        }
    }
}
