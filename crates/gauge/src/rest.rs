//! Flink's REST interface: JSON over HTTP/1.1, without encryption.
//!
//! Paths and answers: <https://nightlies.apache.org/flink/flink-docs-release-2.2/docs/ops/rest_api/>.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// Longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Shortest: the last look before a deadline gets a chance, too.
const ANSWER_MIN: Duration = Duration::from_millis(500);
/// Longest answer; a job with a thousand vertices stays far below.
const ANSWER_LEN_MAX: u64 = 16 << 20;
/// How much of an answer that is no JSON is shown.
const SHOWN_MAX: usize = 200;

/// Where a cluster answers: `http://HOST:PORT`, or `HOST:PORT` for short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url(String);

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err("only http:// is spoken; give http://HOST:PORT".to_owned());
        }
        let rest = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let parts = rest.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let sound = parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
        if !sound || rest.contains(['/', '?', '#', '@', ' ']) {
            return Err("give http://HOST:PORT, for example http://10.0.0.2:8081".to_owned());
        }
        Ok(Self(format!("http://{rest}")))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    /// Nobody there, or too slow.
    #[error("{url} does not answer: {why}")]
    Silent { url: String, why: String },
    /// An answer that says no.
    #[error("{url} answers {status}: {why}")]
    Refused { url: String, status: u16, why: String },
    /// Not what Flink answers.
    #[error("{url} answers what Flink does not ({why}): {shown}")]
    Foreign { url: String, why: String, shown: String },
}

impl RestError {
    /// Whether the cluster says that there is no such thing.
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the cluster says that the thing is past that.
    pub(crate) const fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }
}

/// A cluster's REST interface.
#[derive(Debug)]
pub(crate) struct Rest {
    agent: Agent,
    base: Url,
}

impl Rest {
    /// Nothing is asked yet.
    pub(crate) fn new(base: &Url) -> Self {
        // Hosts of an experiment talk to each other and never over a proxy.
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).max_redirects(0);
        Self { agent: config.timeout_global(Some(ANSWER)).build().into(), base: base.clone() }
    }

    /// Where it is.
    pub(crate) const fn url(&self) -> &Url {
        &self.base
    }

    /// `GET path?query`, waiting no longer than `patience`.
    ///
    /// # Errors
    /// See [`RestError`].
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        patience: Duration,
    ) -> Result<T, RestError> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.get(&url).query_pairs(query.iter().copied());
        let request = request.config().timeout_global(Some(limit(patience))).build();
        self.read(&url, request.call())
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// See [`RestError`].
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        patience: Duration,
    ) -> Result<T, RestError> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.post(&url).header("content-type", "application/json");
        let request = request.config().timeout_global(Some(limit(patience))).build();
        self.read(&url, request.send(body.to_string()))
    }

    /// `PATCH path?query` without a body.
    ///
    /// # Errors
    /// See [`RestError`].
    pub(crate) fn patch(&self, path: &str, query: (&str, &str), patience: Duration) -> Result<(), RestError> {
        let url = format!("{}{path}", self.base);
        let request = self.agent.patch(&url).query(query.0, query.1);
        let request = request.config().timeout_global(Some(limit(patience))).build();
        self.read::<Value>(&url, request.send_empty()).map(drop)
    }

    fn read<T: DeserializeOwned>(
        &self,
        url: &str,
        answer: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, RestError> {
        let silent = |error: ureq::Error| RestError::Silent { url: url.to_owned(), why: error.to_string() };
        let mut answer = answer.map_err(silent)?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_vec().map_err(silent)?;
        if !status.is_success() {
            let why = refusal(&body);
            return Err(RestError::Refused { url: url.to_owned(), status: status.as_u16(), why });
        }
        serde_json::from_slice(&body).map_err(|error| RestError::Foreign {
            url: url.to_owned(),
            why: error.to_string(),
            shown: shown(&body),
        })
    }
}

fn limit(patience: Duration) -> Duration {
    patience.clamp(ANSWER_MIN, ANSWER)
}

/// The first line of each of Flink's errors, whose other lines are a stack trace.
fn refusal(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = answer["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let lines: Vec<String> = errors.filter_map(cause).collect();
    if lines.is_empty() { shown(body) } else { lines.join("; ") }
}

/// The last cause of a Java stack trace, which is where things began to go wrong; the first line where no cause is
/// named. `None` of nothing.
pub(crate) fn cause(trace: &str) -> Option<String> {
    let lines = || trace.lines().map(str::trim).filter(|line| !line.is_empty());
    let deepest = lines().filter_map(|line| line.strip_prefix("Caused by: ")).next_back();
    deepest.or_else(|| lines().next()).map(str::to_owned)
}

fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut shown: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if shown.is_empty() {
        shown.push_str("nothing");
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str(" ...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_may_lack_their_scheme_and_nothing_else() {
        for good in ["http://h:8081", "h:8081", "http://h:8081/"] {
            assert_eq!(good.parse(), Ok(Url("http://h:8081".to_owned())), "{good}");
        }
        assert!("[::1]:8081".parse::<Url>().is_ok());
        for wrong in
            ["", "h", "h:", ":80", "h:0", "h:99999", "https://h:1", "http://h:1/jobs", "http://u@h:1"]
        {
            assert!(wrong.parse::<Url>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_deepest_cause_is_the_cause() {
        let trace =
            "a.B: outer\n\tat x\nCaused by: c.D: middle\n\tat y\nCaused by: e.F: inner\n\t... 5 more\n";
        assert_eq!(cause(trace).as_deref(), Some("e.F: inner"));
        assert_eq!(cause("\nonly\n\tat x").as_deref(), Some("only"));
        assert_eq!(cause(" \n"), None);
    }
}
