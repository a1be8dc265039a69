//! Viewers' data is bounded, completed and validated.

mod support;

use serde_json::json;
use support::{EVERYTHING, open};

#[test]
fn wrong_data_is_named_field_by_field() {
    let template = open(EVERYTHING);
    let big = "x".repeat(10_000_000);
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let cases = [
        ("a list", json!([1, 2]), "maria.json: expected an object of fields, found a list of 2"),
        ("words", json!("Maria"), "maria.json: expected an object of fields, found \"Maria\""),
        ("nothing", json!(null), "maria.json: expected an object of fields, found nothing"),
        ("missing", json!({ "plan": "pro" }), "maria.json: the field `first_name` is missing"),
        (
            "a number for a name",
            json!({ "first_name": 5, "plan": "pro" }),
            "maria.json: first_name: expected a text, found 5",
        ),
        (
            "a plan that is none",
            json!({ "first_name": "Maria", "plan": "prro" }),
            "maria.json: plan: expected one of [\"basic\",\"pro\"], found \"prro\"\n  hint: did you mean `pro`?",
        ),
        (
            "too long",
            json!({ "first_name": "x".repeat(41), "plan": "pro" }),
            "maria.json: first_name: expected at most 40 characters, found \"xxx",
        ),
        (
            "an entry",
            json!({ "first_name": "Maria", "plan": "pro", "modules": [{ "title": "a" }, { "title": 1 }, {}] }),
            "maria.json: modules[1].title: expected a text, found 1\nmaria.json: modules[2]: the field `title` is missing",
        ),
        (
            "ten megabytes",
            json!({ "first_name": big, "plan": "pro" }),
            "maria.json: first_name: the text has 10000000 bytes, more than the 65536 allowed in one field, found \"xxx",
        ),
        ("deep", json!({ "first_name": "Maria", "plan": "pro", "x": deep }), "nested deeper than 32 levels"),
    ];
    for (name, value, expected) in cases {
        let found = template.data("maria.json", value).unwrap_err().to_string();
        assert!(found.contains(expected), "{name}: {found}");
        assert!(found.len() < 1000, "{name}");
    }
}

#[test]
fn text_that_is_not_json_is_named_with_its_place() {
    let template = open(EVERYTHING);
    let deep = "[".repeat(100_000);
    let long = format!("{{\"first_name\": \"{}\"}}", "x".repeat(2_000_000));
    for (text, expected) in [
        ("{\"first_name\": \"Maria\",\n \"plan\": pro}", "maria.json:2:10: this is not JSON: expected"),
        ("", "maria.json:1:0: this is not JSON"),
        ("first_name: Maria", "maria.json:1:2: this is not JSON"),
        (deep.as_str(), "this is not JSON: recursion limit exceeded"),
        (long.as_str(), "maria.json: the data has 2000018 bytes, more than the 1048576 allowed"),
    ] {
        let found = template.parse_data("maria.json", text.as_bytes()).unwrap_err().to_string();
        assert!(found.starts_with(expected) || found.contains(expected), "{found}");
    }
    assert!(
        template.parse_data("maria.json", b"\xef\xbb\xbf{\"first_name\": \"M\", \"plan\": \"pro\"}").is_ok()
    );
}

#[test]
fn defaults_are_put_in_at_any_depth() {
    let template = open(EVERYTHING);
    let data = json!({ "first_name": "Maria", "plan": "pro", "modules": [{ "title": "a" }] });
    let data = template.data("maria", data).unwrap();
    assert_eq!(data.fields()["language"], json!("en"));
    assert_eq!(data.fields()["modules"], json!([{ "title": "a", "done": 0 }]));
    assert!(!data.fields().contains_key("nickname"));
    assert_eq!(template.data_schema()["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
    assert_eq!(template.data_schema()["properties"]["plan"]["enum"], json!(["basic", "pro"]));
}
