//! What is written as YAML is read back the same, by a reader that is not ours.

use fogline_journal::to_yaml;
use proptest::prelude::*;
use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

fn read(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    value(&documents[0])
}

fn value(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(b)) => json!(b),
        Yaml::Value(Scalar::Integer(i)) => json!(i),
        Yaml::Value(Scalar::FloatingPoint(f)) => json!(f.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(value).collect(),
        Yaml::Mapping(map) => {
            let pair = |(k, v): (&Yaml<'_>, &Yaml<'_>)| match k {
                Yaml::Value(Scalar::String(key)) => (key.to_string(), value(v)),
                other => panic!("a key that is no string: {other:?}"),
            };
            Value::Object(map.iter().map(pair).collect::<Map<_, _>>())
        }
        other => panic!("not plain YAML: {other:?}"),
    }
}

fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "yes",
        "No",
        "null",
        "~",
        "10.99.0.11",
        "1e3",
        "0x1f",
        "a: b",
        "- a",
        "# c",
        "",
        " ",
        "\n",
        "\n\n",
        "\t",
        "{{ x }}",
        "a\n b",
        "a\n\nb\n",
        "  lead",
        "trail ",
        "ü",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "😀",
        "\"",
        "\\",
        "'",
        "&a",
        "*a",
        "!t",
        "%d",
        "@x",
        "`",
        "|",
        ">",
        "=",
        "a\r\nb",
        "---",
        "...",
        "[a]",
        "a, b",
        "2026-11-23",
    ]);
    prop_oneof![".{0,12}", prop::collection::vec(word, 0..4).prop_map(|words| words.concat())]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|i| json!(i)),
        (-1000..1000i32).prop_map(|i| json!(f64::from(i) + 0.5)),
        text().prop_map(|t| json!(t)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_comes_back(value in any_value()) {
        let written = to_yaml(&value);
        prop_assert_eq!(read(&written), value, "{}", written);
    }
}
