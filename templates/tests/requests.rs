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

#[test]
fn a_recording_is_asked_for_with_its_holes() {
    let world = world().with("assets/hello.wav", b"RIFF\0\0\0\0WAVE");
    let open = |recording: &str| {
        let text = format!(
            "vignette: 1\nname: t\ncanvas: {{ width: 64, height: 48 }}\n\
             data: {{ required: [who], properties: {{ who: {{ type: string, x-pii: true }} }} }}\n\
             assets: {{ hello: {{ audio: assets/hello.wav }} }}\n\
             generate:\n  it: {{ voice: {recording} }}\nscenes: [{{ name: s, duration: 1s }}]\n\
             audio: [{{ voice: it }}]\ncaptions: {{ from: it }}\n"
        );
        Template::open("t.yaml", text.as_bytes(), &world).map(|opened| opened.value)
    };
    let ask_for = |recording: &str| -> Result<Request, String> {
        let template = open(recording).map_err(|faults| faults.to_string())?;
        let data = template.data("data", json!({ "who": "Maria" })).map_err(|faults| faults.to_string())?;
        let requests =
            ask(&template, &data, &BTreeMap::new(), &world).map_err(|faults| faults.to_string())?;
        Ok(requests[0].clone())
    };
    const WORDS: &str = "words: [{ text: \"Hello\", from: 0s, to: 500ms }]";
    let request = ask_for(&format!(
        "{{ recording: {{ asset: hello, holes: [{{ from: 620ms, to: 1.1s, say: \"{{{{who}}}}\" }}, \
         {{ from: 2s, to: 2s, say: \" \", optional: true }}], {WORDS} }}, voice: male }}"
    ))
    .unwrap();
    let RequestKind::Voice(voice) = &request.kind else { panic!("a voice") };
    let recording = voice.recording.as_ref().unwrap();
    assert_eq!((voice.say.as_str(), recording.holes.len(), recording.words.len()), ("Maria", 2, 1));
    assert_eq!((recording.holes[0].say.as_str(), recording.holes[1].optional), ("Maria", true));
    assert_eq!(recording.audio.bytes().as_ref(), b"RIFF\0\0\0\0WAVE");
    assert_eq!(request.viewer.fields, ["/who"]);
    // What names the request names the file by its digest.
    let written = serde_json::to_string(&request.kind).unwrap();
    assert!(written.contains(&recording.audio.digest().to_string()), "{written}");

    for (recording, expected) in [
        ("{ recording: { asset: hallo, holes: [] } }", "unknown sound `hallo`"),
        (&format!("{{ recording: {{ asset: hello, holes: [], {WORDS} }} }}"), "without holes"),
        (
            &format!("{{ recording: {{ asset: hello, holes: [{{ from: 2s, to: 1s, say: a }}], {WORDS} }} }}"),
            "`to` is before `from`",
        ),
        (
            &format!(
                "{{ recording: {{ asset: hello, holes: [{{ from: 1s, to: 2s, say: a }}, {{ from: 1.5s, to: 2s, say: a }}], {WORDS} }} }}"
            ),
            "begins before the one above it ends",
        ),
        (
            "{ recording: { asset: hello, holes: [{ from: 1s, to: 2s, say: a }] } }",
            "what is said in the recording of `it` is not known",
        ),
        ("{ say: a, recording: { asset: hello, holes: [] } }", "cannot stand together"),
        ("{ speed: 1 }", "needs one of `say`, `recording`"),
    ] {
        let faults = ask_for(recording).map(drop).unwrap_err();
        assert!(faults.contains(expected), "{recording}: {faults}");
    }
}
