//! Selectors: Ansible's host patterns over role names and service keys, without regard to case.
//!
//! A selector is a list of patterns separated by `,` (or, without a comma, by `:`). Their union is taken first, then
//! every `&pattern` intersects it, then every `!pattern` takes away. A pattern is a name with `*`, `?` and `[...]`
//! as in a shell, or `~` and a regular expression anchored at its start; `[0]`, `[0:2]` (both ends included) or
//! `[1:]` at its end pick from the hosts that it matches. What is matched:
//!
//! - a role (layer name, service name, `1_2`, the scenario's own): every service on every host with that role;
//! - a service's key, `cloud.kafka.2.leader.1`;
//! - if no role and no key matches, a key without its machine number, as old scenarios write it;
//! - by hand on a running experiment also, if nothing else matches, a host's name.
//!
//! The result is in registration order with one service per host, the first one registered.

use crate::{Host, Service};
use regex_lite::Regex;
use std::collections::BTreeSet;

/// What selectors look through.
#[derive(Clone, Copy)]
pub(crate) struct Directory<'a> {
    pub(crate) hosts: &'a [Host],
    pub(crate) services: &'a [Service],
    /// Whether what matches nothing else may be a host's name.
    pub(crate) by_host: bool,
}

/// A parsed selector.
#[derive(Debug)]
pub(crate) struct Selector {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// As written, for messages.
    text: String,
    effect: Effect,
    matcher: Matcher,
    subscript: Option<Subscript>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Effect {
    Add,
    Keep,
    Remove,
}

#[derive(Debug)]
enum Matcher {
    Glob(Vec<char>),
    Regex(Regex),
}

/// `[first]` or `[first:last]`; negative numbers count from the end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Subscript {
    first: i64,
    last: Option<i64>,
}

/// What a selector found.
#[derive(Debug, PartialEq)]
pub(crate) struct Selection {
    /// Services, one per host, in registration order.
    pub(crate) services: Vec<usize>,
    /// Patterns that match nothing at all.
    pub(crate) unmatched: Vec<String>,
}

impl Selector {
    /// Parses a selector; the error says what is wrong with which pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = split(text);
        let patterns = parts.iter().map(|part| Pattern::parse(part)).collect::<Result<Vec<_>, _>>()?;
        if patterns.is_empty() {
            return Err("the selector is empty".to_owned());
        }
        Ok(Self { patterns })
    }

    /// Looks the selector up.
    pub(crate) fn select(&self, directory: Directory<'_>) -> Selection {
        let found: Vec<Vec<usize>> =
            self.patterns.iter().map(|pattern| pattern.services(directory)).collect();
        let of = |effect| self.patterns.iter().zip(&found).filter(move |(p, _)| p.effect == effect);
        let mut chosen: BTreeSet<usize> =
            of(Effect::Add).flat_map(|(_, services)| services.iter().copied()).collect();
        if of(Effect::Add).next().is_none() {
            chosen = (0..directory.services.len()).collect();
        }
        for (_, services) in of(Effect::Keep) {
            chosen.retain(|service| services.contains(service));
        }
        for (_, services) in of(Effect::Remove) {
            chosen.retain(|service| !services.contains(service));
        }
        let unmatched = self.patterns.iter().zip(&found).filter(|(_, services)| services.is_empty());
        Selection {
            services: one_per_host(chosen, directory),
            unmatched: unmatched.map(|(pattern, _)| pattern.text.clone()).collect(),
        }
    }
}

/// The first service of each host, in registration order.
fn one_per_host(services: impl IntoIterator<Item = usize>, directory: Directory<'_>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    services.into_iter().filter(|service| seen.insert(directory.services[*service].host)).collect()
}

