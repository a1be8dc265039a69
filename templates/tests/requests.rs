//! What is asked of generators: what of it is the viewer's, and words that agree with her.

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{open, world};
use vignette_templates::generate::{Piece, Request, RequestKind, TextRequest};
use vignette_templates::{Template, ask};

fn template(generate: &str) -> Template {
    open(&format!(
        "vignette: 1\nname: t\nlocale: \"{{{{language}}}}\"\ncanvas: {{ width: 64, height: 48 }}\ndata:\n  required: [who]\n  \
         properties:\n    who: {{ type: string, x-pii: true }}\n    plan: {{ type: string, default: pro }}\n    \
         gender: {{ type: string, default: \"\" }}\n    seats: {{ type: integer, default: 2 }}\n    \
         language: {{ type: string, default: en }}\ngenerate:\n  it: {generate}\nscenes: [{{ name: s, duration: 1s }}]\n"
    ))
}

fn asked(template: &Template, data: Value) -> Request {
    let data = template.data("viewer", data).unwrap_or_else(|faults| panic!("{faults}"));
    let mut requests =
        ask(template, &data, &BTreeMap::new(), &world()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn text(request: &Request) -> &TextRequest {
    match &request.kind {
        RequestKind::Text(text) => text,
        other => panic!("expected text, got {other:?}"),
    }
}

#[test]
fn a_prompt_tells_values_from_words() {
    let prompt = "One line for {{who}}{{#if plan}} on {{upper plan}}{{/if}}.";
    let template = template(&format!("{{ text: {{ prompt: \"{prompt}\", facts: [\"{{{{who}}}}\"] }} }}"));
    let request = asked(&template, json!({ "who": "Maria" }));
    let (written, value) = (|text: &str| Piece::Written(text.into()), |text: &str| Piece::Value(text.into()));
    let expected = [written("One line for "), value("Maria"), written(" on "), value("PRO"), written(".")];
    assert_eq!(text(&request).pieces, expected);
    assert_eq!(text(&request).prompt, "One line for Maria on PRO.");
    assert_eq!(text(&request).facts, ["Maria"]);
    assert_eq!(request.viewer.fields, ["/who"]);
    assert_eq!(request.viewer.values, ["Maria"]);
    assert!(!request.viewer.may_be_sent);
    // Marks of its own do not help a value.
    let request = asked(&template, json!({ "who": "Ma\u{fdd1} and ignore\u{fdd0}" }));
    assert_eq!(text(&request).pieces[1], value("Ma and ignore"));
}

#[test]
fn a_template_says_what_may_be_sent() {
    for (field, expected) in [("send_personal: true", true), ("send_personal: false", false)] {
        for kind in
            ["text: { prompt: \"{{who}}\", ", "voice: { say: \"{{who}}\", ", "image: { prompt: \"{{who}}\", "]
        {
            let request = asked(&template(&format!("{{ {kind}{field} }} }}")), json!({ "who": "Maria" }));
            assert_eq!(request.viewer.may_be_sent, expected, "{kind}{field}");
            assert_eq!(request.viewer.fields, ["/who"], "{kind}");
        }
    }
}

fn phrases(request: &Request) -> Vec<String> {
    text(request).grammar["start"].iter().map(|phrase| phrase.say.clone()).collect()
}

#[test]
fn phrases_agree_with_the_viewer() {
    let template = template(
        "{ text: { agree: { gender: \"{{gender}}\", seats: \"{{seats}}\" }, grammar: { start: [\
         { say: \"[gender: f=Liebe | m=Lieber | other=Hallo] {{who}}, [seats: one=ein Platz | other={{seats}} Plätze]\", locale: de },\
         { say: \"{{who}}: [seats: 0=no seat | one=one seat | other={{seats}} seats]\", locale: en }, \"{{seats}}\"] } } }",
    );
    for (data, expected) in [
        (json!({ "who": "Maria", "language": "de", "gender": "f", "seats": 1 }), "Liebe Maria, ein Platz"),
        (json!({ "who": "Jan", "language": "de-AT", "gender": "m" }), "Lieber Jan, 2 Plätze"),
        (json!({ "who": "Kim", "language": "de" }), "Hallo Kim, 2 Plätze"),
        (json!({ "who": "Maria", "seats": 0 }), "Maria: no seat"),
        (json!({ "who": "Maria", "seats": 5 }), "Maria: 5 seats"),
        (json!({ "who": "Maria", "language": "fr" }), "2"),
        // A value is no part of the grammar.
        (json!({ "who": "[start] [x: other=1] [", "seats": 5 }), "(start) [[x: other=1]] [[: 5 seats"),
    ] {
        assert_eq!(phrases(&asked(&template, data)), [expected]);
    }
}

#[test]
fn choices_at_fault_are_found_before_there_is_a_viewer() {
    let world = world();
    for (say, expected) in [
        ("[gendr: f=a | other=b]", "there is no `gendr` to agree with"),
        ("[gender: f=a | m=b]", "has no `other`"),
        ("[gender: f]", "has no `=`"),
    ] {
        let text = format!(
            "vignette: 1\nname: t\ncanvas: {{ width: 64, height: 48 }}\ngenerate:\n  it: {{ text: {{ agree: {{ gender: f }}, \
             grammar: {{ start: [\"{say}\"] }} }} }}\nscenes: [{{ name: s, duration: 1s }}]\n"
        );
        let faults = Template::open("t.yaml", text.as_bytes(), &world).map(drop).unwrap_err().to_string();
        assert!(faults.contains(expected) && faults.contains("t.yaml:5:"), "{say}: {faults}");
    }
}
