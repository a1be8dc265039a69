//! The published JSON Schema and the reader are one.

mod support;

use serde_json::{Value, json};
use support::{EVERYTHING, with_layers, world};
use vignette_templates::template::{document, generate, layer, style};
use vignette_templates::{Template, language_schema, source};

fn value(text: &str) -> Value {
    source::parse("t.yaml", text.as_bytes()).unwrap().to_json().unwrap()
}

#[test]
fn every_record_has_the_fields_that_it_publishes() {
    let schema = language_schema();
    let records: &[(&str, &[&str])] = &[
        ("Canvas", document::Canvas::FIELDS),
        ("Rendition", document::Rendition::FIELDS),
        ("Asset", document::Asset::FIELDS),
        ("Scene", document::Scene::FIELDS),
        ("Fitted", document::Fitted::FIELDS),
        ("Crossfade", document::Crossfade::FIELDS),
        ("Programme", document::Programme::FIELDS),
        ("Sound", document::Sound::FIELDS),
        ("Duck", document::Duck::FIELDS),
        ("AfterScene", document::AfterScene::FIELDS),
        ("CaptionSource", document::CaptionSource::FIELDS),
        ("Caption", document::Caption::FIELDS),
        ("Generator", generate::Generator::FIELDS),
        ("TextGenerator", generate::TextGenerator::FIELDS),
        ("Phrase", generate::Phrase::FIELDS),
        ("VoiceGenerator", generate::VoiceGenerator::FIELDS),
        ("SaidAs", generate::SaidAs::FIELDS),
        ("Recording", generate::Recording::FIELDS),
        ("Hole", generate::Hole::FIELDS),
        ("Recorded", generate::Recorded::FIELDS),
        ("ImageGenerator", generate::ImageGenerator::FIELDS),
        ("PhotoGenerator", generate::PhotoGenerator::FIELDS),
        ("Layer", layer::Layer::FIELDS),
        ("Spoken", layer::Spoken::FIELDS),
        ("Override", layer::Override::FIELDS),
        ("Repeat", layer::Repeat::FIELDS),
        ("Placement", layer::Placement::FIELDS),
        ("Rect", layer::Rect::FIELDS),
        ("Ellipse", layer::Ellipse::FIELDS),
        ("Path", layer::Path::FIELDS),
        ("Shadow", layer::Shadow::FIELDS),
        ("Passage", layer::Passage::FIELDS),
        ("Keyframes", layer::Keyframes::FIELDS),
        ("PositionKey", layer::PositionKey::FIELDS),
        ("ScaleKey", layer::ScaleKey::FIELDS),
        ("RotationKey", layer::RotationKey::FIELDS),
        ("OpacityKey", layer::OpacityKey::FIELDS),
        ("ColorKey", layer::ColorKey::FIELDS),
        ("Style", style::Style::FIELDS),
        ("Backdrop", style::Backdrop::FIELDS),
        ("Outline", style::Outline::FIELDS),
        ("Gradient", style::Gradient::FIELDS),
        ("Linear", style::Linear::FIELDS),
        ("Radial", style::Radial::FIELDS),
        ("Stop", style::Stop::FIELDS),
    ];
    let published = schema["$defs"].as_object().unwrap();
    let names = |schema: &Value| -> Vec<String> {
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    };
    for (name, fields) in records {
        assert_eq!(names(&published[*name]), *fields, "{name}");
        for (field, property) in published[*name]["properties"].as_object().unwrap() {
            assert!(property["description"].as_str().is_some_and(|doc| doc.len() > 3), "{name}.{field}");
        }
    }
    assert_eq!(names(&schema), document::Document::FIELDS);
    let mut missing: Vec<&String> =
        published.keys().filter(|name| !records.iter().any(|(known, _)| known == name)).collect();
    missing.retain(|name| *name != "Document");
    assert!(missing.is_empty(), "records that this test does not know: {missing:?}");
}

#[test]
fn the_schema_takes_what_the_reader_takes() {
    let schema = language_schema();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let gallery = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("gallery");
    let mut texts = vec![EVERYTHING.to_owned()];
    for folder in std::fs::read_dir(gallery).unwrap() {
        texts.extend(std::fs::read_to_string(folder.unwrap().path().join("template.yaml")));
    }
    assert!(texts.len() >= 4);
    for text in texts {
        let errors: Vec<String> = validator
            .iter_errors(&value(&text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::draft202012::new(&language_schema()).unwrap();
    for layer in [
        "{ text: x, opasity: 1 }",
        "{ text: x, image: y }",
        "{ name: x }",
        "{ text: [x] }",
        "{ text: x, opacity: 2 }",
        "{ text: x, opacity: much }",
        "{ text: x, style: { size: banana } }",
        "{ text: x, style: { size: -5px } }",
        "{ text: x, style: { align: middle } }",
        "{ text: x, for: 3 }",
        "{ text: x, at: soon }",
        "{ text: x, box: { x: 1, y: 2, z: 3 } }",
        "{ text: x, scale: [1, 2, 3] }",
        "{ rect: { fill: { linear: { angle: 3deg } } } }",
        "{ image: x, focus: [50%] }",
        "{ image: x, fit: covers }",
    ] {
        let text = with_layers(&format!("      - {layer}"));
        assert!(!validator.is_valid(&value(&text)), "the schema takes {layer}");
        assert!(Template::open("t.yaml", text.as_bytes(), &world()).is_err(), "the reader takes {layer}");
    }
    let mut canvas = value(EVERYTHING);
    canvas["canvas"]["width"] = json!(1921);
    assert!(!validator.is_valid(&canvas));
}