/// At commas, or else at colons outside brackets and parentheses.
fn split(text: &str) -> Vec<String> {
    let separator = if text.contains(',') { ',' } else { ':' };
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for c in text.chars() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ => {}
        }
        if c == separator && (depth <= 0 || separator == ',') {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let (effect, rest) = match text.strip_prefix('&') {
            Some(rest) => (Effect::Keep, rest),
            None => match text.strip_prefix('!') {
                Some(rest) => (Effect::Remove, rest),
                None => (Effect::Add, text),
            },
        };
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(format!("`{text}` names nothing"));
        }
        if let Some(expression) = rest.strip_prefix('~') {
            let regex = Regex::new(&format!("(?i)^(?:{expression})"))
                .map_err(|error| format!("`{expression}` is not a regular expression: {error}"))?;
            return Ok(Self {
                text: text.to_owned(),
                effect,
                matcher: Matcher::Regex(regex),
                subscript: None,
            });
        }
        let (name, subscript) = subscript(rest);
        let glob = name.to_lowercase().chars().collect();
        Ok(Self { text: text.to_owned(), effect, matcher: Matcher::Glob(glob), subscript })
    }

    fn services(&self, directory: Directory<'_>) -> Vec<usize> {
        let all = 0..directory.services.len();
        let is_all = matches!(&self.matcher, Matcher::Glob(glob) if glob.iter().collect::<String>() == "all");
        let by_name = |index: &usize| {
            let service = &directory.services[*index];
            let roles = &directory.hosts[service.host.0].roles;
            is_all
                || self.matches(&service.key)
                || roles.iter().any(|role| self.matches(&role.to_lowercase()))
        };
        let mut found: Vec<usize> = all.clone().filter(by_name).collect();
        if found.is_empty() {
            let short = |index: &usize| self.matches(without_machine(&directory.services[*index].key));
            found = all.clone().filter(short).collect();
        }
        if found.is_empty() && directory.by_host {
            let name = |index: &usize| &directory.hosts[directory.services[*index].host.0].name;
            found = all.filter(|index| self.matches(name(index))).collect();
        }
        match self.subscript {
            None => found,
            Some(subscript) => subscript.pick(&one_per_host(found, directory)),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Regex(regex) => regex.is_match(name),
            Matcher::Glob(glob) => matches_glob(glob, &name.chars().collect::<Vec<_>>()),
        }
    }
}

/// A service's key without its last part.
pub(crate) fn without_machine(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(rest, _)| rest)
}

/// Cuts `[0]`, `[0:2]`, `[0-2]` or `[1:]` off the end, as Ansible does (so `[0-2]` at the end is no set of characters).
fn subscript(text: &str) -> (&str, Option<Subscript>) {
    let parsed = || {
        let (name, inner) = text.strip_suffix(']')?.rsplit_once('[')?;
        if name.is_empty() {
            return None;
        }
        if let Ok(first) = inner.parse::<i64>() {
            return Some((name, Subscript { first, last: None }));
        }
        let (first, last) = inner.split_once([':', '-'])?;
        let last = if last.is_empty() { -1 } else { last.parse::<u32>().ok()?.into() };
        Some((name, Subscript { first: first.parse::<u32>().ok()?.into(), last: Some(last) }))
    };
    parsed().map_or((text, None), |(name, subscript)| (name, Some(subscript)))
}

impl Subscript {
    fn pick(self, services: &[usize]) -> Vec<usize> {
        let count = i64::try_from(services.len()).unwrap_or(i64::MAX);
        let position = |at: i64| if at < 0 { at.saturating_add(count) } else { at };
        let (first, last) = (position(self.first), position(self.last.unwrap_or(self.first)));
        let chosen = (0..count).zip(services).filter(|(at, _)| (first..=last).contains(at));
        chosen.map(|(_, service)| *service).collect()
    }
}

