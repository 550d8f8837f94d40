//! JSON Schemas of the documents, for editors and other programs.

/// The schema of `network.yaml` (JSON Schema draft 2020-12, <https://json-schema.org/draft/2020-12>).
///
/// It says what may be written; what values mean together, and names, only [`crate::parse`] and the plan judge.
pub const NETWORK: &str = include_str!("../schema/network.schema.json");

#[cfg(test)]
mod tests;
#[cfg(test)]
mod validator;
