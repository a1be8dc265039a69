//! Which segments two viewers share: one thing is changed, and exactly the segments that show it get another name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vignette::Engine;
use vignette::renderer::encode::VideoProfile;

const TEMPLATE: &str = r##"
vignette: 1
name: sharing
locale: "{{language}}"
canvas: { width: 320, height: 180, fps: 30, background: "#101828" }
data:
  properties:
    name: { type: string, default: Maria }
    price: { type: number, default: 9 }
    member: { type: boolean, default: true }
    intro: { type: string, default: 3s }
    language: { type: string, default: en }
    nickname: { type: string, default: Mia }
    colour: { type: string, default: "#445566" }
assets:
  brand: { font: assets/brand.ttf }
  logo: { image: assets/logo.svg }
scenes:
  - name: intro
    duration: "{{intro}}"
    layers:
      - { image: logo, box: { x: 10%, y: 10%, width: 20%, height: 20% }, enter: { fade: in, for: 500ms } }
  - name: hello
    duration: 3s
    layers:
      - { rect: { fill: "#223344" } }
      # Personal from its second second on: what is before it is everyone's.
      - { text: "Hello {{name}}", style: { font: Inter, size: 20px, color: white }, at: 1s }
      - { text: "Dear {{nickname}}", when: "{{not member}}", style: { font: Inter, size: 20px, color: white } }
  - name: offer
    duration: 2s
    layers:
      - { text: "Only {{price}}", style: { font: brand, size: 20px, color: white } }
  - name: colours
    duration: 1s
    layers:
      - { rect: { fill: "{{colour}}" } }
  - name: goodbye
    duration: 2s
    transition: { crossfade: 500ms }
    layers:
      - { text: Goodbye, style: { font: Inter, size: 20px, color: white } }
"##;

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><circle cx="5" cy="5" r="4" fill="#ffb020"/></svg>"##;

/// A segment by its scene and its place among that scene's segments.
type Segment = (String, usize);

fn package(folder: &Path, template: &str, logo: &str, font: &[u8]) {
    fs::create_dir_all(folder.join("assets")).unwrap();
    fs::write(folder.join("template.yaml"), template).unwrap();
    fs::write(folder.join("assets/logo.svg"), logo).unwrap();
    fs::write(folder.join("assets/brand.ttf"), font).unwrap();
}

/// The names of all segments, and of the sound.
fn keys(engine: &Engine, folder: &Path, data: &str, quality: u8) -> (Vec<(Segment, String)>, String) {
    let template = engine.open(folder, &[]).unwrap().value;
    let data = template.parse_data("data", data.as_bytes()).unwrap();
    let video = engine.personalise(&template, &data, None).unwrap().value;
    let plan = engine.plan(&video, quality);
    let mut named = Vec::new();
    for segment in &plan.segments {
        let scene = video.scenes[segment.scene].name.clone();
        let place = named.iter().filter(|((known, _), _): &&(Segment, String)| *known == scene).count();
        named.push(((scene, place), segment.key.to_string()));
    }
    (named, plan.audio.to_string())
}

fn changed(before: &[(Segment, String)], after: &[(Segment, String)]) -> BTreeSet<Segment> {
    let of = |all: &[(Segment, String)], wanted: &Segment| {
        all.iter().find(|(segment, _)| segment == wanted).map(|(_, key)| key.clone())
    };
    before
        .iter()
        .chain(after)
        .map(|(segment, _)| segment.clone())
        .filter(|segment| of(before, segment) != of(after, segment))
        .collect()
}

/// A small font of the distribution, for a package to bring along.
fn font() -> Vec<u8> {
    fs::read("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf").unwrap()
}

