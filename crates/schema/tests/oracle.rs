//! Schemas and instances at random: this crate and the reference validator `jsonschema` for Python say the same.
//!
//! All pairs go to one Python process. Skipped where that Python or the package is absent.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use schema::{Conformance, Model, Request};

/// Pairs of schema and instance.
const PAIRS: usize = 4_000;

const VALIDATOR: &str = r#"
import json, sys, decimal
import jsonschema
# Numbers stay exact, as they do in the crate.
load = lambda text: json.loads(text, parse_float=decimal.Decimal)
is_number = lambda checker, value: isinstance(value, (int, decimal.Decimal)) and not isinstance(value, bool)
is_integer = lambda checker, value: is_number(checker, value) and value == int(value)
kinds = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("number", is_number).redefine("integer", is_integer)
def multiple_of(validator, step, value, schema):
    if is_number(None, value) and decimal.Decimal(value) % decimal.Decimal(step) != 0:
        yield jsonschema.ValidationError("step")
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"multipleOf": multiple_of}, type_checker=kinds)
for line in sys.stdin:
    schema, value = load(line)
    print("1" if Validator(schema).is_valid(value) else "0")
"#;

/// The Python of the test set-up: as named by the task runner, else where it puts it.
#[allow(clippy::disallowed_methods, reason = "the environment is how the task runner names its tools")]
fn python() -> PathBuf {
    let named = std::env::var("CAPONIER_TEST_PYTHON").map(PathBuf::from).ok();
    let set_up = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools/venv/bin/python");
    named.unwrap_or(set_up)
}

/// Values, small enough that schemas at random often admit them. Object names differ by more than case.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        (-6i32..6).prop_map(|n| n.to_string()),
        (-60i32..60).prop_map(|n| format!("{n}e-1")),
        (-6i32..6).prop_map(|n| format!("{n}.0")),
        "[abé]{0,3}".prop_map(|text| format!("\"{text}\"")),
        Just(r#""\u0061\ud83d\ude00""#.to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|members| object(members.into_iter())),
        ]
    })
}

fn object(members: impl Iterator<Item = (String, String)>) -> String {
    let members: Vec<String> = members.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Schemas over every keyword the crate understands in edition 3.1, formats aside: those assert nothing there.
fn schema() -> impl Strategy<Value = String> {
    let kind =
        prop::sample::select(vec!["array", "boolean", "integer", "null", "number", "object", "string"]);
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        (-3i32..3).prop_map(|n| n.to_string()),
        "[ab]{0,2}".prop_map(|text| format!("\"{text}\""))
    ];
    let simple = |keyword: &'static str, n: std::ops::Range<i32>| {
        n.prop_map(move |n| (keyword.to_owned(), n.to_string()))
    };
    let rule = prop_oneof![
        kind.clone().prop_map(|kind| ("type".to_owned(), format!("\"{kind}\""))),
        prop::collection::btree_set(kind, 1..4)
            .prop_map(|kinds| ("type".to_owned(), format!("{:?}", kinds.iter().collect::<Vec<_>>()))),
        prop::collection::vec(scalar.clone(), 1..4)
            .prop_map(|values| ("enum".to_owned(), format!("[{}]", values.join(",")))),
        scalar.prop_map(|value| ("const".to_owned(), value)),
        simple("minLength", 0..3),
        simple("maxLength", 0..3),
        prop::sample::select(vec!["^a", "b$", "^[ab]{1,2}$", "é", "^.?$"])
            .prop_map(|text| ("pattern".to_owned(), format!("\"{text}\""))),
        simple("minimum", -3..3),
        simple("maximum", -3..3),
        simple("exclusiveMinimum", -3..3),
        simple("exclusiveMaximum", -3..3),
        prop::sample::select(vec!["1", "2", "0.1", "0.3", "1.5"])
            .prop_map(|text| ("multipleOf".to_owned(), text.to_owned())),
        simple("minItems", 0..3),
        simple("maxItems", 0..3),
        simple("minProperties", 0..3),
        simple("maxProperties", 0..3),
        prop::collection::btree_set("[abc]", 0..3)
            .prop_map(|names| ("required".to_owned(), format!("{:?}", names.iter().collect::<Vec<_>>()))),
    ];
    let rules = prop::collection::btree_map("x", rule, 1..2)
        .prop_map(|rules| rules.into_values().collect::<Vec<_>>());
    let leaf = prop_oneof![4 => prop::collection::vec(rules, 0..4).prop_map(|rules| {
        let rules: std::collections::BTreeMap<String, String> = rules.into_iter().flatten().collect();
        object(rules.into_iter())
    }), 1 => any::<bool>().prop_map(|value| value.to_string())];
    leaf.prop_recursive(3, 16, 3, |inner| {
        let list =
            prop::collection::vec(inner.clone(), 1..3).prop_map(|list| format!("[{}]", list.join(",")));
        let keyword = prop::sample::select(vec!["allOf", "anyOf", "oneOf"]);
        let members = prop::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            (keyword, list.clone()).prop_map(|(keyword, list)| format!("{{\"{keyword}\":{list}}}")),
            (inner.clone(), list).prop_map(|(one, list)| format!("{{\"not\":{one},\"anyOf\":{list}}}")),
            inner.clone().prop_map(|items| format!("{{\"items\":{items}}}")),
            (members, inner, any::<bool>()).prop_map(|(members, other, is_type)| {
                let kind = if is_type { "\"type\":\"object\"," } else { "" };
                format!(
                    "{{{kind}\"properties\":{},\"additionalProperties\":{other}}}",
                    object(members.into_iter())
                )
            }),
        ]
    })
}

fn admits(schema: &str, value: &str) -> bool {
    let document = format!(
        r#"{{"openapi":"3.1.0","info":{{}},"paths":{{"/":{{"post":{{"requestBody":{{"content":{{"application/json":
        {{"schema":{schema}}}}}}}}}}}}}}}"#
    );
    let model = Model::import(document.as_bytes()).unwrap_or_else(|error| panic!("{error}: {schema}"));
    let request = Request {
        method: "POST",
        path: "/",
        query: None,
        content_type: Some("application/json"),
        body: value.as_bytes(),
    };
    matches!(model.check(&request), Conformance::Conforming(_))
}

#[test]
fn agrees_with_jsonschema() {
    let python = python();
    let has_package = Command::new(&python).args(["-c", "import jsonschema"]).output();
    if !has_package.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no Python with jsonschema at {}; run cargo xtask setup", python.display());
        return;
    }
    let mut runner =
        TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let pairs: Vec<(String, String)> =
        (0..PAIRS).map(|_| (schema(), value()).new_tree(&mut runner).unwrap().current()).collect();
    let mut child = Command::new(&python)
        .args(["-c", VALIDATOR])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = pairs.iter().map(|(schema, value)| format!("[{schema},{value}]\n")).collect();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let verdicts: Vec<bool> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line == "1").collect();
    assert_eq!(verdicts.len(), PAIRS);
    let n_valid = verdicts.iter().filter(|is_valid| **is_valid).count();
    assert!(
        n_valid > PAIRS / 10 && n_valid < PAIRS * 9 / 10,
        "{n_valid} of {PAIRS} valid: the pairs say little"
    );
    for ((schema, value), expected) in pairs.iter().zip(verdicts) {
        assert_eq!(admits(schema, value), expected, "{schema} {value}");
    }
}
