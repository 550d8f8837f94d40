//! As much of JSON Schema (draft 2020-12) as the schemas here use; any other keyword is a failure of the test.

use regex_lite::Regex;
use serde_json::Value;

/// Keywords that say something to people only.
const NOTES: [&str; 8] =
    ["$schema", "$id", "$defs", "title", "description", "examples", "default", "$comment"];

/// Why `value` does not fit the schema `root`; empty when it does.
pub(super) fn violations(root: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    validate(root, root, value, "", &mut found);
    found
}

fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut found = Vec::new();
    validate(root, schema, value, "", &mut found);
    found.is_empty()
}

fn validate(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let keywords = schema.as_object().unwrap_or_else(|| panic!("{schema} is no schema"));
    for (keyword, want) in keywords.iter().filter(|(keyword, _)| !NOTES.contains(&keyword.as_str())) {
        let fine = match keyword.as_str() {
            "$ref" => {
                let pointer =
                    want.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
                let target = root.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
                validate(root, target, value, at, found);
                true
            }
            "properties" | "additionalProperties" | "required" | "dependentRequired" => {
                value.as_object().is_none_or(|map| members(root, (keyword, want), schema, map, at, found))
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(root, want, item, &format!("{at}/{index}"), found);
                }
                true
            }
            "type" => each(want).any(|name| is_of_type(value, name.as_str().unwrap_or_default())),
            "enum" => each(want).any(|one| one == value),
            "const" => want == value,
            "pattern" => {
                let regex = Regex::new(want.as_str().unwrap_or_default()).expect("a pattern");
                value.as_str().is_none_or(|text| regex.is_match(text))
            }
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= number(want)),
            "minimum" => value.as_i64().is_none_or(|value| value >= number(want) as i64),
            "maximum" => value.as_i64().is_none_or(|value| value <= number(want) as i64),
            "oneOf" => each(want).filter(|one| fits(root, one, value)).count() == 1,
            "anyOf" => each(want).any(|one| fits(root, one, value)),
            "allOf" => each(want).all(|one| fits(root, one, value)),
            "not" => !fits(root, want, value),
            other => panic!("the keyword `{other}` is not known here"),
        };
        if !fine {
            found.push(format!("{at}: {value} against {keyword} {want}"));
        }
    }
}

fn members(
    root: &Value,
    (keyword, want): (&str, &Value),
    schema: &Value,
    map: &serde_json::Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) -> bool {
    let has_all = |names: &Value| each(names).all(|name| map.contains_key(name.as_str().unwrap_or_default()));
    match keyword {
        "properties" => {
            for (name, schema) in want.as_object().into_iter().flatten() {
                if let Some(value) = map.get(name) {
                    validate(root, schema, value, &format!("{at}/{name}"), found);
                }
            }
            true
        }
        "additionalProperties" => {
            assert_eq!(want, &Value::Bool(false), "only closed maps are known here");
            map.keys().all(|name| schema["properties"].get(name).is_some())
        }
        "required" => has_all(want),
        _ => want
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, more)| !map.contains_key(name) || has_all(more)),
    }
}

/// The items of a list, or the one value that stands for such a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice).iter()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type `{other}` is not known here"),
    }
}