#[test]
fn one_change_changes_exactly_the_segments_that_show_it() {
    let engine = Engine::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let font = font();
    package(folder.path(), TEMPLATE, LOGO, &font);
    let standard = VideoProfile::DEFAULT_QUALITY;
    let base = json!({ "name": "Maria", "price": 9 });
    let (before, sound) = keys(&engine, folder.path(), &base.to_string(), standard);
    let all: BTreeSet<Segment> = before.iter().map(|(segment, _)| segment.clone()).collect();
    let scenes: Vec<&str> = before.iter().map(|((scene, _), _)| scene.as_str()).collect();
    // Intro: 15 frames first, then 75 in two; hello: everyone's second and the viewer's two; goodbye: the transition apart.
    let expected = ["intro", "intro", "intro", "hello", "hello", "offer", "colours", "goodbye", "goodbye"];
    assert_eq!(scenes, expected);
    let of = |segments: &[(&str, usize)]| -> BTreeSet<Segment> {
        segments.iter().map(|(scene, place)| ((*scene).to_owned(), *place)).collect()
    };
    let merged = |change: Value| {
        let mut data = base.clone();
        data.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        data.to_string()
    };
    let mut longer_font = font.clone();
    longer_font.push(0);
    let red_logo = LOGO.replace("#ffb020", "#ff2020");
    let layers_swapped = TEMPLATE.replace("{ fill: \"#223344\" }", "{ fill: \"#223345\" }");
    let (same_font, same_logo) = (font.as_slice(), LOGO);

    /// What is changed; data, template, logo, font, quality; the segments that get another name.
    type Row<'a> = (&'a str, String, &'a str, &'a str, &'a [u8], u8, BTreeSet<Segment>);
    let rows: Vec<Row<'_>> = vec![
        ("nothing", base.to_string(), TEMPLATE, same_logo, same_font, standard, of(&[])),
        (
            "the order of keys",
            r#"{ "price": 9, "name": "Maria" }"#.into(),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[]),
        ),
        (
            "a default said in full",
            merged(json!({ "member": true, "colour": "#445566" })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[]),
        ),
        (
            "the name",
            merged(json!({ "name": "Zoë" })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[("hello", 1)]),
        ),
        (
            "the price",
            merged(json!({ "price": 10 })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[("offer", 0)]),
        ),
        (
            "a colour, also of the scene that is still seen in a transition",
            merged(json!({ "colour": "#445567" })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[("colours", 0), ("goodbye", 0)]),
        ),
        (
            "what a hidden layer would say",
            merged(json!({ "nickname": "Mimi" })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[]),
        ),
        (
            "a hidden layer is shown",
            merged(json!({ "member": false })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[("hello", 0), ("hello", 1)]),
        ),
        (
            "an earlier scene is longer",
            merged(json!({ "intro": "4s" })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            // Its first half second is the same; the rest is cut anew.
            of(&[("intro", 1), ("intro", 2)]),
        ),
        (
            "the language, which decides how text is shaped",
            merged(json!({ "language": "de" })),
            TEMPLATE,
            same_logo,
            same_font,
            standard,
            of(&[("hello", 1), ("offer", 0), ("goodbye", 0), ("goodbye", 1)]),
        ),
        ("a font file", base.to_string(), TEMPLATE, same_logo, &longer_font, standard, of(&[("offer", 0)])),
        (
            "a picture",
            base.to_string(),
            TEMPLATE,
            &red_logo,
            same_font,
            standard,
            of(&[("intro", 0), ("intro", 1), ("intro", 2)]),
        ),
        (
            "a layer below the name",
            base.to_string(),
            &layers_swapped,
            same_logo,
            same_font,
            standard,
            of(&[("hello", 0), ("hello", 1)]),
        ),
        ("the quality", base.to_string(), TEMPLATE, same_logo, same_font, standard + 1, all),
    ];
    for (name, data, template, logo, font, quality, expected) in rows {
        let folder = tempfile::tempdir().unwrap();
        package(folder.path(), template, logo, font);
        let (after, heard) = keys(&engine, folder.path(), &data, quality);
        assert_eq!(changed(&before, &after), expected, "{name}");
        // Without sounds, the programme is silence of the video's length.
        assert_eq!(heard == sound, name != "an earlier scene is longer", "{name}: the sound");
    }
}

#[test]
fn stillness_is_encoded_once() {
    let engine = Engine::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let still = "vignette: 1\nname: still\ncanvas: { width: 64, height: 64, fps: 30 }\nscenes:\n  - name: only\n    duration: 20500ms\n    layers: [{ rect: { fill: \"#ff0000\" } }]\n";
    fs::write(folder.path().join("template.yaml"), still).unwrap();
    let (named, _) = keys(&engine, folder.path(), "{}", VideoProfile::DEFAULT_QUALITY);
    let distinct: BTreeSet<&String> = named.iter().map(|(_, key)| key).collect();
    assert_eq!((named.len(), distinct.len()), (11, 2), "half a second, and ten times two seconds");
    let template = engine.open(folder.path(), &[]).unwrap().value;
    let data = template.parse_data("data", b"{}").unwrap();
    let video = engine.personalise(&template, &data, None).unwrap().value;
    let prepared = engine.prepare(&template, &video).unwrap();
    let rendered = prepared.render(&Default::default(), engine.stores(), &()).unwrap();
    assert_eq!((rendered.distinct, rendered.new), (2, 2));
    let out = folder.path().join("still.mp4");
    rendered.write_mp4(&out).unwrap();
}
