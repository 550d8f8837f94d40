//! Flink's metrics by its REST interface.
//!
//! Names: <https://nightlies.apache.org/flink/flink-docs-release-2.2/docs/ops/metrics/>. A metric that does not exist
//! (yet) is left out of the answer. The job manager collects those of the task managers every
//! `metrics.fetcher.update-interval`, and only while somebody asks.

use crate::rest::{Rest, RestError};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// A metric over all that have it. Without a value where it is none: Java's NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) sum: Option<f64>,
    pub(crate) max: Option<f64>,
}

#[derive(Deserialize)]
struct Single {
    id: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct Many {
    id: String,
    #[serde(default)]
    sum: Value,
    #[serde(default)]
    max: Value,
}

/// The values of some metrics of one thing.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn values(
    rest: &Rest,
    path: &str,
    names: &[&str],
    patience: Duration,
) -> Result<BTreeMap<String, f64>, RestError> {
    let answer: Vec<Single> = rest.get(path, &[("get", &names.join(","))], patience)?;
    Ok(answer.into_iter().filter_map(|metric| Some((metric.id, number(&metric.value)?))).collect())
}

/// The sums and maxima of some metrics over several things.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn aggregates(
    rest: &Rest,
    path: &str,
    names: &[&str],
    patience: Duration,
) -> Result<BTreeMap<String, Aggregate>, RestError> {
    let query = [("get", names.join(",")), ("agg", "sum,max".to_owned())];
    let query: Vec<(&str, &str)> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let answer: Vec<Many> = rest.get(path, &query, patience)?;
    let aggregate = |metric: &Many| Aggregate { sum: number(&metric.sum), max: number(&metric.max) };
    Ok(answer.into_iter().map(|metric| (metric.id.clone(), aggregate(&metric))).collect())
}

/// Which metrics there are.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn names(rest: &Rest, path: &str, patience: Duration) -> Result<Vec<String>, RestError> {
    let answer: Vec<Single> = rest.get(path, &[], patience)?;
    Ok(answer.into_iter().map(|metric| metric.id).collect())
}

/// How often a job was restarted.
///
/// # Errors
/// See [`RestError`].
pub(crate) fn restarts(rest: &Rest, job: &str, patience: Duration) -> Result<u64, RestError> {
    let found = values(rest, &format!("/jobs/{job}/metrics"), &["numRestarts"], patience)?;
    Ok(found.get("numRestarts").map_or(0, |restarts| *restarts as u64))
}

/// Numbers come as numbers or as text; the text may be `NaN`.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_numbers_however_they_come() {
        assert_eq!(number(&json!(2.35303e5)), Some(235_303.0));
        assert_eq!(number(&json!("14")), Some(14.0));
        for none in [json!("NaN"), json!("Infinity"), json!(null), json!("file:/x")] {
            assert_eq!(number(&none), None, "{none}");
        }
    }
}
