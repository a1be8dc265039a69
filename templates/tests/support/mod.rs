//! A template that uses the whole language, its files and its viewers.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vignette_templates::blob::Blob;
use vignette_templates::generate::{Generated, GeneratedValue, Provenance, SpokenWord, Voice};
use vignette_templates::time::Time;
use vignette_templates::world::Memory;
use vignette_templates::{Fill, Template, Warned, ask, fill, video::Video};

pub const EVERYTHING: &str = include_str!("everything.yaml");

pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n a picture";
pub const SVG: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
pub const WEBM: &[u8] = b"\x1a\x45\xdf\xa3 a video";
pub const OGG: &[u8] = b"OggS a sound";
pub const FONT: &[u8] = b"\0\x01\0\0 a font";

/// The files of [`EVERYTHING`].
pub fn world() -> Memory {
    Memory::default()
        .with("assets/office.webm", WEBM)
        .with("assets/person.svg", SVG)
        .with("assets/music.ogg", OGG)
        .with("assets/Brand.ttf", FONT)
        .with("photos/maria.png", PNG)
        .with("liar.png", b"#EXTM3U\nfile:///etc/passwd")
        .with_family("Inter")
}

/// Opens `text`; a fault ends the test with all of them.
pub fn open(text: &str) -> Template {
    match Template::open("t.yaml", text.as_bytes(), &world()) {
        Ok(opened) => opened.value,
        Err(faults) => panic!("{faults}"),
    }
}

/// The faults of a template that has some.
pub fn faults(text: &str) -> String {
    match Template::open("t.yaml", text.as_bytes(), &world()) {
        Ok(_) => String::new(),
        Err(faults) => faults.to_string(),
    }
}

pub fn maria() -> Value {
    json!({
        "first_name": "Maria",
        "plan": "pro",
        "photo": "photos/maria.png",
        "language": "en",
        "modules": [{ "title": "Safety", "done": 0.5 }, { "title": "Tools" }],
    })
}

fn provenance() -> Provenance {
    Provenance { provider: "test".into(), model: "1".into(), synthetic: true, ..Provenance::default() }
}

pub fn text(words: &str) -> Generated {
    Generated { value: GeneratedValue::Text(words.into()), provenance: provenance() }
}

pub fn voice(milliseconds: i64, words: &[(&str, i64, i64)]) -> Generated {
    let time = |ms: i64| Time::from_ticks(Time::TICKS_PER_SECOND / 1000 * ms);
    let words = words.iter().map(|(text, start, end)| SpokenWord {
        text: (*text).to_owned(),
        start: time(*start),
        end: time(*end),
    });
    let voice = Voice {
        audio: Blob::new(&b"RIFF\0\0\0\0WAVE"[..]),
        duration: time(milliseconds),
        words: words.collect(),
        phonemes: Vec::new(),
    };
    Generated { value: GeneratedValue::Voice(voice), provenance: provenance() }
}

/// Everything that [`EVERYTHING`] asks for.
pub fn generated() -> BTreeMap<String, Generated> {
    let picture = Generated { value: GeneratedValue::Image(Blob::new(PNG)), provenance: provenance() };
    BTreeMap::from([
        ("hook".to_owned(), text("Good to see you, Maria!")),
        (
            "narration".to_owned(),
            voice(3210, &[("Welcome,", 0, 500), ("Maria!", 500, 1000), ("Hello.", 2000, 3000)]),
        ),
        ("backdrop".to_owned(), picture),
    ])
}

/// Fills `text` for `data` with nothing generated.
pub fn fill_plain(text: &str, data: Value) -> Result<Warned<Video>, String> {
    let template = open(text);
    let data = template.data("data", data).map_err(|faults| faults.to_string())?;
    let none = BTreeMap::new();
    assert!(
        ask(&template, &data, &none, &world()).map_err(|faults| faults.to_string())?.is_empty(),
        "nothing to generate"
    );
    fill(&template, &data, &none, Fill::default(), &world()).map_err(|faults| faults.to_string())
}

/// A template with one scene of these layers (flow or block YAML, indented by six), and data fields.
pub fn with_layers(layers: &str) -> String {
    format!(
        "vignette: 1\nname: small\ncanvas: {{ width: 1920, height: 1080, fps: 25 }}\n\
         data: {{ required: [first_name], properties: {{ first_name: {{ type: string }}, \
         n: {{ type: number, default: 5 }}, maybe: {{ type: string }}, \
         list: {{ type: array, default: [], items: {{ type: object, required: [title], properties: \
         {{ title: {{ type: string }} }} }} }} }} }}\n\
         scenes:\n  - name: one\n    duration: 4s\n    layers:\n{layers}\n"
    )
}