/// Shell-style matching of a whole name: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`. Linear memory, no recursion.
fn matches_glob(glob: &[char], name: &[char]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if glob.get(g) == Some(&'*') {
            star = Some((g, n));
            g += 1;
            continue;
        }
        if let Some(width) = glob.get(g..).and_then(|rest| one(rest, name[n])) {
            g += width;
            n += 1;
            continue;
        }
        let Some((at, taken)) = star else { return false };
        star = Some((at, taken + 1));
        (g, n) = (at + 1, taken + 1);
    }
    glob[g..].iter().all(|c| *c == '*')
}

/// How many characters of the glob match `c`, if they do.
fn one(glob: &[char], c: char) -> Option<usize> {
    match glob {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            // A bracket right after `[` or `[!` belongs to the set; without a closing one, `[` is itself.
            let negated = rest.first() == Some(&'!');
            let start = usize::from(negated);
            let end = rest.iter().skip(start + 1).position(|c| *c == ']').map(|at| at + start + 1);
            let Some(end) = end else { return (c == '[').then_some(1) };
            (in_set(&rest[start..end], c) != negated).then_some(end + 2)
        }
        [first, ..] => (*first == c).then_some(1),
        [] => None,
    }
}

fn in_set(mut set: &[char], c: char) -> bool {
    loop {
        match set {
            [low, '-', high, rest @ ..] => {
                if (*low..=*high).contains(&c) {
                    return true;
                }
                set = rest;
            }
            [one, rest @ ..] => {
                if *one == c {
                    return true;
                }
                set = rest;
            }
            [] => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn globs_agree_with_regular_expressions(pattern in "[ab.*?]{0,8}", name in "[ab.]{0,8}") {
            let translated = pattern.replace('.', "\\.").replace('*', ".*").replace('?', ".");
            let regex = Regex::new(&format!("^(?:{translated})$")).expect("a translated glob");
            prop_assert_eq!(glob(&pattern, &name), regex.is_match(&name));
        }
    }

    fn glob(pattern: &str, name: &str) -> bool {
        matches_glob(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
    }

    #[test]
    fn globs_match_whole_names_as_fnmatch_does() {
        for (pattern, name, expected) in [
            ("cloud.*", "cloud.kafka.1", true),
            ("cloud.*", "cloud", false),
            ("*", "", true),
            ("c?oud", "cloud", true),
            ("edge.[12]", "edge.2", true),
            ("edge.[!12]", "edge.2", false),
            ("edge.[a-c]x", "edge.bx", true),
            ("*.leader.*", "cloud.kafka.2.leader.1", true),
            ("*.leader", "cloud.kafka.2.leader.1", false),
            ("a*b*c", "aXbXbXc", true),
            ("[", "[", true),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn subscripts_are_cut_off_and_include_both_ends() {
        assert_eq!(subscript("edge.*"), ("edge.*", None));
        assert_eq!(subscript("edge.*[1]").1.map(|s| s.pick(&[7, 8, 9])), Some(vec![8]));
        assert_eq!(subscript("edge.*[-1]").1.map(|s| s.pick(&[7, 8, 9])), Some(vec![9]));
        assert_eq!(subscript("edge.*[0:1]").1.map(|s| s.pick(&[7, 8, 9])), Some(vec![7, 8]));
        assert_eq!(subscript("edge.*[1:]").1.map(|s| s.pick(&[7, 8, 9])), Some(vec![8, 9]));
        assert_eq!(subscript("edge.*[5]").1.map(|s| s.pick(&[7, 8, 9])), Some(vec![]));
    }

    #[test]
    fn selectors_split_at_commas_or_else_at_colons() {
        assert_eq!(split("cloud.*, edge.*"), ["cloud.*", "edge.*"]);
        assert_eq!(split("edge.*[0:2]:!edge.x"), ["edge.*[0:2]", "!edge.x"]);
        assert_eq!(split("~(?:a|b)"), ["~(?:a|b)"]);
        assert!(Selector::parse(" , ").is_err());
        assert!(Selector::parse("!").is_err());
        assert!(Selector::parse("~(").unwrap_err().contains("regular expression"));
    }
}
